"""What both halves of the pair do alike: messages over the link, counting themselves.

Knows messages; knows neither what the link is made of, nor QEMU's stream, nor codecs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import xxhash

from harness.errors import FrameError, PageferryError, PeerError, refused
from harness.hosts.limits import cores
from harness.migrator.report import Usage
from harness.migrator.transport.contract import RefusedError, Transport
from harness.wire.pair.decoder import MessageDecoder, encode
from harness.wire.pair.forms import Message, Role
from harness.wire.pair.messages import Error
from harness.wire.pair.states import Session

__all__ = ["FrameLink", "cores", "digest_of", "keep_freed_memory", "own_usage"]

M = TypeVar("M", bound=Message)

_PIECE_BYTES = 1 << 20
"""What one system call waits for: a thread that is woken for whatever arrives spends its time waking up. 1 MiB took 319, 245 and
229 us of CPU time in pieces of 128, 256 and 512 KiB (loopback, a busy 2-core Intel Xeon, 2026-11-28, best of 7 in turn), and each
piece takes as many steps here as a message."""

_LAST_WORD_S = 0.5
"""Of one who stops, to a peer that may read nothing any more."""

_UNREAD_S = 3.0
"""For what a peer said before it left: who reads the link may come to it late. Where its window is full it looks there every half
second, and other work may keep its processor."""

_LOOK_S = 0.01

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


class FrameLink:
    """The link between the halves, carrying messages both ways; ``other``: who is at its end. Any thread may send; one thread
    reads, and has ``waited_s`` for bytes. ``ended``: the other end closed it. ``told_why``: it said why it stops."""

    def __init__(self, transport: Transport, other: Role) -> None:
        self.transport = transport
        self.other = other.value
        self.sent_bytes = 0
        self.received_bytes = 0
        self.waited_s = 0.0
        self.ended = False
        self.told_why = False
        self._silent = False
        self._reader: int | None = None
        self._heard = threading.Event()
        self._why = ""
        self._lock = threading.Lock()
        self._heard_all = False
        self._session = Session(other)
        self._decoder = MessageDecoder(self._session)
        self._deadline_s: float | None = None

    def send(self, message: Message) -> None:
        """:raises PeerError: the link broke, and why, if the other half said that before."""
        parts = encode(message)
        try:
            with self._lock:
                if self._silent:
                    raise PeerError(f"nothing more is sent to the {self.other}")
                self._session.says(message.kind)
                self.sent_bytes += self.transport.send_parts(parts)
        except OSError as exc:
            if self._reader not in (None, threading.get_ident()):  # what it said before it left may be unread
                self._heard.wait(_UNREAD_S)
            self.ended = True
            broke = f"the link to the {self.other} broke while sending: {exc.strerror or exc}"
            raise PeerError(self._why or broke) from exc

    def messages(self) -> Iterator[Message]:
        """All until the other half closes. :raises PeerError: it said why it stopped, or the link broke, or is dead."""
        while not self._heard_all:
            left_s = None if self._deadline_s is None else max(0.001, self._deadline_s - time.monotonic())
            message = self.receive(left_s)
            if message is not None:
                yield message
            elif self._deadline_s is not None and time.monotonic() >= self._deadline_s:
                raise PeerError(f"the link to the {self.other} broke while receiving: timed out")
        if not self._decoder.idle:
            raise FrameError(f"the link to the {self.other} ended inside a frame{self._decoder.hint}")

    def receive(self, timeout_s: float | None) -> Message | None:
        """The message that the next bytes complete; None: none yet, or the other half has ``ended``. Raises as ``messages``."""
        began_s, self._reader = time.monotonic(), threading.get_ident()
        try:
            count = self.transport.recv_into(self._decoder.get_buffer()[:_PIECE_BYTES], timeout_s)
        except RefusedError as exc:
            raise PeerError(f"the {self.other}: {exc}") from exc
        except OSError as exc:
            self.ended = not isinstance(exc, TimeoutError)
            if self.ended:
                self._heard.set()
            raise PeerError(f"the link to the {self.other} broke while receiving: {exc.strerror or exc}") from exc
        self.waited_s += time.monotonic() - began_s
        if count is None:
            if timeout_s is None:
                self._require_peer()
            return None
        self._heard_all = count == 0
        self.ended = self.ended or self._heard_all
        self.received_bytes += count
        self._decoder.buffer_updated(count)
        message = self._decoder.next_message()
        if message is not None and isinstance(message, Error):
            self.told_why = True
            self._why = f"the {self.other} stopped: {message.text}"
            self._heard.set()
            raise PeerError(self._why)
        if self._heard_all:
            self._heard.set()
        return message

    def _require_peer(self) -> None:
        """:raises PeerError: it should have said something by now."""
        silent_s = self.transport.peer_silence_s()
        if silent_s >= self.transport.dead_after_s:
            self.ended = True
            raise PeerError(
                f"the link to the {self.other} is dead: nothing was heard from it for {silent_s:.0f} s; look at the network "
                "between the hosts"
            )

    def next_as(self, cls: type[M], timeout_s: float) -> M:
        """The next message, whole within ``timeout_s``. :raises PeerError: another kind, none in time, or none at all."""
        message = self.next_within(timeout_s)
        if not isinstance(message, cls):
            got = "the end of the connection" if message is None else message.kind.name
            raise PeerError(f"expected {cls.kind.name} from the {self.other}, got {got}")
        return message

    def next_within(self, timeout_s: float) -> Message | None:
        """The next message, or None: the link's end. :raises PeerError: none in time."""
        self._deadline_s = time.monotonic() + timeout_s
        message = next(self.messages(), None)
        self._deadline_s = None
        return message

    def require_open(self) -> None:
        """:raises PeerError: the other half has closed the link, even if it said something before that is yet to be read."""
        if self.transport.has_hung_up():
            raise PeerError(f"the {self.other} closed the link")

    def fall_silent(self) -> None:
        """Nothing more goes out, but for an ERROR, once this returns."""
        if not self._lock.acquire(timeout=_LAST_WORD_S):
            self.close()  # wakes who is in the middle of a frame
            self._lock.acquire()
        self._silent = True
        self._lock.release()

    def send_error(self, error: BaseException) -> None:
        """Tell the other half why we stop, if it still listens and nobody is in the middle of a frame."""
        error = refused(error) or error
        text = str(error)
        if isinstance(error, KeyboardInterrupt):
            text = "it was interrupted"
        elif not isinstance(error, PageferryError):
            text = f"{type(error).__name__}: {error}"
        if not self._lock.acquire(timeout=0.2):
            return
        try:
            with contextlib.suppress(OSError):
                self.transport.send_parts(encode(Error(text)), _LAST_WORD_S)
        finally:
            self._lock.release()

    def hears_end(self, timeout_s: float) -> bool:
        """Whether the other half closes within that time; by any thread."""
        deadline_s = time.monotonic() + timeout_s
        while not self.transport.has_hung_up():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_LOOK_S)
        return True

    def close(self) -> None:
        """Wake whoever waits here, and the other half. May be called twice."""
        self.transport.close()


def digest_of(channels: Sequence[bytes]) -> bytes:
    """Of a session, from those of its channels in their order: of one, that itself; of several, XXH3-128 of them."""
    return channels[0] if len(channels) == 1 else xxhash.xxh3_128_digest(b"".join(channels))


def keep_freed_memory() -> None:
    """Let malloc keep the batches' buffers instead of returning them to the kernel, which would zero them anew each time.

    Took a third off both halves' CPU time with lz4 (2.3 -> 1.7 s and 1.7 -> 1.0 s per 0.5 GB; 2-core AMD EPYC, glibc 2.36,
    2026-11-22, n=2). What is kept is bounded by what was once in use. Does nothing on another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, 128 << 20), (_M_TOP_PAD, 4 << 20)):
            mallopt(parameter, value)


def own_usage() -> Usage:
    """CPU seconds and peak memory of this process, from the kernel.

    Not ``ru_maxrss``, in which a process that was started by a larger one begins with that one's (getrusage(2)).
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()
    return Usage(
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=int(status.partition("VmHWM:")[2].split()[0]) * 1024,
        threads_seen=len(os.listdir("/proc/self/task")),  # noqa: PTH208
    )
