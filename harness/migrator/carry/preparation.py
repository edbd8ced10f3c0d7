"""Gets a history's memory ready before a guest depends on it: both halves open its instances, so that no batch pays for memory
that the kernel has to clear first. Where memory is short they stay as they are, and grow as they are used; it is told how many
are ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.api import Backend, BackendError, BackendUnavailable
from harness.errors import CodecError, MissingError
from harness.hosts.limits import available_bytes
from harness.migrator.carry.serial import Serial
from harness.migrator.session import FrameLink
from harness.wire.pair.frame import Header, Kind, control

__all__ = ["answer", "prepare"]

_TIMEOUT_S = 60.0
_ENOUGH_BYTES = 2 << 30
"""What must be there before one more instance is opened: a window is at most half of it."""


def prepare(link: FrameLink, codec: int, serial: Serial, *, receiver_prepares: bool) -> int:
    """Open the sender's instances, and have the receiver open its own, meanwhile. Gives how many are open at both ends.

    :raises CodecError: one cannot be opened. :raises MissingError: what it needs is not here. :raises PeerError: the receiver's
        cannot be opened, or it said nothing in a minute.
    """
    if not receiver_prepares:
        _open(serial, lambda backend: backend.open(), link)
        return 0
    link.send(control(Kind.PREPARE, codec=codec))
    opened = _open(serial, lambda backend: backend.open(), link)
    return min(opened, link.first_frame(Kind.PREPARED, _TIMEOUT_S).header.sequence)


def answer(link: FrameLink, header: Header, serials: Mapping[int, Serial]) -> None:
    """Open the receiver's, and say how many. A codec without a history has none. Raises ``CodecError`` as ``prepare``."""
    serial = serials.get(header.codec)
    opened = _open(serial, lambda backend: backend.open_decoder(), link) if serial is not None else 0
    link.send(control(Kind.PREPARED, sequence=opened))


def _open(serial: Serial, how: Callable[[Backend], None], link: FrameLink) -> int:
    """As many as there is memory for. :raises PeerError: the other half left, and needs none any more."""
    opened = 0
    try:
        for lane in serial.lanes:
            if available_bytes() < _ENOUGH_BYTES:
                break
            link.require_open()
            how(lane)
            opened += 1
    except BackendUnavailable as exc:
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        raise CodecError(f"before the migration began: {exc}") from exc
    return opened
