"""Gets a history's memory ready before a guest depends on it: both halves open its instances, so that no batch pays for memory
that the kernel has to clear first. Where memory is short they stay as they are, and grow as they are used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from backends.api import Backend, BackendError
from harness.errors import CodecError
from harness.migrator.codec import Serial
from harness.migrator.memory import available_bytes
from harness.migrator.session import FrameLink
from harness.wire.frame import Header, Kind, control

__all__ = ["answer", "prepare"]

_TIMEOUT_S = 60.0
_ENOUGH_BYTES = 2 << 30
"""What must be there before one more instance is opened: a window is at most half of it."""


def prepare(link: FrameLink, codec: int, serial: Serial) -> float:
    """Open the sender's instances, and have the receiver open its own, meanwhile. Gives the seconds it took.

    :raises CodecError: one cannot be opened. :raises PeerError: the receiver's cannot, or it said nothing in a minute.
    """
    began_s = time.monotonic()
    link.send(control(Kind.PREPARE, codec=codec))
    _open(serial, lambda backend: backend.open())
    link.first_frame(Kind.PREPARED, _TIMEOUT_S)
    return time.monotonic() - began_s


def answer(link: FrameLink, header: Header, serials: Mapping[int, Serial]) -> None:
    """Open the receiver's. A codec without a history needs nothing. :raises CodecError: one cannot be opened."""
    serial = serials.get(header.codec)
    if serial is not None:
        _open(serial, lambda backend: backend.open_decoder())
    link.send(control(Kind.PREPARED))


def _open(serial: Serial, how: Callable[[Backend], None]) -> None:
    try:
        for lane in serial.lanes:
            if available_bytes() < _ENOUGH_BYTES:
                break
            how(lane)
    except BackendError as exc:
        raise CodecError(f"before the migration began: {exc}") from exc
