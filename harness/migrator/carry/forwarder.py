"""Carries one migration's stream from the source QEMU's socket over the link, once both are connected.

source (the caller's thread) -> window -> codec threads -> ordered writer -> link
link -> back thread -> QEMU's return path; ACKs open the window
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import xxhash

from backends.api import Backend
from harness.errors import FrameError, PeerError
from harness.migrator.carry.codec import Encoder, Job, Packed
from harness.migrator.carry.flight import Flight
from harness.migrator.carry.pipeline import Failure, OrderedPipeline, spawn
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.chooser import Chooser, with_trial
from harness.migrator.document import WrongDocumentError, from_document
from harness.migrator.entrance import Entrance
from harness.migrator.outcome import Outcome
from harness.migrator.report import Carried, ReceiverReport
from harness.migrator.session import FrameLink, own_usage
from harness.migrator.source import Source
from harness.wire.batch import PageBatch
from harness.wire.pair.messages import Ack, Done, End, Return, ReturnEnd

__all__ = ["Forwarder"]

_CLOSING_TIMEOUT_S = 75.0
"""More than the receiver gives the destination QEMU, whose silence it can tell of."""


class Forwarder:
    """One migration. Threads: the caller's (reader), codecs, writer, back.

    ``batch_bytes`` and ``inflight_bytes`` as ``SendConfig``'s; ``lanes`` is how many batches gain from being compressed at once;
    ``open_encoder`` makes one for a choice, 0 without a ``chooser``; ``serials`` are the choices that keep history;
    ``unconfirmed`` as ``Source``'s.
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
        round_trip_s: float,
        chooser: Chooser | None = None,
        unconfirmed: bool = False,
    ) -> None:
        self._link = link
        self._sent_before_bytes = link.sent_bytes
        self._open_encoder = open_encoder
        self._serials = serials
        self._chooser = chooser
        self._threads = threads
        expected = None if chooser is None else chooser.expected_bytes_per_s
        policy = FlightPolicy(
            batch_bytes, lanes, inflight_bytes, expected_bytes_per_s=expected, round_trip_s=round_trip_s
        )
        self._source = Source(source, entrance, policy.batch_bytes, unconfirmed=unconfirmed)
        self._parser = self._source.parser
        self._flight = Flight(policy, round_trip_s, self._source.has_hung_up)
        self._failure = Failure(self._stop)
        self._pipeline: OrderedPipeline[Job, Packed] = OrderedPipeline(
            "compress", threads, self._start_encoder, self._send, self._failure, at_once=lanes
        )
        self._encoders: list[Encoder] = []
        self._digest = xxhash.xxh3_128()
        self._sequence = 0
        self._done = threading.Event()
        self._outcome = Outcome.CLOSED
        self._receiver: ReceiverReport | None = None

    def run(self) -> Carried:
        """Carry the stream to its confirmed end, then report. :raises PageferryError: what failed first."""
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
            self._source.close()
            back.join(timeout=5)
        assert self._receiver is not None  # noqa: S101 - for the type checker: DONE came
        return self._report(time.monotonic() - started, self._receiver)

    def flow(self) -> tuple[int, int, float]:
        """Bytes of the stream that the destination has, those taken from QEMU that are still under way, and the link's round trip
        in seconds. From any thread."""
        in_flight_bytes = self._flight.in_flight_bytes + self._parser.pending_bytes
        return self._flight.arrived_bytes, in_flight_bytes, self._flight.round_trip_s

    def calm(self, calm: bool) -> None:
        """Whether the source may stop its guest at any moment, so that little is to wait. From any thread."""
        self._flight.calm = calm

    def _stop(self) -> None:
        """A thread failed: close the source (its guest runs on), tell the receiver why, and wake all other threads."""
        self._source.close()
        self._flight.close()
        for serial in self._serials.values():
            serial.stop()
        self._pipeline.stop()
        self._done.set()
        if self._failure.error is not None:
            self._link.send_error(self._failure.error)
        self._link.close()

    # ------------------------------------------------------------------ forward

    def _read(self) -> None:
        """From QEMU to the codecs until QEMU closes; then it must have been the end."""
        for batch in self._source.batches(lambda: self._flight.in_flight_bytes):
            if self._failure.error is not None:
                return
            self._submit(batch)
        if self._failure.error is None:
            self._outcome = self._source.outcome()

    def _submit(self, batch: PageBatch) -> None:
        if self._flight.take(batch.raw_bytes):
            job = Job(self._sequence, batch, turn=self._sequence, most_held_bytes=self._flight.most_held_bytes)
            if self._chooser is not None:
                job = self._chooser.chosen(job)
            if (serial := self._serials.get(job.choice)) is not None:
                serial.announce(job.turn, job.sequence)
            self._pipeline.submit(job)
            self._sequence += 1
            self._parser.batch_bytes = self._flight.batch_bytes

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
        self._digest.update(packed.message.raw_digest.to_bytes(8, "little"))
        self._flight.handed()
        self._link.send(packed.message)
        if self._chooser is not None:
            self._chooser.sent(packed)

    def _finish(self) -> None:
        """Everything is sent: say so, and wait until the destination has it all and the digests agree."""
        self._link.send(End(self._sequence, self._parser.counts.stream_bytes, self._digest.digest()))
        if not self._done.wait(_CLOSING_TIMEOUT_S):
            raise PeerError(f"the receiver did not confirm the end within {_CLOSING_TIMEOUT_S:.0f} s")
        self._failure.check()

    # ------------------------------------------------------------------ back

    def _back(self) -> None:
        """Return path to QEMU, ACKs to the window, DONE to the end."""
        for message in self._link.messages():
            if isinstance(message, Ack):
                self._arrived(message)
            elif isinstance(message, Return):
                self._source.answer(message.data)
            elif isinstance(message, ReturnEnd):
                self._source.end_answers()
            elif isinstance(message, Done):
                self._require_all_acknowledged()
                self._receiver = _receiver_report(message.report)
                self._done.set()
                return
        raise PeerError("the receiver closed the link before it confirmed the end")

    def _arrived(self, ack: Ack) -> None:
        self._flight.arrived(ack.delivered_bytes, ack.held_s)
        if self._chooser is not None:
            self._chooser.arrived(ack, self._source.waits_s + self._flight.growing_s)

    def _require_all_acknowledged(self) -> None:
        arrived_bytes, stream_bytes = self._flight.arrived_bytes, self._parser.counts.stream_bytes
        if arrived_bytes != stream_bytes:
            raise PeerError(f"the receiver confirmed the end with {arrived_bytes} of {stream_bytes} bytes acknowledged")

    def _instances(self) -> list[Backend]:
        """Each that compressed once, also where several threads share it."""
        return list({id(encoder.backend): encoder.backend for encoder in self._encoders}.values())

    def _report(self, elapsed_s: float, receiver: ReceiverReport) -> Carried:
        counts, encoders = self._parser.counts, self._encoders
        return Carried(
            threads=self._threads,
            elapsed_s=elapsed_s,
            stream_bytes=counts.stream_bytes,
            sent_bytes=self._link.sent_bytes - self._sent_before_bytes,
            sent_before_bytes=self._sent_before_bytes,
            raw_pages=counts.raw_pages,
            zero_pages=counts.zero_pages,
            other_pages=counts.other_pages,
            opaque_bytes=counts.opaque_bytes,
            opaque_reason=self._parser.opaque_reason,
            batches=self._sequence,
            stored_batches=sum(encoder.stored_batches for encoder in encoders),
            incompressible_batches=sum(encoder.incompressible_batches for encoder in encoders),
            fallbacks=sum(encoder.fallbacks for encoder in encoders),
            fallback_bytes=sum(encoder.fallback_bytes for encoder in encoders),
            fallback_reason=next((encoder.fallback_reason for encoder in encoders if encoder.fallback_reason), None),
            codec_cpu_s=sum(encoder.codec_cpu_s for encoder in encoders),
            window_bytes=self._flight.window_bytes,
            window_peak_bytes=self._flight.peak_bytes,
            round_trip_s=self._flight.round_trip_s,
            batches_digest=self._digest.hexdigest(),
            return_path=bool(self._parser.return_path),
            outcome=self._outcome,
            counters=_summed(backend.counters() for backend in self._instances()),
            receiver=receiver,
            policy=None if self._chooser is None else self._chooser.report(),
            **asdict(own_usage()),
        )


def _receiver_report(told: Mapping[str, Any]) -> ReceiverReport:
    try:
        return from_document(ReceiverReport, told)
    except WrongDocumentError as exc:
        raise FrameError(f"the receiver's DONE: report: {exc}") from exc


def _summed(counters: Iterable[Mapping[str, int | float]]) -> dict[str, int | float]:
    total: dict[str, int | float] = {}
    for each in counters:
        for key, value in each.items():
            total[key] = total.get(key, 0) + value
    return total
