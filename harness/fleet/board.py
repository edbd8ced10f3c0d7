"""Shows a fleet while it runs: a live line for each cell in progress on a terminal, and a plain line for each that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live

from harness.console import plain
from harness.experiment.events import Event, Preparing, RunFinished
from harness.experiment.progress import Board, finished_line
from harness.fleet.cells import Begun, Cell, Ended
from harness.results.result import Result, load_result
from harness.units import format_duration

Take = Callable[[Cell, Event | Begun | Ended], None]


@contextmanager
def fleet_progress(console: Console, total: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Take]:
    """Gives the function to hand events to. ``total``: cells to come."""
    boards = _Boards(console, total, clock)
    if not console.is_terminal:
        yield boards.take
        return
    with Live(boards, console=console, refresh_per_second=4, transient=True):
        yield boards.take


class _Boards:
    """One of each cell in progress."""

    def __init__(self, console: Console, total: int, clock: Callable[[], float]) -> None:
        self._console, self._total, self._clock = console, total, clock
        self._ended = 0
        self._running: dict[str, tuple[Board, float]] = {}

    def take(self, cell: Cell, event: Event | Begun | Ended) -> None:
        if isinstance(event, Ended):
            self._end(cell, event)
            return
        if isinstance(event, Begun):
            self._begin(cell)
            return
        self._running[cell.name][0].take(event)
        if isinstance(event, Preparing):
            self._say(cell, plain(event.what))
        if isinstance(event, RunFinished) and event.run.status not in ("completed", "skipped"):
            self._say(cell, finished_line(event.run))

    def _begin(self, cell: Cell) -> None:
        if cell.name in self._running:
            self._say(cell, "[yellow]its worker died[/]: another goes on with it")
        elif not self._console.is_terminal:  # on one, its live line shows it
            self._say(cell, "begins")
        self._running[cell.name] = Board(cell.title, self._clock), self._clock()

    def _end(self, cell: Cell, end: Ended) -> None:
        _, since_s = self._running.pop(cell.name, (None, self._clock()))
        self._ended += 1
        result = load_result(cell.part.result) if cell.part.result.is_file() else None
        words = [_told(result, end), format_duration(self._clock() - since_s)]
        self._say(
            cell,
            ", ".join(words) + (f": {plain(end.problem)}" if end.problem else ""),
            f"[{self._ended}/{self._total}] ",
        )

    def _say(self, cell: Cell, words: str, before: str = "") -> None:
        self._console.print(f"{plain(before)}{plain(cell.title)}: {words}", highlight=False, soft_wrap=True)

    def __rich__(self) -> Group:
        return Group(*(board for board, _ in self._running.values()))


def _told(result: Result | None, end: Ended) -> str:
    """``ok, 12 runs``."""
    runs = result.runs if result is not None else ()
    failed = sum(run.status in ("failed", "timeout") or run.verified is False for run in runs)
    mark = "[red]not whole[/]" if end.problem else "[red]failed[/]" if failed else "[green]ok[/]"
    return f"{mark}, {len(runs)} {'run' if len(runs) == 1 else 'runs'}" + (
        f", {failed} of them failed" if failed else ""
    )
