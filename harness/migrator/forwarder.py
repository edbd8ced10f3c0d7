"""Carries one migration's stream from the source QEMU's socket over the link, once both are connected.

reader (the caller's thread) -> parser -> window -> codec threads -> ordered writer -> link
link -> back thread -> QEMU's return path; ACKs open the window
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import xxhash

from backends.api import Backend
from harness.errors import PeerError
from harness.migrator.ack import AckLook
from harness.migrator.cache import SenderSide
from harness.migrator.chooser import Chooser, with_trial
from harness.migrator.codec import Encoder, Job, Packed
from harness.migrator.entrance import Entrance
from harness.migrator.pipeline import Failure, OrderedPipeline, Window, spawn
from harness.migrator.policy import FlightPolicy
from harness.migrator.serial import Serial
from harness.migrator.session import FrameLink, close_all, own_usage, parse_greeting
from harness.wire.batch import PageBatch
from harness.wire.frame import Frame, Kind, control
from harness.wire.qstream import QStreamParser

__all__ = ["Forwarder"]

_CLOSING_TIMEOUT_S = 60.0
_LINGER_S = 0.002
"""How long a batch that is not full waits for more while others are in flight; with none in flight it goes at once."""

_LINGER_TIMEVAL = struct.pack("ll", 0, round(_LINGER_S * 1e6))

_STALL_S = 1.0
"""A record torn for this long is carried as it is: whoever wrote half of it may be waiting for an answer to it."""


class Forwarder:
    """One migration. Threads: the caller's (reader), codecs, writer, back.

    ``batch_bytes`` and ``inflight_bytes`` as ``SendConfig``'s; ``lanes`` is how many batches gain from being compressed at once;
    ``open_encoder`` makes one for a choice, 0 without a ``chooser``; ``serials`` are the choices that keep history.
    """

    def __init__(
        self,
        link: FrameLink,
        source: socket.socket,
        *,
        entrance: Entrance,
        open_encoder: Callable[[int], Encoder],
        threads: int,
        lanes: int,
        batch_bytes: int,
        inflight_bytes: int | None,
        serials: Mapping[int, Serial],
        chooser: Chooser | None = None,
        cache: SenderSide | None = None,
    ) -> None:
        self._link = link
        self._source = source
        self._entrance = entrance
        self._open_encoder = open_encoder
        self._serials = serials
        self._chooser = chooser
        self._cache = cache
        self._source_waits_s = 0.0
        self._threads = threads
        expected = None if chooser is None else chooser.expected_bytes_per_s
        self._policy = FlightPolicy(batch_bytes, lanes, inflight_bytes, expected_bytes_per_s=expected)
        self._window = Window(self._policy.window_bytes)
        self._parser = QStreamParser(self._policy.batch_bytes)
        self._failure = Failure(self._stop)
        self._pipeline: OrderedPipeline[Job, Packed] = OrderedPipeline(
            "compress", threads, self._start_encoder, self._send, self._failure, at_once=lanes
        )
        self._encoders: list[Encoder] = []
        self._digest = xxhash.xxh3_128()
        self._sequence = 0
        self._acknowledged_bytes = 0
        self._done = threading.Event()
        self._peer: Mapping[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Carry the stream to its confirmed end, then give statistics. :raises PageferryError: what failed first."""
        back = spawn("back", self._back, self._failure)
        self._pipeline.start()
        started = time.monotonic()
        try:
            self._read()
        except BaseException as exc:  # kept as the first failure and raised below, after the threads ended
            self._failure.set(exc)
        self._pipeline.stop()
        try:
            self._pipeline.join()
            self._finish()
        except BaseException as exc:  # the first failure explains all that follow it
            self._failure.set(exc)
            raise (self._failure.error or exc) from None
        finally:
            close_all(self._source)
            back.join(timeout=5)
        return self._statistics(time.monotonic() - started)

    def flow(self) -> tuple[int, int]:
        """Bytes of the stream that the destination has, and those taken from QEMU that are still under way. From any thread."""
        in_flight_bytes = self._window.in_flight_bytes + self._parser.pending_bytes
        return self._acknowledged_bytes, in_flight_bytes

    def _stop(self) -> None:
        """A thread failed: close the source (its guest runs on), tell the receiver why, and wake all other threads."""
        close_all(self._source)
        self._window.close()
        for serial in self._serials.values():
            serial.stop()
        self._pipeline.stop()
        self._done.set()
        if self._failure.error is not None:
            self._link.send_error(self._failure.error)
        close_all(self._link.socket)

    # ------------------------------------------------------------------ forward

    def _read(self) -> None:
        """From QEMU to the codecs until QEMU closes; a batch that is not full goes when nothing more comes."""
        parser, source = self._parser, self._source
        poll = select.poll()
        poll.register(source, select.POLLIN)
        self._entrance.attend(poll)
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LINGER_TIMEVAL)
        while self._failure.error is None:
            # With batches under way there is time to wait, in one call, until this one is full.
            how = socket.MSG_WAITALL if self._window.in_flight_bytes else socket.MSG_DONTWAIT
            try:
                count = source.recv_into(parser.get_buffer(), 0, how)
            except BlockingIOError:
                began_s = time.monotonic()
                self._wait_for_more(poll)
                self._source_waits_s += time.monotonic() - began_s
                self._entrance.look(parser.counts.raw_pages + parser.counts.zero_pages)
                continue
            except OSError as exc:
                if self._failure.error is not None:
                    return
                raise PeerError(f"the source QEMU broke its connection: {exc.strerror or exc}") from exc
            if count == 0:
                break
            self._entrance.look(parser.counts.raw_pages + parser.counts.zero_pages)
            parser.buffer_updated(count)
            while (batch := parser.next_batch()) is not None:
                self._submit(batch)
        if (last := parser.finish()) is not None:
            self._submit(last)

    def _wait_for_more(self, poll: select.poll) -> None:
        parser = self._parser
        if parser.pending_bytes == 0:
            poll.poll()
        elif self._window.in_flight_bytes and poll.poll(_LINGER_S * 1000):
            return
        elif (batch := parser.flush()) is not None or (
            not poll.poll(_STALL_S * 1000)
            and (batch := parser.finish("the source stalled inside a record")) is not None
        ):
            self._submit(batch)

    def _submit(self, batch: PageBatch) -> None:
        if self._window.acquire(batch.raw_bytes):
            job = Job(self._sequence, batch, turn=self._sequence)
            chosen = job if self._chooser is None else self._chooser.chosen(job)
            self._pipeline.submit(chosen if self._cache is None else self._cache.prepared(chosen))
            self._sequence += 1
            self._parser.batch_bytes = self._policy.batch_bytes

    def _start_encoder(self) -> tuple[Callable[[Job], Packed], Callable[[], None]]:
        """For one thread: an encoder for each choice, opened when it is first made. What trials do is not counted."""
        mine: dict[tuple[int, bool], Encoder] = {}

        def encoder(choice: int, *, counted: bool = True) -> Encoder:
            key = (choice, counted)
            if key not in mine:
                mine[key] = self._open_encoder(choice)
                if counted:
                    self._encoders.append(mine[key])
            return mine[key]

        def encode(job: Job) -> Packed:
            packed = encoder(job.choice).encode(job)
            return packed if job.trial is None else with_trial(packed, encoder(job.trial, counted=False))

        def close() -> None:
            for each in mine.values():
                each.close()

        encoder(0)
        return encode, close

    def _send(self, packed: Packed) -> None:
        self._digest.update(packed.header.raw_digest.to_bytes(8, "little"))
        self._link.send(*packed.parts)
        if self._chooser is not None:
            self._chooser.sent(packed)

    def _finish(self) -> None:
        """Everything is sent: say so, and wait until the destination has it all and the digests agree."""
        counts = self._parser.counts
        self._link.send(
            control(Kind.END, self._digest.digest(), sequence=self._sequence, delivered_bytes=counts.stream_bytes)
        )
        if not self._done.wait(_CLOSING_TIMEOUT_S):
            raise PeerError(f"the receiver did not confirm the end within {_CLOSING_TIMEOUT_S:.0f} s")
        self._failure.check()

    # ------------------------------------------------------------------ back

    def _back(self) -> None:
        """Return path to QEMU, ACKs to the window, DONE to the end."""
        for frame in self._link.frames():
            kind = frame.header.kind
            if kind is Kind.ACK:
                self._acknowledge(frame.header.raw_digest)
                look = AckLook.decode(frame.body)
                if self._cache is not None and look is not None and look.memory_is_short:
                    self._cache.receiver_is_short()
                if self._chooser is not None:
                    self._chooser.arrived(look, self._acknowledged_bytes, self._source_waits_s)
            elif kind is Kind.RETURN:
                self._answer(frame)
            elif kind is Kind.RETURN_END:
                self._end_answers()
            elif kind is Kind.DONE:
                self._peer = parse_greeting(frame, "receiver")
                self._done.set()
                return
            else:
                raise PeerError(f"the receiver sent a {kind.name} frame, which only a sender may")
        raise PeerError("the receiver closed the link before it confirmed the end")

    def _acknowledge(self, delivered_bytes: int) -> None:
        count = delivered_bytes - self._acknowledged_bytes
        if count < 0 or count > self._window.in_flight_bytes:
            raise PeerError(f"the receiver acknowledged byte {delivered_bytes}, which was not sent")
        self._acknowledged_bytes = delivered_bytes
        self._window.release(count)
        self._policy.delivered(time.monotonic(), delivered_bytes)
        if self._policy.window_bytes != self._window.limit_bytes:
            self._window.resize(self._policy.window_bytes)

    def _answer(self, frame: Frame) -> None:
        self._entrance.shut()
        try:
            self._source.sendall(frame.body)
        except OSError:
            # QEMU closes its end without reading the last answers; they no longer matter to anybody.
            return

    def _end_answers(self) -> None:
        try:
            self._source.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _instances(self) -> list[Backend]:
        """Each that compressed once, also where several threads share it."""
        return list({id(one): one for encoder in self._encoders for one in encoder.instances}.values())

    def _statistics(self, elapsed_s: float) -> dict[str, Any]:
        counts = self._parser.counts
        return {
            "threads": self._threads,
            "elapsed_s": elapsed_s,
            "stream_bytes": counts.stream_bytes,
            "sent_bytes": self._link.sent_bytes,
            "raw_pages": counts.raw_pages,
            "zero_pages": counts.zero_pages,
            "other_pages": counts.other_pages,
            "opaque_bytes": counts.opaque_bytes,
            "opaque_reason": self._parser.opaque_reason,
            "batches": self._sequence,
            "stored_batches": sum(encoder.stored_batches for encoder in self._encoders),
            "incompressible_batches": sum(encoder.incompressible_batches for encoder in self._encoders),
            "fallbacks": sum(encoder.fallbacks for encoder in self._encoders),
            "fallback_bytes": sum(encoder.fallback_bytes for encoder in self._encoders),
            "fallback_reason": next((e.fallback_reason for e in self._encoders if e.fallback_reason), None),
            "codec_cpu_s": sum(encoder.codec_cpu_s for encoder in self._encoders),
            "window_bytes": self._window.limit_bytes,
            "window_peak_bytes": self._window.peak_bytes,
            "stream_digest": self._digest.hexdigest(),
            "counters": _summed(backend.counters() for backend in self._instances()),
            "receiver": dict(self._peer),
            **({} if self._cache is None else self._cache.statistics()),
            **({} if self._chooser is None else {"policy": self._chooser.statistics()}),
            **own_usage(),
        }


def _summed(counters: Iterable[Mapping[str, int | float]]) -> dict[str, int | float]:
    total: dict[str, int | float] = {}
    for each in counters:
        for key, value in each.items():
            total[key] = total.get(key, 0) + value
    return total
