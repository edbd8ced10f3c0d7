"""Gets a history's memory ready before a guest depends on it: both halves open its instance, so that no batch pays for memory that
the kernel has to clear first. Where memory is short it stays as it is, and grows as it is used; which of both, is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.api import BackendError, BackendUnavailable
from harness.errors import CodecError, FrameError, MissingError
from harness.hosts.limits import available_bytes
from harness.migrator.carry.serial import Serial
from harness.migrator.session import FrameLink
from harness.wire.pair.messages import Prepare, Prepared

_TIMEOUT_S = 60.0
_ENOUGH_BYTES = 2 << 30
"""What must be there before an instance is opened: a window is at most half of it."""


def prepare(link: FrameLink, codec: int, serial: Serial) -> bool:
    """Open the sender's instance, and have the receiver open its own, meanwhile. Gives whether both are open.

    :raises CodecError: one cannot be opened. :raises MissingError: what it needs is not here. :raises PeerError: the receiver's
        cannot be opened, or it said nothing in a minute.
    """
    link.send(Prepare(codec))
    opened = _open(serial.backend.open, link)
    return link.next_as(Prepared, _TIMEOUT_S).histories > 0 and opened


def answer(link: FrameLink, asked: Prepare, serials: Mapping[int, Serial]) -> None:
    """Open the receiver's, and say whether it is. :raises FrameError: there is none. Raises ``CodecError`` as ``prepare``."""
    serial = serials.get(asked.codec)
    if serial is None:
        raise FrameError(f"the sender asks for a history of codec {asked.codec}, which keeps none or was not agreed on")
    link.send(Prepared(int(_open(serial.backend.open_decoder, link))))


def _open(how: Callable[[], None], link: FrameLink) -> bool:
    """If there is memory for it. :raises PeerError: the other half left, and needs none any more."""
    if available_bytes() < _ENOUGH_BYTES:
        return False
    link.require_open()
    try:
        how()
    except BackendUnavailable as exc:
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        raise CodecError(f"before the migration began: {exc}") from exc
    return True
