"""How far a migration is, by what the pair's halves say to each other: each phase once. Knows no faults."""

from __future__ import annotations

from dataclasses import dataclass

from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind


@dataclass(frozen=True, slots=True)
class FramePhase:
    """The moment at which ``speaker`` says its ``nth`` message of ``kind``. ``part``: of the stream that a batch must end in."""

    title: str
    speaker: Role
    kind: Kind
    part: str | None = None
    nth: int = 0

    def fits(self, speaker: Role, kind: Kind, part: str | None) -> bool:
        """Whether this message is one of those of which it is the ``nth``."""
        return (speaker, kind) == (self.speaker, self.kind) and self.part in (None, part)


def _batch(title: str, part: str, nth: int = 0) -> FramePhase:
    return FramePhase(title, Role.SENDER, Kind.BATCH, part, nth)


PHASES: dict[str, FramePhase] = {
    "greeting": FramePhase("the sender greets", Role.SENDER, Kind.HELLO),
    "welcome": FramePhase("the receiver greets", Role.RECEIVER, Kind.WELCOME),
    "probe": FramePhase("the sender measures the link", Role.SENDER, Kind.PROBE),
    "probed": FramePhase("the receiver answers that", Role.RECEIVER, Kind.PROBED),
    "first-batch": FramePhase("the stream's first batch", Role.SENDER, Kind.BATCH),
    "first-pass": _batch("in the first pass over memory", "first-pass", 2),
    "first-ack": FramePhase("the receiver's first acknowledgement", Role.RECEIVER, Kind.ACK),
    "later-pass": _batch("in a later pass", "later-pass", 1),
    "guest-stopped": _batch("in the last pass, while the guest stands still", "last-pass"),
    "device-state": _batch("the state of the guest's devices", "device-state"),
    "confirmation": FramePhase("the destination confirms that it has all", Role.RECEIVER, Kind.RETURN),
    "return-end": FramePhase("the destination answers no more", Role.RECEIVER, Kind.RETURN_END),
    "end": FramePhase("the sender says that the stream has ended", Role.SENDER, Kind.END),
    "done": FramePhase("the receiver says that all is done", Role.RECEIVER, Kind.DONE),
}
