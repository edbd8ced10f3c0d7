"""Whether a migration whose stream ended is one that is done, and what that rests on. Pure.

With the capability return-path, the destination QEMU says at the end that it loaded all, and the source waits for that. Without,
only the stream itself can tell whether it was whole, and nothing tells what the destination made of it.
"""

from __future__ import annotations

from enum import Enum

from harness.errors import QemuError
from harness.wire.qemu.stream import QStreamParser


class Outcome(Enum):
    """What "done" rests on: as statistics name it, and (``str``) in words for a user."""

    CONFIRMED = "confirmed"
    WHOLE = "whole"
    CLOSED = "closed"

    def __str__(self) -> str:
        """For the line that says done."""
        return _WORDS[self]


_WORDS = {
    Outcome.CONFIRMED: "the destination QEMU confirmed that it has all",
    Outcome.WHOLE: "the stream was whole, and nothing confirms that the destination runs",
    Outcome.CLOSED: "the source closed, and whether that was the end cannot be told: the stream is not one that we know",
}


def outcome_of(parser: QStreamParser, shut: int | None, *, unconfirmed: bool) -> Outcome:
    """``shut``: the destination's last word, if it came. :raises QemuError: the migration failed."""
    if shut == 0:
        return Outcome.CONFIRMED
    if shut is not None:
        raise QemuError("the destination QEMU answered that it could not load the stream; its log says why")
    if unconfirmed and parser.is_whole():
        return Outcome.WHOLE
    stream_bytes = parser.counts.stream_bytes
    if unconfirmed and not parser.is_migration:
        return Outcome.CLOSED
    raise QemuError(_failed(parser, stream_bytes))


def _failed(parser: QStreamParser, stream_bytes: int) -> str:
    if parser.postcopy:
        return (
            f"the source QEMU ended the stream in post-copy, {stream_bytes} bytes in, and the destination has not all of the "
            "guest; if both QEMUs still run, recover it (migrate-recover, and migrate -r through a new pair)"
        )
    if parser.is_whole():
        return (
            f"the source QEMU ended the stream, {stream_bytes} bytes, and the destination has not confirmed it; "
            "see which of the two QEMUs runs its guest before you start one"
        )
    return (
        f"the source QEMU ended the stream before its end (cancelled or died), {stream_bytes} bytes in; "
        "the destination must not run"
    )
