"""How messages are cut on a stream of bytes: two lengths, a message as JSON, its payload. Both lengths are bounded."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable

from harness.errors import FrameError
from harness.hosts.agent.messages import Message, dumped, parsed

GREETING = b"pageferry agent, protocol 1\n"
"""Comes first, so that whatever else a login shell prints is told from an agent."""
MOST_MESSAGE_BYTES = 4 << 20
MOST_PAYLOAD_BYTES = 8 << 20
_LENGTHS = struct.Struct(">II")

Read = Callable[[int], bytes]
"""Exactly so many bytes, or fewer at the stream's end."""
Write = Callable[[bytes], None]
"""All of them."""


def read_frame(read: Read) -> tuple[Message, bytes] | None:
    """The next message and its payload; None: the stream ended between two. :raises FrameError: it is none, or is cut off."""
    head = read(_LENGTHS.size)
    if not head:
        return None
    if len(head) < _LENGTHS.size:
        raise FrameError("the agent's stream ends within a frame")
    message_bytes, payload_bytes = _LENGTHS.unpack(head)
    if message_bytes > MOST_MESSAGE_BYTES or payload_bytes > MOST_PAYLOAD_BYTES:
        raise FrameError(
            f"the agent's stream: a frame of {message_bytes} and {payload_bytes} bytes, which is none of ours"
        )
    body = read(message_bytes + payload_bytes)
    if len(body) < message_bytes + payload_bytes:
        raise FrameError("the agent's stream ends within a frame")
    try:
        return parsed(body[:message_bytes]), body[message_bytes:]
    except ValueError as exc:
        raise FrameError(f"the agent's stream: no message of ours: {str(exc).splitlines()[0]}") from exc


class Frames:
    """Writes them, from several threads."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.Lock()

    def send(self, message: Message, payload: bytes = b"") -> None:
        """:raises FrameError: it is too large. :raises OSError: nobody reads any more."""
        data = dumped(message)
        if len(data) > MOST_MESSAGE_BYTES or len(payload) > MOST_PAYLOAD_BYTES:
            raise FrameError(f"a message of {len(data)} and {len(payload)} bytes is too large for an agent's frame")
        with self._lock:
            self._write(_LENGTHS.pack(len(data), len(payload)) + data + payload)
