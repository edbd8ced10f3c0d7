"""Puts batches together that are restored at once: held ones, and the one that ends them. Checks their order; restores nothing."""

from __future__ import annotations

from collections.abc import Collection

from backends.api import MOST_HELD_BYTES
from harness.errors import FrameError
from harness.wire.pair.messages import Batch, Layout


class Groups:
    """In the order of the stream. ``histories``: the codecs that keep one, by their number. A group is one turn of its codec."""

    def __init__(self, histories: Collection[int]) -> None:
        self._turns = dict.fromkeys(histories, 0)
        self._expected = 0
        self._held: list[Batch] = []
        self._held_bytes = 0

    def add(self, batch: Batch) -> tuple[tuple[Batch, ...], int] | None:
        """The group that it ends, and its turn; None: it ends none. :raises FrameError: it cannot come now."""
        if batch.sequence != self._expected:
            raise FrameError(f"batch {batch.sequence} came where {self._expected} was due")
        self._expected += 1
        if self._held and (batch.layout is Layout.STORED or batch.codec != self._held[0].codec):
            raise FrameError(
                f"batch {batch.sequence} is of another codec than batch {self._held[-1].sequence}, which was held"
            )
        if batch.layout is Layout.HELD:
            self._hold(batch)
            return None
        group = (*self._held, batch)
        self._held, self._held_bytes = [], 0
        if batch.layout is Layout.STORED or batch.codec not in self._turns:
            return group, 0
        turn = self._turns[batch.codec]
        self._turns[batch.codec] += 1
        return group, turn

    def require_whole(self) -> None:
        """:raises FrameError: something is held, and nothing came behind it."""
        if self._held:
            raise FrameError(f"the stream ended behind batch {self._held[-1].sequence}, which was held")

    def _hold(self, batch: Batch) -> None:
        if batch.codec not in self._turns:
            raise FrameError(
                f"batch {batch.sequence} is held by codec {batch.codec}, which keeps no history or was not agreed on"
            )
        self._held_bytes += batch.raw_bytes
        if self._held_bytes > MOST_HELD_BYTES:
            raise FrameError(
                f"batch {batch.sequence}: {self._held_bytes} bytes are held, and may be at most {MOST_HELD_BYTES}"
            )
        self._held.append(batch)
