"""Messages from bytes, and back. No I/O. Nothing is allocated for a message before its header was checked and it may come."""

from __future__ import annotations

import numpy as np

from harness.errors import FrameError
from harness.wire.pair.fields import WrongMessageError
from harness.wire.pair.forms import Message
from harness.wire.pair.frame import HEADER_BYTES, Header, decode_header, encode_header, tls_hint
from harness.wire.pair.messages import MESSAGES
from harness.wire.pair.states import Session


def encode(message: Message) -> tuple[bytes | memoryview, ...]:
    """The whole frame, in parts."""
    header, body = message.frame()
    return (encode_header(header), *body)


class MessageDecoder:
    """Of what the session's other half says. Feed it through ``get_buffer`` and ``buffer_updated``, without a copy; take
    ``next_message`` after each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._head = bytearray(HEADER_BYTES)
        self._header: Header | None = None
        self._body = memoryview(b"")
        self._fill = 0
        self._position = self._began = 0

    @property
    def idle(self) -> bool:
        """No message has begun: the link may end here."""
        return self._header is None and self._fill == 0

    @property
    def hint(self) -> str:
        """What may be wrong where the link ended inside this message."""
        return tls_hint(self._head)

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty, never past the end of the message."""
        target = memoryview(self._head) if self._header is None else self._body
        return target[self._fill :]

    def buffer_updated(self, count: int) -> None:
        """``count`` bytes were written there. :raises FrameError: no such message can be, or may come now."""
        self._fill += count
        self._position += count
        if self._header is None and self._fill == HEADER_BYTES:
            self._began = self._position - HEADER_BYTES
            header = decode_header(self._head, self._began)
            self._session.require(header.kind)
            try:
                MESSAGES[header.kind].require_possible(header)
            except WrongMessageError as exc:
                raise self._wrong(header, exc) from exc
            self._header = header
            self._body = memoryview(np.empty(header.body_bytes, dtype=np.uint8).data)
            self._fill = 0

    def next_message(self) -> Message | None:
        """What is complete, or None. :raises FrameError: it was damaged, or says what cannot be."""
        header, body = self._header, self._body
        if header is None or self._fill < header.body_bytes:
            return None
        try:
            message = MESSAGES[header.kind].read(header, body)
        except WrongMessageError as exc:
            raise self._wrong(header, exc) from exc
        self._header, self._body, self._fill = None, memoryview(b""), 0
        self._session.came(header.kind)
        return message

    def _wrong(self, header: Header, why: WrongMessageError) -> FrameError:
        return FrameError(
            f"the {self._session.other.value}'s {header.kind.name} at byte {self._began} of the link: {why}"
        )
