"""Frames for tests: right ones from messages, and wrong ones whose header is consistent with itself, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from harness.wire.pair.decoder import encode
from harness.wire.pair.forms import Message
from harness.wire.pair.frame import HEADER_BYTES, Header, Kind, decode_header, digest, encode_header
from harness.wire.pair.messages import (
    MESSAGES,
    Ack,
    Batch,
    Challenge,
    Done,
    End,
    Error,
    Hello,
    Join,
    Layout,
    Prepare,
    Prepared,
    Probe,
    Probed,
    Proof,
    Response,
    Return,
    ReturnEnd,
    Welcome,
)
from harness.wire.pair.verdict import Ask, Fate, Verdict

HELLO = Hello("x", ("none", "zlib"), 1, "zlib", {})


def whole(message: Message) -> bytes:
    return b"".join(encode(message))


def raw(kind: Kind, body: bytes = b"", **fields: int) -> bytes:
    """A frame of any body; ``fields`` of its header as given."""
    return encode_header(Header(kind, **{"body_bytes": len(body), "body_digest": digest(body), **fields})) + body


def document(kind: Kind, told: object) -> bytes:
    return raw(kind, told if isinstance(told, bytes) else json.dumps(told).encode())


def told_by(message: Message) -> dict[str, object]:
    """A document's fields."""
    return json.loads(whole(message)[HEADER_BYTES:])


def hello(**fields: object) -> bytes:
    """A greeting with some fields as given, whatever they are; ``...`` leaves one out."""
    told = told_by(HELLO) | fields
    return document(Kind.HELLO, {name: value for name, value in told.items() if value is not ...})


def stored(data: bytes, sequence: int = 0, **fields: object) -> Batch:
    """A batch as it is, with some fields as given."""
    one = digest(data)
    return replace(Batch(sequence, 0, Layout.STORED, 12, len(data), 0, 0, one, one, (data,)), **fields)


def read(frame: bytes) -> Message:
    """The message in a whole frame, whoever says it."""
    header = decode_header(frame[:HEADER_BYTES], 0)
    cls = MESSAGES[header.kind]
    cls.require_possible(header)
    return cls.read(header, memoryview(frame)[HEADER_BYTES:])


def split_frames(data: bytes | bytearray) -> Iterator[bytes]:
    """Each whole frame, as it is; what comes behind them is taken out of none."""
    at = 0
    while at + HEADER_BYTES <= len(data):
        end = at + HEADER_BYTES + decode_header(data[at : at + HEADER_BYTES], at).body_bytes
        if end > len(data):
            return
        yield bytes(data[at:end])
        at = end


def kind_of(frame: bytes) -> Kind:
    return Kind(frame[4])


EXAMPLES: dict[Kind, Message] = {
    each.kind: each
    for each in (
        HELLO, Join("x", 1, True), Ask("x"), Verdict(Fate.ARRIVED, {"threads": 2}),
        Challenge(bytes(32)), Response(bytes(32), bytes(range(32))), Proof(bytes(range(32))),
        Welcome(3), Prepare(1), Prepared(1), Probe(bytes(100)), Probed(1.5, 2.25, 3 << 40), stored(b"abc"),
        Ack(1, 2, 0.25, 0.5, 1.5, 2.25, 3 << 40), Return(b"pong"), ReturnEnd(4), End(7, 1 << 40, bytes(range(16))),
        Done({"threads": 2, "counters": {"a": 1.5}}), Error("the device is gone"),
    )
}  # fmt: skip
"""One of each kind."""
