"""How a sender asks, behind a link that ended too soon, what became of its guest, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar

from harness.wire.pair.fields import NAME_CHARACTERS, TRUTH, choice, table, text
from harness.wire.pair.forms import Document, Role
from harness.wire.pair.frame import Kind


@dataclass(frozen=True, slots=True)
class Ask(Document):
    """The session's link ended before the destination's word came: did the guest arrive?"""

    kind: ClassVar = Kind.ASK
    by: ClassVar = Role.SENDER
    session: Annotated[str, text(NAME_CHARACTERS), "the session's, as HELLO gave it"]
    given_up: Annotated[bool, TRUTH, "whether the source has given its guest up, which may run at the destination"] = (
        False
    )


class Fate(IntEnum):
    """What became of the guest at the destination: nobody knows yet, it has all of it and runs, it never will, or it has all of it
    and does not run until its source has given it up."""

    OPEN = 0
    ARRIVED = 1
    FAILED = 2
    LOADED = 3


@dataclass(frozen=True, slots=True)
class Verdict(Document):
    """What the destination QEMU said to the session's stream."""

    kind: ClassVar = Kind.VERDICT
    by: ClassVar = Role.RECEIVER
    fate: Annotated[Fate, choice(Fate), "what became of the guest there"]
    report: Annotated[Mapping[str, Any], table(nested=True), "the receiver's statistics; empty unless it arrived"]
