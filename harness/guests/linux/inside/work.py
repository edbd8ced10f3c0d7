"""For workloads: what they were asked to do, when the next operations are due, and how they tell what they did."""

from __future__ import annotations

import os
import time
from _random import Random
from collections.abc import Iterator

_TICK_S = 0.01
_LATE_S = 0.1


class Work:
    """``random``: seeded by the scenario. ``rate``: operations a second."""

    def __init__(self) -> None:
        self.random = Random(int(os.environ["SEED"]))
        self.rate = int(os.environ["RATE"])
        self._counter = os.open("/run/done", os.O_WRONLY)

    def pick(self, count: int) -> int:
        """A number below ``count``."""
        return int(self.random.random() * count)

    def ready(self) -> None:
        """All that is to be in memory is there."""
        with open("/dev/ttyS0", "w") as console:  # noqa: PTH123 - pathlib takes a guest half a second to import
            console.write("ready\n")

    def turns(self) -> Iterator[int]:
        """1, 2, ... for ever, each when its operation is due; it counts as done when all that were due with it are.

        What a guest did not do because it stood still or was too slow, it does not make up for.
        """
        began_s, given = time.monotonic(), 0
        while True:
            due = (time.monotonic() - began_s) * self.rate - given
            if due >= 1:
                most = max(1, int(_LATE_S * self.rate))
                began_s += max(0.0, due - most) / self.rate
                count = min(int(due), most)
                yield from range(given + 1, given + 1 + count)
                given += count
                os.pwrite(self._counter, b"%d\n" % given, 0)
            time.sleep(_TICK_S)
