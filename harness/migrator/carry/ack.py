"""What a receiver tells in each ACK of how it is doing, for the sender's policy. Bytes in, numbers out."""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["AckLook"]

_LAYOUT = struct.Struct("<IIQQQ")
_LONGEST_US = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class AckLook:
    """``restore_s``: of the batch. ``held_s``: from its last byte off the link until now; the rest of a confirmation's time is the
    link's. ``waited_s``: the reader, for the link so far. ``now_s``: by the receiver's clock."""

    restore_s: float
    waited_s: float
    now_s: float
    received_bytes: int
    held_s: float = 0.0

    def encode(self) -> bytes:
        """An ACK's body."""
        short = (min(round(s * 1e6), _LONGEST_US) for s in (self.restore_s, self.held_s))
        return _LAYOUT.pack(*short, *(round(s * 1e6) for s in (self.waited_s, self.now_s)), self.received_bytes)

    @classmethod
    def decode(cls, body: bytes | memoryview) -> AckLook | None:
        """None: the receiver tells nothing, or something else."""
        if len(body) != _LAYOUT.size:
            return None
        restore_us, held_us, waited_us, now_us, received_bytes = _LAYOUT.unpack(body)
        return cls(restore_us / 1e6, waited_us / 1e6, now_us / 1e6, received_bytes, held_us / 1e6)
