"""Breaks the frames of a session in every way there is, by a seed."""

from __future__ import annotations

import contextlib
import json
import random

from frames import document, kind_of, raw

from harness.errors import FrameError
from harness.wire.pair.frame import HEADER_BYTES, Header, Kind, decode_header, digest, encode_header

__all__ = ["Mutator"]

_NUMBERS = (0, 1, 2, 7, 255, 256, 4096, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63, (1 << 64) - 1)
_WIDTHS = Header(1, 1, 1, 1, 8, 4, 4, 4, 4, 8, 8)
_JSON = (
    "[" * 60_000, '{"a":' * 9_000, "9" * 5_000, "1e999", "NaN", "null", "[]", '"x"', "", "{", "\\ud800", '{"protocol": 1}',
)  # fmt: skip


class Mutator:
    """Breaks frames in every way that ``rng`` thinks of. ``greetings``: those of HELLO, WELCOME and DONE too."""

    def __init__(self, rng: random.Random, *, greetings: bool = True) -> None:
        self._rng = rng
        self._greetings = greetings

    def session(self, frames: list[bytes], others: list[bytes]) -> list[bytes]:
        """Up to three changes; ``others`` are frames of another session."""
        frames = list(frames)
        for _ in range(self._rng.randrange(1, 4)):
            self._rearrange(frames, others) if self._rng.random() < 0.4 else self._break_one(frames)
        return frames

    def frame(self, frame: bytes) -> list[bytes]:
        """One frame, changed."""
        how = self._rng.randrange(8)
        if how < 2:
            return [frame] * (2 * how)
        if how == 2:
            return [frame, self._made_up()]
        return [self._broken(frame)]

    def _rearrange(self, frames: list[bytes], others: list[bytes]) -> None:
        rng, at = self._rng, self._rng.randrange(len(frames))
        how = rng.randrange(5)
        if how == 0:
            frames[at : None if rng.random() < 0.3 else at + 1] = [b""]
        elif how == 1:
            frames.insert(rng.randrange(len(frames) + 1), frames[at])
        elif how == 2:
            other = rng.randrange(len(frames))
            frames[at], frames[other] = frames[other], frames[at]
        elif how == 3:
            frames.insert(at, rng.choice(others))
        else:
            frames.insert(at, self._made_up())

    def _break_one(self, frames: list[bytes]) -> None:
        at = self._rng.randrange(len(frames))
        frames[at] = self._broken(frames[at])

    def _broken(self, frame: bytes) -> bytes:
        rng = self._rng
        if len(frame) < HEADER_BYTES or rng.random() < 0.2:
            return self._torn(frame)
        try:
            header = decode_header(frame[:HEADER_BYTES], 0)
        except FrameError:  # it is broken already
            return self._torn(frame)
        if header.kind in (Kind.HELLO, Kind.WELCOME, Kind.DONE) and self._greetings and rng.random() < 0.8:
            return self._greeting(frame)
        body = bytearray(frame[HEADER_BYTES:])
        if body and rng.random() < 0.4:
            self._harm(body)
            return encode_header(header._replace(body_digest=digest(body))) + bytes(body)
        name, width = rng.choice(list(_WIDTHS._asdict().items()))
        number = self._number(getattr(header, name)) % (1 << 8 * width)
        return encode_header(header._replace(**{name: number})) + bytes(body)

    def _torn(self, frame: bytes) -> bytes:
        data = bytearray(frame or b"x")
        if self._rng.random() < 0.5:
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
            return bytes(data)
        return bytes(data[: self._rng.randrange(len(data))]) + self._rng.randbytes(self._rng.choice((0, 0, 3, 100)))

    def _harm(self, body: bytearray) -> None:
        for _ in range(self._rng.randrange(1, 5)):
            body[self._rng.randrange(len(body))] = self._rng.randrange(256)

    def _number(self, value: int) -> int:
        return self._rng.choice((*_NUMBERS, value + 1, value - 1, value * 2, self._rng.getrandbits(64)))

    def _greeting(self, frame: bytes) -> bytes:
        rng = self._rng
        told = None
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(frame[HEADER_BYTES:])
        if not isinstance(told, dict) or rng.random() < 0.3:
            return document(kind_of(frame), rng.choice(_JSON).encode()[:60_000])
        key = rng.choice([*told, "protocol", "codecs", "decompress_threads", "threads", "options", "report"])
        told[key] = rng.choice((
            *_NUMBERS, -1, 1.5, True, None, "", "zlib", [], {}, ["none", "nosuch"], ["none", 3], ["none"] * 99, {"backend": []},
            {"backend": "zstd-long", "window": "1GiB"}, {"backend": "zstd-long", "window": {}}, "x" * 5000, 10**300,
        ))  # fmt: skip
        return document(kind_of(frame), json.dumps(told).encode()[:60_000])

    def _made_up(self) -> bytes:
        kinds = [kind for kind in Kind if kind is not Kind.BATCH]
        kind = self._rng.choice(kinds)
        body = self._rng.randbytes(self._rng.choice((0, 0, 1, 4, 24, 32, 48, 1000)))
        return raw(kind, body, sequence=self._rng.choice((0, 0, self._number(0) % (1 << 64))))
