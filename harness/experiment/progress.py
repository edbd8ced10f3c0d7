"""Shows a scenario's events while it runs: a live line on a terminal, one plain line per finished run elsewhere.

Knows events and rich, nothing of runs' inside. The time to go is guessed from the runs that finished.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.console import plain, print_note
from harness.experiment.events import Event, LabOpened, Preparing, RunFinished, RunProgress, RunStarted
from harness.results.result import Run
from harness.results.stops import stop_of
from harness.terminal import one_line
from harness.units import format_bytes, format_duration, format_rate

_MARKS = {
    "completed": "[green]ok[/]",
    "skipped": "[yellow]skipped[/]",
    "failed": "[red]failed[/]",
    "timeout": "[red]timeout[/]",
}
_CONVERGED = {True: "[green]converged[/]", False: "[yellow]did not converge[/]"}


@contextmanager
def progress(
    console: Console, title: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Event], None]]:
    """Gives the function to hand events to; it may be called from any thread. Nothing is left on screen but finished runs."""
    board = Board(title, clock)

    def on_event(event: Event) -> None:
        board.take(event)
        if isinstance(event, Preparing):
            console.print(plain(event.what), highlight=False, soft_wrap=True)
        if isinstance(event, LabOpened):
            for sentence in event.conditions:
                print_note(console, sentence)
        if isinstance(event, RunFinished):
            console.print(f"[{board.index}/{board.total}] {finished_line(event.run)}", highlight=False, soft_wrap=True)

    if not console.is_terminal:
        yield on_event
        return
    with Live(board, console=console, refresh_per_second=8, transient=True):
        yield on_event


def finished_line(run: Run) -> str:
    """A finished run in one line of rich markup: ``isal-1, repeat 2: ok, 1250 ms, downtime 41 ms, 91 MiB on the wire``."""
    turn = f"warm-up {run.repeat}" if run.warmup else f"repeat {run.repeat}"
    mark = _MARKS[run.status]
    if run.attempt is not None:
        turn = run.attempt.tried
        mark = mark if run.attempt.converged is None else _CONVERGED[run.attempt.converged]
    words = [f"{plain(run.method)}, {turn}: {mark}"]
    if run.total_time_s is not None:
        words.append(format_duration(run.total_time_s))
    if run.downtime_s is not None:
        stop = stop_of(run.steering)
        predicted = "" if stop is None else f" (predicted {format_duration(stop.predicted_s)})"
        words.append(f"downtime {format_duration(run.downtime_s)}{predicted}")
    if run.wire_bytes is not None:
        words.append(f"{format_bytes(run.wire_bytes)} on the wire")
    if run.verified is not None:
        what = "memory" if _is_live(run) else "stream"
        words.append(f"{what} verified" if run.verified else f"[red]{what} differs[/]")
    reason = (run.attempt.why if run.attempt is not None else "") or run.reason or run.error
    return ", ".join(words) + (f": {plain(reason)}" if reason else "")


def _is_live(run: Run) -> bool:
    """Whether any QEMU took part in it: a replay has none, and no memory that could be looked at."""
    return any(each is not None for each in (run.downtime_s, run.cpu_s.source_qemu, run.cpu_s.destination_qemu))


class Board:
    """The live display's state of one scenario; rich asks it for a picture several times a second."""

    def __init__(self, title: str, clock: Callable[[], float]) -> None:
        self.index = 0
        self.total = 0
        self._title = title
        self._clock = clock
        self._current: RunStarted | None = None
        self._look: RunProgress | None = None
        self._started_s = 0.0
        self._durations_s: list[float] = []
        self._spinner = Spinner("dots")

    def take(self, event: Event) -> None:
        """Keep what the event says."""
        if isinstance(event, RunStarted):
            self.index, self.total = event.index, event.total
            self._current, self._look, self._started_s = event, None, self._clock()
        elif isinstance(event, RunProgress):
            self._look = event
        elif isinstance(event, RunFinished):
            if event.run.status != "skipped":  # these end at once and would make the guess too short
                self._durations_s.append(self._clock() - self._started_s)
            self._current = None

    def remaining_s(self) -> float | None:
        """Time to go, from the median of the finished runs; None until one has finished."""
        if not self._durations_s:
            return None
        left = self.total - self.index + (1 if self._current is not None else 0)
        spent = self._clock() - self._started_s if self._current is not None else 0.0
        return max(0.0, left * statistics.median(self._durations_s) - spent)

    def __rich__(self) -> Table:
        """The picture."""
        row = Table.grid(padding=(0, 1))
        done = self.index - (1 if self._current is not None else 0)
        bar = ProgressBar(total=max(1, self.total), completed=done, width=20)
        row.add_row(self._spinner, Text(one_line(self._title), style="bold"), bar, Text(one_line(self._words())))
        return row

    def _words(self) -> str:
        words = [f"run {self.index}/{self.total}"]
        if self._current is not None:
            turn = f"{'warm-up' if self._current.warmup else 'repeat'} {self._current.repeat}"
            words.append(f"{self._current.method}, {self._current.tried or turn}")
        look = self._look
        if look is not None:
            words.append(f"{look.elapsed_s:.1f} s")
            words += [f"pass {look.passes}"] if look.passes is not None else []
            words += [f"{format_bytes(look.wire_bytes)} sent"] if look.wire_bytes is not None else []
            words += [format_rate(look.wire_bytes_per_s)] if look.wire_bytes_per_s is not None else []
        remaining_s = self.remaining_s()
        words += [f"about {_clock_time(remaining_s)} to go"] if remaining_s is not None else []
        return "  ".join(words)


def _clock_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
