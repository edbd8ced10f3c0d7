"""What the receiver says of a guest whose migration did not end well."""

from __future__ import annotations

from harness.wire.pair.verdict import Fate

FATES = {
    Fate.OPEN: "the destination QEMU has not said whether it has all of the guest: see whether it runs before you start its source",
    Fate.ARRIVED: "the destination QEMU has all of the guest, and runs it: its source must not go on",
    Fate.FAILED: "the destination's guest does not run",
    Fate.LOADED: (
        "the destination QEMU has all of the guest and does not run it, for nobody said that its source has given it up: if the "
        "source's guest runs, quit the destination QEMU; if not, say `cont` there"
    ),
}
