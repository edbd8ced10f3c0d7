"""Mutated sessions between the pair's halves: a real receiver against a sender that lies, a real sender against such a receiver.

One number makes one session. What must hold whatever comes: a half ends with its work done or one of our errors, in seconds; what a
destination got is the beginning of the source's stream, and all of it where the receiver says so. Only a sender that gives a whole
batch another's number, all digests right, can have it delivered there; then the receiver must not say that it is done.
"""

from __future__ import annotations

import contextlib
import random
import resource
import select
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sample_streams
from frames import kind_of
from mutations import Mutator
from pairs import Half
from peers import SHUT, listening, play_receiver, record_holding_sender, record_sender, sender_to

from harness.errors import PageferryError
from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.transport.tls_files import context_of
from harness.wire.pair.frame import HEADER_BYTES, Kind

PATIENCE_S = 60.0
_BUSY = b"another sender is being served"
_SILENCE_S = 0.3
"""A played receiver leaves when its sender says nothing for so long, which may be waiting for a frame that was dropped."""


@dataclass
class Count:
    """What became of the sessions."""

    sessions: int = 0
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    slowest_s: float = 0.0


class Fuzzer:
    """Sessions by number. ``run`` gives what is wrong with one, or None. One session at a time. ``tls``: the receiver's folder of
    certificates; its senders are then Python's own ``SSLSocket``, and they alone lie."""

    def __init__(self, folder: Path, *, greetings: bool = True, tls: Path | None = None) -> None:
        self._tls = tls
        self._client = None if tls is None else context_of(tls, server_side=False)
        self.count = Count()
        self._folder = folder
        self._greetings = greetings
        self._data = sample_streams.small_stream(3, sections=10)
        self._rewritten = sample_streams.rewritten_stream(random.Random(2), 24, 4, 64)
        self._sessions = [
            (self._data, record_sender(self._made("a"), self._data, "zlib", batch_bytes=16 << 10)),
            (self._data, record_holding_sender(self._made("b"), self._data)),
            (
                self._rewritten,
                record_sender(self._made("c"), self._rewritten, "zstd", batch_bytes=16 << 10),
            ),
            (self._data, _few_probes(record_sender(self._made("d"), self._data, "auto", batch_bytes=64 << 10))),
        ]
        self._guests = _Guests(self._made("e") / "d")
        self._receiver, self._is_judged = Half(), True
        self._begin_rss = _rss_bytes()

    @property
    def said(self) -> list[str]:
        """By the receiver of the last sessions."""
        return self._receiver.said

    def close(self) -> None:
        """End what waits for another session."""
        self._guests.close()

    def run(self, number: int) -> str | None:
        """Session ``number``."""
        rng = random.Random(number)
        began_s = time.monotonic()
        wrong = self._attack_receiver(rng) if self._tls or rng.random() < 0.7 else self._attack_sender(rng)
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
        others = rng.choice([others for stream, others in self._sessions if stream is data])
        own, frames = frames, Mutator(rng, greetings=self._greetings).session(frames, others)
        self._guests.begin(
            close_at=rng.choice((None, None, None, rng.randrange(len(data)))), answers=rng.random() < 0.3
        )
        said: bytearray | None = bytearray(_BUSY)
        while said is not None and _BUSY in said:  # until it is done with the session before
            peer, late = self._connected()
            if late is not None:
                peer.close()
                return f"in the session before: {late}"
            said = self._say(peer, b"".join(frames))
        receiver = self._receiver
        if said is None:
            return self._judged(receiver.error, done=False) or "the receiver did not end the session"
        got = self._guests.end()
        if got is None:
            return "the receiver did not close the destination"
        if not data.startswith(got) and not _has_another_number(frames, own):
            return f"wrong bytes were delivered, {len(got)} in all"
        if receiver.ended_within(0.02) and receiver.result is not None and got != data:
            return f"the receiver says done with {len(got)} of {len(data)} bytes"
        return self._verdict_on_receiver()

    def _connected(self) -> tuple[socket.socket, str | None]:
        """To a receiver that waits for a sender: one that refused the last one still does, one that did not is about to end, and
        what it ended with is told now."""
        late = None
        while True:
            peer = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(OSError):
                peer.settimeout(PATIENCE_S)
                peer.connect(str(self._folder / "r"))
                return peer if self._client is None else self._client.wrap_socket(
                    peer, server_hostname="localhost"
                ), late
            peer.close()
            if not self._receiver.ended_within(PATIENCE_S):
                return socket.socket(), "the receiver neither waits nor ends"
            late = late or self._verdict_on_receiver()
            tls = None if self._tls is None else str(self._tls)
            config = ReceiveConfig(
                f"unix:{self._folder}/r", f"unix:{self._guests.path}", threads=1, tls=tls, linger_s=0.0
            )
            self._receiver, self._is_judged = Half().start(run_receiver, config), False

    def _verdict_on_receiver(self) -> str | None:
        """Once it has ended, once."""
        if self._is_judged or not self._receiver.ended_within(0):
            return None
        self._is_judged = True
        return self._judged(self._receiver.error, done=self._receiver.result is not None)

    def _say(self, peer: socket.socket, data: bytes) -> bytearray | None:
        """What the receiver said until it closed. None: it did not in time."""
        said = bytearray()
        with peer:
            draining = threading.Thread(target=_drain, args=(peer, said), daemon=True)
            if self._client is None:
                draining.start()
            with contextlib.suppress(OSError):
                peer.sendall(data)
                socket.socket.shutdown(peer, socket.SHUT_WR)
            if self._client is not None:  # two threads at once are too many for an SSLSocket
                draining.start()
            draining.join(PATIENCE_S)
            return None if draining.is_alive() else said

    def _attack_sender(self, rng: random.Random) -> str | None:
        mutator, at = Mutator(rng, greetings=self._greetings), rng.choice((0, 0, 1, rng.randrange(40)))
        seen = 0

        def change(frame: bytes) -> list[bytes]:
            nonlocal seen
            seen += 1
            return mutator.frame(frame) if seen - 1 == at or rng.random() < 0.02 else [frame]

        data = self._data[: rng.choice((len(self._data), rng.randrange(1, len(self._data))))]

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
                if not sender.ended_within(PATIENCE_S):
                    return "the sender hangs"
        return self._judged(sender.error, done=sender.result is not None)

    def _judged(self, error: BaseException | None, *, done: bool) -> str | None:
        self.count.done += done
        if error is None:
            return None
        name = type(error).__name__
        self.count.errors[name] = self.count.errors.get(name, 0) + 1
        return None if isinstance(error, PageferryError) else f"{name}: {error}"


def _has_another_number(frames: list[bytes], own: list[bytes]) -> bool:
    """Whether one of ``frames`` is one of ``own`` but for its place in the order."""
    batches = {_unnumbered(frame) for frame in own if kind_of(frame) is Kind.BATCH}
    known = set(own)
    return any(frame not in known and _unnumbered(frame) in batches for frame in frames)


def _unnumbered(frame: bytes) -> bytes:
    return frame[:8] + frame[16 : HEADER_BYTES - 8] + frame[HEADER_BYTES:]


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
        """All that came in this session, whose receiver has connected by now, if it ever does. None: it is still open."""
        while self._idle.wait(PATIENCE_S):
            waiting, _, _ = select.select([self._listener], [], [], 0)
            if not waiting and self._idle.is_set():
                return bytes(self._got)
            time.sleep(0.001)
        return None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed
            while select.select([self._listener], [], []):
                self._idle.clear()  # before it is taken: see ``end``
                connection, _ = self._listener.accept()
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


def _few_probes(frames: list[bytes]) -> list[bytes]:
    """A rehearsal in memory sends tens of megabytes."""
    probes = [frame for frame in frames if kind_of(frame) is Kind.PROBE][:3]
    return [frames[0], *probes, *(frame for frame in frames[1:] if kind_of(frame) is not Kind.PROBE)]


def _drain(connection: socket.socket, into: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := connection.recv(1 << 16):
            into += data


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def fuzzer(*, greetings: bool = True, tls: Path | None = None) -> Iterator[Fuzzer]:
    """One in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="pageferry-fuzz-") as name:
        made = Fuzzer(Path(name), greetings=greetings, tls=tls)
        try:
            yield made
        finally:
            made.close()
