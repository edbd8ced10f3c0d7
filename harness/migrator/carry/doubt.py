"""What a sender does where its migration ends between the stream's last byte and the destination's word, which it may never hear.

The guest may run at the destination by then. QEMU lets the source's run on as soon as its connection ends, and leaves it where it
is, standing still, while the connection stands and brings no word. So it stands still, and the receiver is asked over another link.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from harness.errors import PeerError
from harness.migrator.carry.channel import Channel
from harness.migrator.source import Source
from harness.wire.pair.verdict import Fate, Verdict

__all__ = ["asked_soon", "known", "settled"]

_AGAIN_S = 0.25
_SOON_S = 1.0
"""Until then nobody is told that there is a doubt: most links are dialled again at once."""
_CONFIRMED_S = 30.0
_HELD = (
    "the destination may have all of the guest and run it, so the source's guest stands still, and the receiver is asked until it "
    "answers ({why}). Or look at the destination QEMU: if its guest runs, quit the source QEMU; if not, end this command, and the "
    "source's guest goes on"
)
_IN_DOUBT = (
    "the destination may have all of the guest and run it, while the source's goes on too: see which of the two QEMUs runs its "
    "guest, and end one"
)
_ARRIVED = "the guest runs at the destination, and must not go on at its source"
_FAILED = "the destination's guest does not run, and the source's goes on"


def settled(
    source: Source, ask: Callable[[], Verdict], say: Callable[[str], None], limit_s: float | None
) -> Verdict | None:
    """The receiver's verdict, once it has one; a source whose guest arrived was told. None: its QEMU ended the migration first, or
    nobody knew within ``limit_s``."""
    began_s, told = time.monotonic(), False
    while True:
        try:
            verdict, why = ask(), "it waits for the destination QEMU's word"
        except PeerError as exc:
            verdict, why = None, str(exc)
        if verdict is not None and verdict.fate is not Fate.OPEN:
            if verdict.fate is Fate.ARRIVED:
                source.confirm(_CONFIRMED_S)
            return verdict
        waited_s = time.monotonic() - began_s
        if source.has_hung_up() or (limit_s is not None and waited_s >= limit_s):
            return None
        if not told and waited_s >= _SOON_S:
            told = True
            say(_HELD.format(why=why))
        time.sleep(_AGAIN_S)


def asked_soon(ask: Callable[[], Verdict]) -> Verdict | None:
    """What the receiver says where nobody's guest waits for it. None: nothing within about a second."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < _SOON_S:
        with contextlib.suppress(PeerError):
            if (verdict := ask()).fate is not Fate.OPEN:
                return verdict
        time.sleep(_AGAIN_S)
    return None


def known(main: Channel, verdict: Verdict | None) -> str | None:
    """In words, of the guest. None: as with every failure it is at the source, and goes on."""
    fate = None if verdict is None else verdict.fate
    if main.source.confirmed or fate is Fate.ARRIVED:
        return _ARRIVED
    if main.in_doubt:
        return _FAILED if fate is Fate.FAILED else _IN_DOUBT
    return None
