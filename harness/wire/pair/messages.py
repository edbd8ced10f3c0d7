"""What the halves say to each other: every message, with its fields. What it means is for who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Self

from backends.api import MOST_HELD_BYTES
from harness.errors import FrameError
from harness.wire.pair.fields import (
    BYTES,
    CODE,
    DIGEST,
    NAME_CHARACTERS,
    NONCE,
    TRUTH,
    WrongMessageError,
    choice,
    line,
    names,
    number,
    seconds,
    table,
    text,
)  # fmt: skip
from harness.wire.pair.forms import Document, Fixed, Message, Raw, Role, declare
from harness.wire.pair.frame import Header, Kind
from harness.wire.pair.verdict import Ask, Verdict

MAX_RAW_BYTES = (4 << 20) + (1 << 18)
"""No batch restores to more: ``backends.api.MAX_BATCH_BYTES`` and the records around its pages."""

NONCE_BYTES = 32
_MOST_ERROR_BYTES, _MOST_CODECS, _MOST_THREADS = 2000, 32, 256
MOST_CHANNELS = 256
"""Of a session; QEMU's multifd has at most 255 besides the main one."""


@dataclass(frozen=True, slots=True)
class Hello(Document):
    """What the sender has, and asks for."""

    kind: ClassVar = Kind.HELLO
    by: ClassVar = Role.SENDER
    session: Annotated[str, text(NAME_CHARACTERS), "the migration's name in the statistics of both halves"]
    codecs: Annotated[
        tuple[str, ...],
        names(_MOST_CODECS, NAME_CHARACTERS),
        "the backends that may compress; others name them by place",
    ]
    decompress_threads: Annotated[int, number("I", 1, _MOST_THREADS), "threads that restoring is worth"]
    backend: Annotated[str, text(NAME_CHARACTERS), "whose the options are"]
    options: Annotated[Mapping[str, bool | int | float | str], table(), "the backend's own, as the user gave them"]


@dataclass(frozen=True, slots=True)
class Join(Document):
    """This connection carries one more channel of a session that has begun."""

    kind: ClassVar = Kind.JOIN
    by: ClassVar = Role.SENDER
    session: Annotated[str, text(NAME_CHARACTERS), "the session's, as HELLO gave it"]
    channel: Annotated[int, number("I", 1, MOST_CHANNELS - 1), "the channel's number; HELLO's connection is channel 0"]
    urgent: Annotated[bool, TRUTH, "whether what comes on it waits for nothing of other channels"]


@dataclass(frozen=True, slots=True)
class Challenge(Fixed):
    """The receiver has a token, and the sender is to show that it has the same."""

    kind: ClassVar = Kind.CHALLENGE
    by: ClassVar = Role.RECEIVER
    nonce: Annotated[bytes, NONCE, "made for this session"]


@dataclass(frozen=True, slots=True)
class Response(Fixed):
    """The sender has it, and the receiver is to show the same."""

    kind: ClassVar = Kind.RESPONSE
    by: ClassVar = Role.SENDER
    nonce: Annotated[bytes, NONCE, "made for this session"]
    code: Annotated[bytes, CODE, "by the token, of `sender`, a zero byte, both nonces in their order, and the session"]


@dataclass(frozen=True, slots=True)
class Proof(Fixed):
    """So has the receiver."""

    kind: ClassVar = Kind.PROOF
    by: ClassVar = Role.RECEIVER
    code: Annotated[bytes, CODE, "the same of `receiver`"]


@dataclass(frozen=True, slots=True)
class Welcome(Document):
    """The receiver agrees."""

    kind: ClassVar = Kind.WELCOME
    by: ClassVar = Role.RECEIVER
    threads: Annotated[int, number("I", 1, _MOST_THREADS), "threads that will restore"]
    waits: Annotated[bool, TRUTH, "whether the guest may run there only behind END"] = False
    cores: Annotated[str, text(NAME_CHARACTERS), "a hash of its host, its processors and the session"] = ""
    speed: Annotated[
        int, number("I", 1, 1_000_000), "of a core, in thousandths of those that `auto` knows rates of"
    ] = 1000


@dataclass(frozen=True, slots=True)
class Prepare(Fixed):
    """Open a codec's history, so that no batch waits for its memory."""

    kind: ClassVar = Kind.PREPARE
    by: ClassVar = Role.SENDER
    codec: Annotated[int, number("B"), "its place in HELLO's list"]


@dataclass(frozen=True, slots=True)
class Prepared(Fixed):
    """If there is memory for it, it is open."""

    kind: ClassVar = Kind.PREPARED
    by: ClassVar = Role.RECEIVER
    histories: Annotated[int, number("B", 0, 1), "how many are open"]


@dataclass(frozen=True, slots=True)
class Probe(Raw):
    """Bytes by which the link is measured before a guest depends on it."""

    kind: ClassVar = Kind.PROBE
    by: ClassVar = Role.SENDER
    filler: Annotated[bytes | memoryview, BYTES, "random bytes, to be thrown away"]


@dataclass(frozen=True, slots=True)
class Probed(Fixed):
    """When a probe came."""

    kind: ClassVar = Kind.PROBED
    by: ClassVar = Role.RECEIVER
    waited_s: Annotated[float, seconds("Q"), "for how long the receiver has waited for the link so far"]
    now_s: Annotated[float, seconds("Q"), "the receiver's clock"]
    received_bytes: Annotated[int, number("Q"), "bytes that came over the link so far"]


@dataclass(frozen=True, slots=True)
class Ack(Fixed):
    """The destination QEMU was given one more batch. ``held_s`` is the receiver's time, the rest of a round trip the link's."""

    kind: ClassVar = Kind.ACK
    by: ClassVar = Role.RECEIVER
    batches: Annotated[int, number("Q"), "batches that it was given so far"]
    delivered_bytes: Annotated[int, number("Q"), "bytes of the stream that it was given so far"]
    restore_s: Annotated[float, seconds("I"), "what restoring this batch took, in CPU time"]
    held_s: Annotated[float, seconds("I"), "from this batch's last byte off the link until now"]
    waited_s: Annotated[float, seconds("Q"), "for how long the receiver has waited for the link so far"]
    now_s: Annotated[float, seconds("Q"), "the receiver's clock"]
    received_bytes: Annotated[int, number("Q"), "bytes that came over the link so far"]


@dataclass(frozen=True, slots=True)
class Return(Raw):
    """What the destination QEMU answers to the source."""

    kind: ClassVar = Kind.RETURN
    by: ClassVar = Role.RECEIVER
    data: Annotated[bytes | memoryview, BYTES, "a piece of its return path, as it is"]


@dataclass(frozen=True, slots=True)
class ReturnEnd(Fixed):
    """The destination QEMU answers no more."""

    kind: ClassVar = Kind.RETURN_END
    by: ClassVar = Role.RECEIVER
    answered_bytes: Annotated[int, number("Q"), "bytes that it answered in all"]


@dataclass(frozen=True, slots=True)
class End(Fixed):
    """The source QEMU has closed its stream, and this was all of it."""

    kind: ClassVar = Kind.END
    by: ClassVar = Role.SENDER
    batches: Annotated[int, number("Q"), "batches in all"]
    stream_bytes: Annotated[int, number("Q"), "bytes of the stream in all"]
    batches_digest: Annotated[bytes, DIGEST, "of all batches' raw digests in order, 8 bytes little-endian each"]


@dataclass(frozen=True, slots=True)
class Done(Document):
    """The destination QEMU has all of it, and has closed."""

    kind: ClassVar = Kind.DONE
    by: ClassVar = Role.RECEIVER
    report: Annotated[Mapping[str, Any], table(nested=True), "the receiver's statistics; empty but for channel 0"]


@dataclass(frozen=True, slots=True)
class Error(Raw):
    """Why a half stops; nothing comes behind it."""

    kind: ClassVar = Kind.ERROR
    by: ClassVar = None
    most_bytes: ClassVar = _MOST_ERROR_BYTES
    text: Annotated[str, line(_MOST_ERROR_BYTES), "one line for the user"]


class Layout(IntEnum):
    """How a batch's body restores: STORED is the slice itself; PACKED is a plan and a codec's output (``wire.batch``). So is
    HELD, but part of the output may come with the batches behind it, up to the next PACKED one."""

    STORED = 0
    PACKED = 1
    HELD = 2


@dataclass(frozen=True, slots=True)
class Batch(Message):
    """One slice of the stream. Its fields travel in the header; its body is data.

    ``parts`` of the body are never copied together. Whether it is what was sent is for who restores it to check.
    """

    kind: ClassVar = Kind.BATCH
    by: ClassVar = Role.SENDER
    sequence: Annotated[int, number("Q"), "its number, from 0"]
    codec: Annotated[int, number("B"), "who packed it: a place in HELLO's list"]
    layout: Annotated[Layout, choice(Layout), "what the body is"]
    page_shift: Annotated[int, number("B", 10, 16), "a page has 2 to this power bytes"]
    raw_bytes: Annotated[int, number("I", 1, MAX_RAW_BYTES), "bytes of the stream that it restores to"]
    plan_bytes: Annotated[int, number("I"), "how many of the body are the plan; the rest is the codec's"]
    pages: Annotated[int, number("I"), "pages in it"]
    raw_digest: Annotated[int, number("Q"), "XXH3-64 of what it restores to"]
    body_digest: Annotated[int, number("Q"), "XXH3-64 of the body"]
    parts: tuple[bytes | memoryview, ...]

    @property
    def body_bytes(self) -> int:
        """As it travels."""
        return sum(map(len, self.parts))

    def frame(self) -> tuple[Header, tuple[bytes | memoryview, ...]]:
        """As it travels."""
        header = Header(
            self.kind, self.codec, self.layout, self.page_shift, self.sequence, self.raw_bytes, self.body_bytes,
            self.plan_bytes, self.pages, self.raw_digest, self.body_digest,
        )  # fmt: skip
        return header, self.parts

    @classmethod
    def require_possible(cls, header: Header) -> None:
        """Each field by itself, then together."""
        for field in cls.checked:
            field.kind.read(field.name, getattr(header, field.name))
        raw_bytes, body_bytes, stored = header.raw_bytes, header.body_bytes, header.layout == Layout.STORED
        if body_bytes > _grown_bytes(raw_bytes + MOST_HELD_BYTES) or (stored and body_bytes != raw_bytes):
            raise WrongMessageError(
                f"{'a stored' if stored else 'a'} slice of {raw_bytes} bytes travels as {body_bytes}"
            )
        if header.plan_bytes > body_bytes or header.pages << header.page_shift > MAX_RAW_BYTES:
            raise WrongMessageError(
                f"a plan of {header.plan_bytes} bytes, {header.pages} pages of 2^{header.page_shift} bytes: out of bounds"
            )

    def joined(self) -> Batch:
        """As it comes out at the other end: its body in one part."""
        return replace(self, parts=(b"".join(self.parts),))

    def require_undamaged(self, body_digest: int) -> None:
        """``body_digest``: as computed from what came. :raises FrameError: it is not what was sent."""
        if body_digest != self.body_digest:
            raise FrameError(f"batch {self.sequence}: its {self.body_bytes} bytes were damaged on the way")

    @classmethod
    def read(cls, header: Header, body: memoryview) -> Self:
        """What came, with its body in one part."""
        return cls(
            header.sequence, header.codec, Layout(header.layout), header.page_shift, header.raw_bytes, header.plan_bytes,
            header.pages, header.raw_digest, header.body_digest, (body,),
        )  # fmt: skip


def _grown_bytes(raw_bytes: int) -> int:
    """The largest body: only one that a codec keeps in its history, and that cannot shrink, is larger than its slice."""
    return raw_bytes + raw_bytes // 128 + 1024


MESSAGES: Mapping[Kind, type[Message]] = {
    each.kind: declare(each)
    for each in (
        Hello, Join, Ask, Challenge, Response, Proof, Welcome, Verdict, Prepare, Prepared, Probe, Probed, Batch, Ack, Return,
        ReturnEnd, End, Done, Error,
    )
}  # fmt: skip
