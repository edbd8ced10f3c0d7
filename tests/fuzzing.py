"""Mutated sessions between the pair's halves: a real receiver against a sender that lies, a real sender against such a receiver.

One number makes one session. What must hold whatever comes: a half ends with its work done or one of our errors, in seconds; what a
destination got is the beginning of the source's stream, and all of it where the receiver says so.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import streams
from pairs import Half
from peers import SHUT, listening, play_receiver, record_sender, sender_to

from harness.errors import PageferryError
from harness.migrator.address import Address
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.wire.frame import _HEADER as HEADER  # the tests' own way to break what it guards
from harness.wire.frame import HEADER_BYTES, KIND_AT, Kind, Layout, control, digest

PATIENCE_S = 5.0
_SILENCE_S = 0.3
"""A played receiver leaves when its sender says nothing for so long, which may be waiting for a frame that was dropped."""

_NUMBERS = (0, 1, 2, 7, 255, 256, 4096, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63, (1 << 64) - 1)
_WIDTHS = (None, 1, 1, 1, 1, 8, 4, 4, 4, 4, 8, 8)
_JSON = (
    "[" * 60_000, '{"a":' * 9_000, "9" * 5_000, "1e999", "NaN", "null", "[]", '"x"', "", "{", "\\ud800", '{"protocol": 1}',
)  # fmt: skip


def sealed(fields: list[int | bytes], body: bytes) -> bytes:
    """A frame whose header is consistent with itself, whatever it says."""
    packed = HEADER.pack(*fields[:12], 0, 0)[:-8]
    return packed + digest(packed).to_bytes(8, "little") + body


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
        if frame[KIND_AT] in (Kind.HELLO, Kind.WELCOME, Kind.DONE) and self._greetings and rng.random() < 0.8:
            return self._greeting(frame)
        fields, body = list(HEADER.unpack(frame[:HEADER_BYTES])), bytearray(frame[HEADER_BYTES:])
        if body and rng.random() < 0.4:
            self._harm(body)
            plan = fields[8]
            fields[11] = (
                digest(bytes(body[:plan])) ^ digest(bytes(body[plan:]))
                if fields[1] == Kind.BATCH
                else digest(bytes(body))
            )
            if fields[3] == Layout.STORED:
                fields[11] = digest(bytes(body))
            return sealed(fields, bytes(body))
        at = rng.randrange(1, 12)
        fields[at] = self._number(fields[at]) % (1 << 8 * _WIDTHS[at])
        return sealed(fields, bytes(body))

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
            return control(Kind(frame[KIND_AT]), rng.choice(_JSON).encode()[:60_000])
        key = rng.choice([*told, "protocol", "codecs", "histories", "cache_bytes", "threads", "parameters", "probes"])
        told[key] = rng.choice((
            *_NUMBERS, -1, 1.5, True, None, "", "zlib", [], {}, ["none", "nosuch"], ["none", 3], ["none"] * 99, {"backend": []},
            {"backend": "zstd-long", "window": "1GiB"}, {"backend": "zstd-long", "window": {}}, "x" * 5000, 10**300,
        ))  # fmt: skip
        return control(Kind(frame[KIND_AT]), json.dumps(told).encode()[:60_000])

    def _made_up(self) -> bytes:
        kinds = [kind for kind in Kind if kind is not Kind.BATCH]
        kind = self._rng.choice(kinds)
        body = self._rng.randbytes(self._rng.choice((0, 0, 16, 29, 1000)))
        return control(kind, body, sequence=self._number(0) % (1 << 64), delivered_bytes=self._number(0) % (1 << 64))


@dataclass
class Count:
    """What became of the sessions."""

    sessions: int = 0
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    slowest_s: float = 0.0


class Fuzzer:
    """Sessions by number. ``run`` gives what is wrong with one, or None. One session at a time."""

    def __init__(self, folder: Path, *, greetings: bool = True) -> None:
        self.count = Count()
        self._folder = folder
        self._greetings = greetings
        self._data = streams.small_stream(3, sections=10)
        self._rewritten = streams.rewritten_stream(random.Random(2), 24, 4, 64)
        self._sessions = [
            (self._data, record_sender(self._made("a"), self._data, "zlib", batch_bytes=16 << 10)),
            (
                self._data,
                record_sender(
                    self._made("b"), self._data, "zstd-long", batch_bytes=32 << 10, options={"window": "1MiB"}
                ),
            ),
            (
                self._rewritten,
                record_sender(self._made("c"), self._rewritten, "zstd", batch_bytes=16 << 10, cache_bytes=1 << 20),
            ),
            (self._data, record_sender(self._made("d"), self._data, "auto", batch_bytes=64 << 10)),
        ]
        self._guests = _Guests(self._made("e") / "d")
        self._receiver: Half | None = None
        self._begin_rss = _rss_bytes()

    def close(self) -> None:
        """End what waits for another session."""
        self._guests.close()

    def run(self, number: int) -> str | None:
        """Session ``number``."""
        rng = random.Random(number)
        began_s = time.monotonic()
        wrong = self._attack_receiver(rng) if rng.random() < 0.7 else self._attack_sender(rng)
        self.count.sessions += 1
        self.count.slowest_s = max(self.count.slowest_s, time.monotonic() - began_s)
        if (grown := _rss_bytes() - self._begin_rss) > 512 << 20:
            self._begin_rss += grown
            return wrong or f"memory grew by {grown >> 20} MiB"
        return wrong

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _attack_receiver(self, rng: random.Random) -> str | None:
        data, frames = rng.choice(self._sessions)
        _, others = rng.choice(self._sessions)
        frames = Mutator(rng, greetings=self._greetings).session(frames, others)
        self._guests.begin(
            close_at=rng.choice((None, None, None, rng.randrange(len(data)))), answers=rng.random() < 0.3
        )
        receiver = self._listening()
        if not self._say(b"".join(frames)):
            return self._judged(receiver.error, done=False) or "the receiver did not end the session"
        got = self._guests.end()
        if got is None:
            return "the receiver did not close the destination"
        assert receiver.thread is not None
        receiver.thread.join(0.02)
        error = receiver.error if not receiver.thread.is_alive() else None
        if not data.startswith(got):
            return f"wrong bytes were delivered, {len(got)} in all"
        if receiver.result is not None and got != data:
            return f"the receiver says done with {len(got)} of {len(data)} bytes"
        return self._judged(error, done=receiver.result is not None)

    def _listening(self) -> Half:
        """A receiver that waits for a sender; one that refused the last one still does."""
        if self._receiver is None or self._receiver.thread is None or not self._receiver.thread.is_alive():
            config = ReceiveConfig(
                Address(path=str(self._folder / "r")), Address(path=str(self._guests.path)), threads=1
            )
            self._receiver = Half().start(run_receiver, config)
        return self._receiver

    def _say(self, data: bytes) -> bool:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(str(self._folder / "r"))
            draining = threading.Thread(target=_drain, args=(peer,), daemon=True)
            draining.start()
            with contextlib.suppress(OSError):
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
            draining.join(PATIENCE_S)
            return not draining.is_alive()

    def _attack_sender(self, rng: random.Random) -> str | None:
        mutator, at = Mutator(rng, greetings=self._greetings), rng.choice((0, 0, 1, rng.randrange(40)))
        seen = 0

        def change(frame: bytes) -> list[bytes]:
            nonlocal seen
            seen += 1
            return mutator.frame(frame) if seen - 1 == at or rng.random() < 0.02 else [frame]

        data = self._data[: rng.choice((len(self._data), rng.randrange(len(self._data))))]

        def play(peer: socket.socket) -> None:
            peer.settimeout(_SILENCE_S)
            play_receiver(peer, change, confirm_at=len(data))

        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            backend = rng.choice(("zlib", "zlib", "auto"))
            began = sender_to(Path(name), play, backend, without_return_path=rng.random() < 0.5, batch_bytes=32 << 10)
            with began as (sender, source):
                with contextlib.suppress(OSError):
                    source.settimeout(PATIENCE_S)
                    source.sendall(data)
                    if rng.random() < 0.7:
                        source.recv(len(SHUT))
                source.close()
                assert sender.thread is not None
                sender.thread.join(PATIENCE_S)
                if sender.thread.is_alive():
                    return "the sender hangs"
        return self._judged(sender.error, done=sender.result is not None)

    def _judged(self, error: BaseException | None, *, done: bool) -> str | None:
        self.count.done += done
        if error is None:
            return None
        name = type(error).__name__
        self.count.errors[name] = self.count.errors.get(name, 0) + 1
        return None if isinstance(error, PageferryError) else f"{name}: {error}"


class _Guests:
    """The destination of every session: takes what comes, from one connection at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = listening(path)
        self._listener.settimeout(None)
        self._got = bytearray()
        self._idle = threading.Event()
        self._idle.set()
        self._close_at: int | None = None
        self._answers = False
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, *, close_at: int | None, answers: bool) -> None:
        self._got, self._close_at, self._answers = bytearray(), close_at, answers

    def end(self) -> bytes | None:
        """All that came in this session. None: its connection is still open."""
        return bytes(self._got) if self._idle.wait(PATIENCE_S) else None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._idle.clear()
                with connection, contextlib.suppress(OSError):
                    self._take(connection, self._got)
                self._idle.set()

    def _take(self, connection: socket.socket, got: bytearray) -> None:
        while data := connection.recv(1 << 16):
            got += data
            if self._close_at is not None and len(got) > self._close_at:
                return
        if self._answers:
            connection.sendall(SHUT)


def _drain(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):
            pass


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def fuzzer(*, greetings: bool = True) -> Iterator[Fuzzer]:
    """One in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="pageferry-fuzz-") as name:
        made = Fuzzer(Path(name), greetings=greetings)
        try:
            yield made
        finally:
            made.close()
