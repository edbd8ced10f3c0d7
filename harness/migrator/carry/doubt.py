"""What a sender does where its migration ends between the stream's last byte and the destination's word, which it may never hear.

The guest may run at the destination by then. QEMU lets the source's run on as soon as its connection ends, and leaves it where it
is, standing still, while the connection stands and brings no word. So it stands still, and the receiver is asked over another link.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from math import inf

from harness.errors import PeerError
from harness.migrator.carry.channel import Channel
from harness.migrator.source import Source
from harness.wire.pair.verdict import Fate, Verdict

Ask = Callable[[bool], Verdict]
"""Asks the receiver, and says whether the source has given its guest up. :raises PeerError: it is not to be had now."""

_AGAIN_S = 0.25
_SOON_S = 1.0
"""Until then nobody is told that there is a doubt: most links are dialled again at once."""
_FREE_S = 3.0
"""The source's guest may go on at any time then. A link that comes back by then saves the migration; and with the 30 s after which
a silent link is given up, all is known within 35 s."""
_CONFIRMED_S = 30.0
_HELD = (
    "the destination may have all of the guest and run it, so the source's guest stands still, and the receiver is asked until it "
    "answers ({why}). Or look at the destination QEMU: if its guest runs, quit the source QEMU; if not, end this command, and the "
    "source's guest goes on"
)
_WAITED_FOR = (
    "the destination has all of the guest and does not run it before it hears that the source has given it up, so the guest stands "
    "still, and the receiver is told so as soon as it can be reached ({why}). Or say `cont` at the destination QEMU, and end this "
    "command"
)
_IN_DOUBT = (
    "the destination may have all of the guest and run it, while the source's goes on too: see which of the two QEMUs runs its "
    "guest, and end one"
)
_ARRIVED = "the guest runs at the destination, and must not go on at its source"
_GIVEN_BACK = (
    "the destination's guest does not run and never will, and its source, which has all of it, has given it up: say `cont` at the "
    "source QEMU"
)
_UNSTARTED = (
    "the source has given the guest up, and the receiver did not say that it let it run: see whether it runs at the destination; "
    "if not, say `cont` to the QEMU there"
)
_DISCARDED = "the source's guest goes on; the destination QEMU may have all of it, and does not run it: quit that QEMU"
_FAILED = "the destination's guest does not run, and the source's goes on"


def settled(
    source: Source, ask: Ask, say: Callable[[str], None], limit_s: float | None, *, waits: bool
) -> Verdict | None:
    """The receiver's verdict, once it has one; a source whose guest arrived was told, and then a receiver that waits for that.
    None: its QEMU ended the migration first, or nobody knew within ``limit_s``; or soon, where the destination ``waits``: as long
    as nobody says that the source has given its guest up, that cannot run there, and may go on here."""
    began_s, told, given_up = time.monotonic(), False, source.confirmed
    while True:
        try:
            verdict, why = ask(given_up), "it waits for the destination QEMU's word"
        except PeerError as exc:
            verdict, why = None, str(exc)
        fate = Fate.OPEN if verdict is None else verdict.fate
        if fate in (Fate.ARRIVED, Fate.LOADED) and not given_up:
            given_up = source.confirm(_CONFIRMED_S)
            if fate is Fate.LOADED and given_up:
                continue
        if fate is not Fate.OPEN:
            return verdict
        waited_s = time.monotonic() - began_s
        if (not given_up and (source.has_hung_up() or (waits and waited_s >= _FREE_S))) or waited_s >= (limit_s or inf):
            return None
        if not told and waited_s >= _SOON_S and (given_up or not waits):
            told = True
            say((_WAITED_FOR if given_up else _HELD).format(why=why))
        time.sleep(_AGAIN_S)


def asked_soon(ask: Ask) -> Verdict | None:
    """What the receiver says where nobody's guest waits for it. None: nothing within about a second."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < _SOON_S:
        with contextlib.suppress(PeerError):
            if (verdict := ask(False)).fate is not Fate.OPEN:
                return verdict
        time.sleep(_AGAIN_S)
    return None


def known(main: Channel, verdict: Verdict | None, *, waits: bool) -> str | None:
    """In words, of the guest. None: as with every failure it is at the source, and goes on."""
    fate = None if verdict is None else verdict.fate
    if main.source.confirmed and fate is Fate.FAILED:
        return _GIVEN_BACK
    if waits and fate is not Fate.ARRIVED and (fate is Fate.LOADED or main.source.confirmed or main.in_doubt):
        return _UNSTARTED if main.source.confirmed else _DISCARDED
    if main.source.confirmed or fate is Fate.ARRIVED:
        return _ARRIVED
    if main.in_doubt:
        return _FAILED if fate is Fate.FAILED else _IN_DOUBT
    return None
