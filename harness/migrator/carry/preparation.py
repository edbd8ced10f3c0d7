"""Gets a history's memory ready before a guest depends on it: both halves open its instances, so that no batch pays for memory
that the kernel has to clear first. Where memory is short they stay as they are, and grow as they are used; it is told how many
are ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.api import Backend, BackendError, BackendUnavailable
from harness.errors import CodecError, FrameError, MissingError
from harness.hosts.limits import available_bytes
from harness.migrator.carry.serial import Serial
from harness.migrator.session import FrameLink
from harness.wire.pair.messages import Prepare, Prepared

__all__ = ["answer", "prepare"]

_TIMEOUT_S = 60.0
_ENOUGH_BYTES = 2 << 30
"""What must be there before one more instance is opened: a window is at most half of it."""


def prepare(link: FrameLink, codec: int, serial: Serial) -> int:
    """Open the sender's instances, and have the receiver open its own, meanwhile. Gives how many are open at both ends.

    :raises CodecError: one cannot be opened. :raises MissingError: what it needs is not here. :raises PeerError: the receiver's
        cannot be opened, or it said nothing in a minute.
    """
    link.send(Prepare(codec))
    opened = _open(serial, lambda backend: backend.open(), link)
    return min(opened, link.next_as(Prepared, _TIMEOUT_S).histories)


def answer(link: FrameLink, asked: Prepare, serials: Mapping[int, Serial]) -> None:
    """Open the receiver's, and say how many. :raises FrameError: there are none. Raises ``CodecError`` as ``prepare``."""
    serial = serials.get(asked.codec)
    if serial is None:
        raise FrameError(f"the sender asks for histories of codec {asked.codec}, which keeps none or was not agreed on")
    link.send(Prepared(_open(serial, lambda backend: backend.open_decoder(), link)))


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
