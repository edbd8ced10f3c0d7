"""Finds out what a stream is while it goes by: its digest, its machine, and its passes with their pages and times. Keeps no byte.

QEMU does not mark passes. It walks through memory block by block, each from its lowest address up, so a walk that goes back has
begun anew; and the last pass, with the guest stopped, has a section of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xxhash

from harness.streams.recording.layout import MAX_PASSES, Facts, Pass
from harness.wire.qemu.walk import PageRun, StreamWalk

_MOST_BLOCKS = 1024
"""Of RAM that are told apart; a guest has a dozen."""


class StreamNotes:
    """Takes a stream, cut anywhere, with the time at which each piece came. ``on_run`` hears of each run of pages."""

    def __init__(self, on_run: Callable[[PageRun], None] = lambda _: None) -> None:
        self.finder = PassFinder()
        self._on_run = on_run
        self._walk = StreamWalk(self._took)
        self.parser = self._walk.parser
        self._digest = xxhash.xxh3_128()
        self._now_s = 0.0

    def take(self, data: bytes | memoryview, at_s: float) -> None:
        """The stream's next bytes, ``at_s`` seconds after its first one."""
        self._now_s = at_s
        self._digest.update(data)
        self._walk.feed(data)

    def facts(self) -> Facts:
        """After the last byte."""
        parser = self.parser
        parser.finish()
        passes = tuple(self.finder.passes())
        return Facts(parser.counts.stream_bytes, self._digest.hexdigest(), parser.machine, parser.opaque_reason, passes)

    def _took(self, run: PageRun) -> None:
        self.finder.take(run, self._now_s)
        self._on_run(run)


@dataclass(slots=True)
class _Open:
    """A pass that may still grow."""

    stream_at: int
    began_s: float
    stopped: bool
    pages: dict[Literal["raw", "zero", "other"], int] = field(default_factory=lambda: {"raw": 0, "zero": 0, "other": 0})


class PassFinder:
    """Takes runs of pages in the stream's order."""

    def __init__(self) -> None:
        self._found: list[_Open] = []
        self._order: dict[str, int] = {}
        self._last = (-1, -1)

    @property
    def count(self) -> int:
        """So far."""
        return len(self._found)

    def passes(self) -> list[Pass]:
        """So far, in their order."""
        return [
            Pass(each.stream_at, each.began_s, each.pages["raw"], each.pages["zero"], each.pages["other"], each.stopped)
            for each in self._found
        ]

    def take(self, run: PageRun, at_s: float) -> None:
        """The next pages, which came at ``at_s``."""
        at, begins = 0, self._begins(run)
        for end in (*begins, len(run.addresses)):
            if end > at:
                self._found[-1].pages[run.kind] += end - at
                at = end
            if end < len(run.addresses) and len(self._found) < MAX_PASSES:
                self._found.append(_Open(run.stream_at + end * run.stride, at_s, run.stopped))

    def _begins(self, run: PageRun) -> list[int]:
        """Which of its pages begin a pass. With the guest stopped QEMU goes on where it was, and once around."""
        before, self._last = self._last, (self._place(run.block), int(run.addresses[-1]))
        if self._found and self._found[-1].stopped:
            return []
        first = self._last[0], int(run.addresses[0])
        begins = [0] if not self._found or first <= before or run.stopped else []
        return begins if run.stopped else begins + (np.flatnonzero(np.diff(run.addresses) <= 0) + 1).tolist()

    def _place(self, block: str) -> int:
        """In the order in which the first walk comes to the blocks."""
        if block not in self._order and len(self._order) < _MOST_BLOCKS:
            self._order[block] = len(self._order)
        return self._order.get(block, _MOST_BLOCKS)
