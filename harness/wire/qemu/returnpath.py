"""Reads what a destination QEMU answers on its return path, for the one word that counts: whether it loaded the stream. No I/O.

message := u16 type, u16 length, length bytes      (big-endian)
type 1, SHUT: u32, 0 when all was loaded; nothing comes behind it
type 5, a block's bitmap: behind the message come u64 size, size bytes, u64
"""

from __future__ import annotations

import struct

_HEAD, _VALUE, _SIZE = struct.Struct(">HH"), struct.Struct(">I"), struct.Struct(">Q")
_SHUT, _RECV_BITMAP = 1, 5
SHUT_ALL_LOADED = _HEAD.pack(_SHUT, _VALUE.size) + _VALUE.pack(0)
"""The last word of a destination that has all of the guest."""


class ReturnPath:
    """Takes the bytes, cut anywhere. ``shut``: the value of SHUT once it came; ``answers``: bytes seen."""

    def __init__(self) -> None:
        self.shut: int | None = None
        self.answers = 0
        self._skip_bytes = 0
        self._layout = _HEAD
        self._held = bytearray()

    @property
    def between(self) -> bool:
        """Whether no message is half here."""
        return self._layout is _HEAD and not self._held and not self._skip_bytes

    def receive_data(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        rest = memoryview(data)
        self.answers += len(rest)
        while rest:
            skipped = min(self._skip_bytes, len(rest))
            self._skip_bytes -= skipped
            rest = rest[skipped:]
            missing = self._layout.size - len(self._held)
            self._held += rest[:missing]
            rest = rest[missing:]
            if len(self._held) == self._layout.size:
                held = bytes(self._held)
                self._held.clear()
                self._field(held)

    def _field(self, held: bytes) -> None:
        if self._layout is _VALUE:
            (self.shut,) = _VALUE.unpack(held)
            self._layout = _HEAD
        elif self._layout is _SIZE:
            self._skip_bytes, self._layout = _SIZE.unpack(held)[0] + _SIZE.size, _HEAD
        else:
            kind, length = _HEAD.unpack(held)
            if kind == _SHUT and length == _VALUE.size:
                self._layout = _VALUE
            else:
                self._skip_bytes = length
                self._layout = _SIZE if kind == _RECV_BITMAP else _HEAD
