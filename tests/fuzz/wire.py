"""Targets that read what came over a socket: messages, both halves' order of them, QEMU's streams, plans and packed batches.

An input of ``messages``, ``plans`` and ``dialogue`` says which sums are to be made right, or no change would come behind them.
"""

from __future__ import annotations

import struct
import zlib
from functools import partial

import sample_streams as streams
from frames import EXAMPLES, whole

from backends import registry
from backends.api import BackendError
from fuzz.target import Target, refused
from harness.streams.passes import StreamNotes
from harness.wire.batch import join, split
from harness.wire.pair.decoder import MessageDecoder, encode
from harness.wire.pair.fields import WrongMessageError
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import HEADER_BYTES, Kind, decode_header, digest
from harness.wire.pair.messages import MAX_RAW_BYTES, MESSAGES, Batch
from harness.wire.pair.states import Session
from harness.wire.qemu.returnpath import ReturnPath
from harness.wire.qemu.stream import QStreamParser

__all__ = ["TARGETS"]

_SEALED, _SIZED, _DIGESTED, _MARKED = 1, 2, 4, 8
_HEAD_BYTES = HEADER_BYTES - 16
_MOST_STEPS = 40
_DECODERS = ("zlib", "isal", "zlib-ng", "libdeflate", "lz4", "zstd", "none")


# ---------------------------------------------------------------------------------------------------------- messages


def _frame(data: bytes) -> bytes:
    """A flag byte, a header without its sums, and a body -> a frame whose sums are as the flags say."""
    flags, head, body = data[0], bytearray(data[1 : 1 + _HEAD_BYTES].ljust(_HEAD_BYTES, b"\0")), data[1 + _HEAD_BYTES :]
    if flags & _MARKED:
        head[:4] = b"PFR1"
    if flags & _SIZED:
        head[20:24] = struct.pack("<I", len(body))
    if flags & _DIGESTED:
        head[40:48] = struct.pack("<Q", digest(body))
    head += bytes(8)
    return bytes(head + digest(head).to_bytes(8, "little" if flags & _SEALED else "big")) + body


def _messages(data: bytes) -> str | None:
    """What is read comes back the same when it is written; nothing else is read."""
    frame, wrong = _frame(data or b"\0"), None

    def read() -> None:
        nonlocal wrong
        header = decode_header(frame[:HEADER_BYTES], 0)
        MESSAGES[header.kind].require_possible(header)
        body = memoryview(frame)[HEADER_BYTES:]
        if len(body) == header.body_bytes:
            message = MESSAGES[header.kind].read(header, body)
            again = b"".join(encode(message))
            if header.kind in (Kind.BATCH, Kind.RETURN, Kind.PROBE) and again != frame:
                wrong = f"{header.kind.name} is written as {len(again)} other bytes"

    refused(read, WrongMessageError)
    return wrong


def _message_seeds() -> list[bytes]:
    return [bytes([15]) + whole(each)[:_HEAD_BYTES] + whole(each)[HEADER_BYTES:] for each in EXAMPLES.values()]


# ---------------------------------------------------------------------------------------------------------- dialogue


class _Half:
    """One half's view of a session: what it may say, and what it hears."""

    def __init__(self, other: Role) -> None:
        self.session = Session(other)
        self._decoder = MessageDecoder(self.session)

    def hears(self, frame: bytes) -> None:
        """:raises FrameError: as the decoder does, and as who restores a batch."""
        rest = memoryview(frame)
        while rest:
            room = self._decoder.get_buffer()
            assert 0 < len(room) <= max(HEADER_BYTES, 2 * MAX_RAW_BYTES + (8 << 20)), "room for more than a message"
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            self._decoder.buffer_updated(count)
            message = self._decoder.next_message()
            if isinstance(message, Batch):
                message.require_undamaged(digest(*message.parts))


def _dialogue(data: bytes) -> str | None:
    """Both halves walk one table: what one may say the other takes, and what it may not the other refuses."""
    halves = {Role.SENDER: _Half(Role.RECEIVER), Role.RECEIVER: _Half(Role.SENDER)}
    kinds = list(Kind)
    for step in data[:_MOST_STEPS]:
        speaker, kind = (Role.SENDER, Role.RECEIVER)[step >> 7], kinds[step % len(kinds)]
        frame, hearer = whole(EXAMPLES[kind]), halves[Role.RECEIVER if speaker is Role.SENDER else Role.SENDER]
        may_not = refused(partial(halves[speaker].session.says, kind))
        if step & 64:  # damaged on the way: always refused
            taken = not refused(partial(hearer.hears, frame[:-1] + bytes([frame[-1] ^ 1])))
            return f"damaged {kind.name} taken" if taken else None
        if refused(partial(hearer.hears, frame)) != may_not:
            return f"{kind.name} from the {speaker.value}: one half takes it, the other does not"
        if may_not:
            return None
    return None


def _dialogue_seeds() -> list[bytes]:
    sender, receiver = 0, 128
    number = {kind: place for place, kind in enumerate(Kind)}
    greeting = [sender + number[Kind.HELLO], receiver + number[Kind.WELCOME]]
    proven = [
        sender + number[Kind.HELLO], receiver + number[Kind.CHALLENGE], sender + number[Kind.RESPONSE],
        receiver + number[Kind.PROOF], receiver + number[Kind.WELCOME], sender + number[Kind.END], receiver + number[Kind.DONE],
    ]  # fmt: skip
    carried = [
        sender + number[Kind.PROBE], receiver + number[Kind.PROBED], sender + number[Kind.PREPARE],
        receiver + number[Kind.PREPARED], sender + number[Kind.BATCH], receiver + number[Kind.ACK],
        receiver + number[Kind.RETURN], receiver + number[Kind.RETURN_END], sender + number[Kind.END], receiver + number[Kind.DONE],
    ]  # fmt: skip
    return [bytes(proven), bytes(greeting + carried)]


# ------------------------------------------------------------------------------------------------------ QEMU's bytes


def _streams(data: bytes) -> str | None:
    """Whatever comes and wherever it is cut, the same bytes come out; each batch splits and joins; a study of it ends too."""
    if not data:
        return None
    step, stream = 1 + data[0] * 37, data[1:]
    parser, notes, answers, out = QStreamParser(16 << 10), StreamNotes(), ReturnPath(), []
    for at in range(0, len(stream), step):
        piece = stream[at : at + step]
        batches = parser.receive_data(piece)
        notes.take(piece, 0.0)
        answers.receive_data(piece)
        out += batches
    out += filter(None, [parser.finish()])
    parser.is_whole()
    if b"".join(batch.raw for batch in out) != stream:
        return f"{len(stream)} bytes went in, others came out"
    if notes.facts().stream_bytes != len(stream):
        return f"{notes.facts().stream_bytes} bytes were counted of {len(stream)}"
    for batch in out:
        if join(*split(batch), batch.raw_bytes, batch.page_bytes) != batch.raw:
            return f"a batch of {batch.raw_bytes} bytes does not come back from its plan"
    return None


def _stream_seeds() -> list[bytes]:
    begin = streams.header() + streams.config(subsections=[streams.target_page_bits(12), streams.uuid()])
    page = bytes(range(256)) * 16
    ram = streams.start_ram([("pc.ram", 64 * 4096), ("vga", 4096)])
    post = [streams.command(streams.POSTCOPY_ADVISE, bytes(16)), ram, streams.part(streams.raw_page(0, page, "pc.ram"))]
    whole_one = [begin, ram, streams.part(streams.raw_page(0, page, "pc.ram"), streams.zero_page(4096)), streams.end()]
    return [
        b"\x40" + streams.small_stream(3, sections=1, records=4),
        b"\xff" + streams.small_stream(5, sections=3, records=2),
        b"\x01" + b"".join([*whole_one, streams.eof(), streams.vmdescription()]),
        b"\x07" + b"".join([begin, *post, streams.packaged(b"x" * 64)]),
        b"\x02" + struct.pack(">HHI", 1, 4, 0) + struct.pack(">HH2xQ", 5, 2, 1 << 40),
    ]


# ---------------------------------------------------------------------------------------------------- packed batches


def _plans(data: bytes) -> str | None:
    """A plan of others joins to just the bytes that were announced, or is refused. Flag 1: the plan is not packed yet."""
    if len(data) < 8:
        return None
    flags, shift, count, raw_bytes = (
        data[0],
        10 + data[1] % 7,
        data[2] % 64,
        int.from_bytes(data[3:7], "little") % MAX_RAW_BYTES,
    )
    plan = zlib.compress(data[7:], 1) if flags & 1 else data[7:]
    wrong: str | None = None

    def restore() -> None:
        nonlocal wrong
        raw = join(plan, memoryview(bytes(count << shift)), raw_bytes, 1 << shift)
        if len(raw) != raw_bytes:
            wrong = f"{len(raw)} bytes, not {raw_bytes}"

    refused(restore)
    return wrong


def _plan_seeds() -> list[bytes]:
    flat = struct.pack("<IIIII", 2, 3, 2, 0, 1) + bytes(3 * 8) + b"abc" + b"tail"
    head = bytes([1, 2, 3]) + (3 * 4104 + 7).to_bytes(4, "little")
    return [head + flat, bytes([0, 2, 3]) + (3 * 4104 + 7).to_bytes(4, "little") + zlib.compress(flat)]


def _codecs(data: bytes) -> str | None:
    """Each decompressor gives just as many bytes as were asked for, or its own error."""
    if len(data) < 5:
        return None
    decoder = registry.load(_DECODERS[data[0] % len(_DECODERS)])()
    raw_bytes = int.from_bytes(data[1:5], "little") % (decoder.info.most_restored_bytes + 2)
    wrong: str | None = None

    def restore() -> None:
        nonlocal wrong
        raw = decoder.decompress(data[5:], raw_bytes)
        if len(raw) != raw_bytes:
            wrong = f"{decoder.info.name} gave {len(raw)} bytes, not {raw_bytes}"

    refused(restore, BackendError)
    decoder.close()
    return wrong


def _codec_seeds() -> list[bytes]:
    raw = (bytes(range(256)) * 16 + bytes(4096) + b"page " * 800)[:12288]
    return [
        bytes([place]) + len(raw).to_bytes(4, "little") + bytes(registry.load(name)().compress(raw))
        for place, name in enumerate(_DECODERS)
    ]


TARGETS = (
    Target("messages", _messages, _message_seeds),
    Target("dialogue", _dialogue, _dialogue_seeds, most_bytes=_MOST_STEPS),
    Target("streams", _streams, _stream_seeds, most_bytes=1 << 16),
    Target("plans", _plans, _plan_seeds),
    Target("codecs", _codecs, _codec_seeds),
)
