"""What both halves of the pair do alike: frames over the link, greetings, counting themselves.

Knows frames; knows neither what the link is made of, nor QEMU's stream, nor codecs.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import FrameError, PageferryError, PeerError
from harness.hosts.limits import cores
from harness.migrator.transport.contract import Transport
from harness.wire.pair.frame import KIND_AT, PROTOCOL, Frame, FrameDecoder, Kind, control, digest
from harness.wire.pair.order import Order

__all__ = ["FrameLink", "cores", "hello", "keep_freed_memory", "own_usage", "parse_greeting"]

_ERROR_TEXT_BYTES = 2000
_MOST_BRACKETS = 64
"""So that nesting stays far from what a parser bears. Ours have four, and what users' options bring."""

_PIECE_BYTES = 128 << 10
"""What one system call waits for: a thread that is woken for whatever arrives spends its time waking up."""

_LAST_WORD_S = 0.5
"""Of one who stops, to a peer that may read nothing any more."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


class FrameLink:
    """The link between the halves, carrying frames both ways. Any thread may send; one thread reads, and has
    ``waited_s`` for bytes. ``ended``: the other end closed it."""

    def __init__(self, transport: Transport, other: str) -> None:
        self.transport = transport
        self.other = other
        self.sent_bytes = 0
        self.received_bytes = 0
        self.waited_s = 0.0
        self.ended = False
        self._lock = threading.Lock()
        self._decoder = FrameDecoder()
        self._order = Order(other)
        self._deadline_s: float | None = None

    def send(self, *parts: bytes | memoryview) -> None:
        """Send one whole frame, given in parts. :raises PeerError: the link broke."""
        with self._lock:
            self._order.sent(parts[0][KIND_AT])
            try:
                self.sent_bytes += self.transport.send_parts(parts)
            except OSError as exc:
                self.ended = True
                raise PeerError(f"the link to the {self.other} broke while sending: {exc.strerror or exc}") from exc

    def frames(self) -> Iterator[Frame]:
        """Every frame until the other half closes. :raises PeerError: it said why it stopped, or the link broke, or is dead."""
        decoder, receive = self._decoder, self.transport.recv_into
        while True:
            began_s = time.monotonic()
            left_s = None if self._deadline_s is None else max(0.001, self._deadline_s - began_s)
            try:
                count = receive(decoder.get_buffer()[:_PIECE_BYTES], left_s)
                self.waited_s += time.monotonic() - began_s
                if count is None:
                    self._require_peer()
                    continue
            except OSError as exc:
                self.ended = not isinstance(exc, TimeoutError)
                raise PeerError(f"the link to the {self.other} broke while receiving: {exc.strerror or exc}") from exc
            if count == 0:
                self.ended = True
                break
            self.received_bytes += count
            decoder.buffer_updated(count)
            frame = decoder.next_frame()
            if frame is None:
                continue
            self._order.came(frame.header.kind)
            if frame.header.kind is Kind.ERROR:
                raise PeerError(f"the {self.other} stopped: {bytes(frame.body).decode('utf-8', 'replace')}")
            yield frame
        if not decoder.idle:
            raise FrameError(f"the link to the {self.other} ended inside a frame")

    def _require_peer(self) -> None:
        """:raises PeerError: it should have said something by now."""
        if self._deadline_s is not None:
            raise PeerError(f"the link to the {self.other} broke while receiving: timed out")
        silent_s = self.transport.peer_silence_s()
        if silent_s >= self.transport.dead_after_s:
            raise PeerError(
                f"the link to the {self.other} is dead: nothing was heard of it for {silent_s:.0f} s; look at the network between "
                "the hosts"
            )

    def first_frame(self, kind: Kind, timeout_s: float) -> Frame:
        """The next frame, whole within ``timeout_s``. :raises PeerError: another kind, none in time, or none at all."""
        self._deadline_s = time.monotonic() + timeout_s
        frame = next(self.frames(), None)
        if frame is None or frame.header.kind is not kind:
            got = "the end of the connection" if frame is None else f"a {frame.header.kind.name} frame"
            raise PeerError(f"expected {kind.name} from the {self.other}, got {got}")
        self._deadline_s = None
        return frame

    def require_open(self) -> None:
        """:raises PeerError: the other half has closed the link, even if it said something before that is yet to be read."""
        if self.transport.has_hung_up():
            raise PeerError(f"the {self.other} closed the link")

    def send_error(self, error: BaseException) -> None:
        """Tell the other half why we stop, if it still listens and nobody is in the middle of a frame."""
        text = str(error)
        if isinstance(error, KeyboardInterrupt):
            text = "it was interrupted"
        elif not isinstance(error, PageferryError):
            text = f"{type(error).__name__}: {error}"
        if not self._lock.acquire(timeout=0.2):
            return
        try:
            with contextlib.suppress(OSError):
                body = text.encode(errors="replace")[:_ERROR_TEXT_BYTES]
                self.transport.send_parts([control(Kind.ERROR, body)], _LAST_WORD_S)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Wake whoever waits here, and the other half. May be called twice."""
        self.transport.close()


def hello(kind: Kind, **fields: object) -> bytes:
    """A HELLO or WELCOME frame: JSON with the protocol's version."""
    return control(kind, json.dumps({"protocol": PROTOCOL, **fields}).encode())


def parse_greeting(frame: Frame, other: str) -> Mapping[str, Any]:
    """The JSON of a HELLO, WELCOME or DONE. :raises FrameError: damaged, not JSON, or another protocol version."""
    body = bytes(frame.body)
    frame.check_body(digest(body) if body else 0)
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise FrameError(f"the {other}'s greeting has more than {_MOST_BRACKETS} lists and tables")
    try:
        fields = json.loads(body)
    except ValueError as exc:
        raise FrameError(f"the {other}'s greeting is not JSON: {exc}") from exc
    if not isinstance(fields, dict) or fields.get("protocol") != PROTOCOL:
        version = fields.get("protocol") if isinstance(fields, dict) else None
        raise FrameError(
            f"the {other} speaks protocol {str(version)[:40]!r}, this is {PROTOCOL}; install the same pageferry on both sides"
        )
    return fields


def keep_freed_memory() -> None:
    """Let malloc keep the batches' buffers instead of returning them to the kernel, which would zero them anew each time.

    Took a third off both halves' CPU time with lz4 (2.3 -> 1.7 s and 1.7 -> 1.0 s per 0.5 GB; 2-core AMD EPYC, glibc 2.36,
    2026-11-22, n=2). What is kept is bounded by what was once in use. Does nothing on another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, 128 << 20), (_M_TOP_PAD, 4 << 20)):
            mallopt(parameter, value)


def own_usage() -> dict[str, int | float]:
    """CPU seconds and peak memory of this process, from the kernel.

    Not ``ru_maxrss``, in which a process that was started by a larger one begins with that one's (getrusage(2)).
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": int(status.partition("VmHWM:")[2].split()[0]) * 1024,
        "threads_seen": len(os.listdir("/proc/self/task")),  # noqa: PTH208
    }
