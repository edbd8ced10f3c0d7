"""The pair's halves in threads of this process: a thousand sessions in the time that a dozen processes take to start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from harness.errors import PageferryError

Config = TypeVar("Config")
_WAITS = "; waiting for the next sender"
_STAYS = "for the sender to ask"
_HOLDS = "the source's guest stands still"
_REFUSED = "refused a connection: "


class HalfThread:
    """``run_sender`` or ``run_receiver`` with its settings, started at once."""

    def __init__(self, name: str, run: Callable[[Config, Callable[[str], None]], object], config: Config) -> None:
        self.said: list[str] = []
        self.error: BaseException | None = None
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._guarded, args=(run, config), name=f"faults-{name}", daemon=True)
        self._thread.start()

    def _say(self, line: str) -> None:
        with self._heard:
            self.said.append(line)
            self._heard.notify_all()

    def _guarded(self, run: Callable[[Config, Callable[[str], None]], object], config: Config) -> None:
        try:
            run(config, self._say)
        except BaseException as exc:
            self.error = exc
        with self._heard:
            self._heard.notify_all()

    @property
    def alive(self) -> bool:
        """It has not ended."""
        return self._thread.is_alive()

    @property
    def waits_again(self) -> bool:
        """A receiver that has told of one sender and waits for the next."""
        if not self.alive or any(_STAYS in line for line in self.said):
            return False
        return any(_WAITS in line or line.startswith(_REFUSED) for line in self.said)

    @property
    def holds(self) -> str | None:
        """The line of a sender that keeps the source's guest still, because it cannot know where it runs."""
        return next((line for line in self.said if _HOLDS in line), None)

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether it says so in time, and goes on."""
        with self._heard:
            return self._heard.wait_for(self._ready, timeout_s) and self.alive

    def _ready(self) -> bool:
        return not self.alive or any(line.startswith("ready: ") for line in self.said)

    def over_by(self, deadline_s: float, *, may_wait: bool = False) -> bool:
        """Whether it has ended by that moment of the monotonic clock, or holds a guest; where it ``may_wait``, also whether it
        waits again."""
        while self.alive and not self.holds and not (may_wait and self.waits_again):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self._thread.join(min(0.01, left_s))
        return True

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended, also where it holds a guest."""
        self._thread.join(timeout_s)

    def line(self) -> str:
        """With which it ended; of a receiver that waits again, what it said of the fault."""
        if self.holds or self.error is not None:
            return self.holds or str(self.error)
        told = [line for line in self.said if not line.startswith("ready: ")]
        if self.alive:
            return told[-1] if told else "it goes on and says nothing"
        return "done"

    def bug(self) -> str | None:
        """What is wrong with its end: an error of no kind that a user is told in one line."""
        if self.error is None:
            return None
        if not isinstance(self.error, PageferryError):
            return f"{type(self.error).__name__}: {self.error}"
        return "its line is more than one" if "\n" in str(self.error).strip() else None
