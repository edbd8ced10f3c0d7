"""One channel of a sender: a connection of the source QEMU, and its way over a link of its own.

source (reader) -> window -> codec threads -> ordered writer -> link
link -> back thread -> QEMU's return path; ACKs open the window
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import xxhash

from harness.errors import PeerError
from harness.migrator.carry.codec import Job, Packed
from harness.migrator.carry.flight import Budget, Flight
from harness.migrator.carry.inline import Either, Inline
from harness.migrator.carry.pipeline import OrderedPipeline, Workers, spawn
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.chooser import Chooser
from harness.migrator.report import URGENT, ChannelReport
from harness.migrator.session import FrameLink
from harness.migrator.source import Source
from harness.wire.batch import PageBatch
from harness.wire.pair.messages import Ack, Done, End, Return, ReturnEnd
from harness.wire.qemu.multifd import MultifdParser

_REASON_S = 3.0
"""A receiver that stops says so at most a second behind RETURN_END."""

_BUSY_BYTES = 64 << 10
"""Where so much waits for the link, all of a history's threads at once gain nothing, and what is held is late. At 300 Mbit/s a
compiler's guest took 200 and 203 ms with zstd-long 1 and 3, and 182 and 184 without, at 1 Gbit/s, where nothing waits, no other
time (recorded, 21 MB; with ``Serial.holds`` of the same day; 2-core Intel Xeon, 2026-11-29, n=7)."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all channels of a migration have in common. ``workers`` compress; ``chooser`` None: there is nothing to choose.
    ``either``: the reader of each but the main channel may do its workers' and its writer's work."""

    workers: Workers[Job, Packed]
    budget: Budget
    chooser: Chooser | None
    either: bool = False


class Channel:
    """Number ``number`` of a migration, 0 the main one. Threads: who calls ``read``, writer (not of an urgent one), back.

    ``serials``: its codecs that keep history, by choice. ``on_batch`` is called before each batch is submitted.
    """

    def __init__(
        self,
        number: int,
        link: FrameLink,
        source: Source,
        serials: Mapping[int, Serial],
        shared: Shared,
        *,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.link = link
        self.source = source
        self.done = threading.Event()
        self.said_end = False
        self.read_all = False
        self.report_told: Mapping[str, Any] = {}
        self._serials = serials
        self._shared = shared
        self._on_batch = on_batch
        self._failure = shared.workers.failure
        self._parser = source.parser
        self._urgent = source.kind == URGENT
        self._flight = Flight(shared.budget, source.has_hung_up, urgent=self._urgent)
        beside = Either[Job, Packed] if number and shared.either else OrderedPipeline[Job, Packed]
        way = Inline[Job, Packed] if self._urgent else beside
        self._pipeline = way(shared.workers, self._send)
        self._digest = xxhash.xxh3_128()
        self._sequence = self._handed = 0
        self._sent_before_bytes = link.sent_bytes
        self._back_thread: threading.Thread | None = None
        if shared.chooser is not None and number:
            shared.chooser.beside(number, link.transport)

    def start(self) -> None:
        """Start its threads."""
        self._pipeline.start()
        self._back_thread = spawn(f"back-{self.number}", self._back, self._failure)

    def read(self) -> None:
        """From QEMU to the codecs until QEMU closes, and what was read to the link. Raises as ``Source.batches``."""
        try:
            for batch in self.source.batches(lambda: self._flight.in_flight_bytes):
                if self._failure.error is not None:
                    return
                self._on_batch()
                self._submit(batch)
        finally:
            self.read_all = True
            self._pipeline.stop()

    def finish(self) -> None:
        """Say that it was all. :raises PageferryError: what failed first."""
        self._pipeline.join()
        self.said_end = True
        self.link.send(End(self._sequence, self._parser.counts.stream_bytes, self._digest.digest()))

    def hear_why(self) -> None:
        """Where the answers ended before the destination's word, QEMU gives up, and the receiver is about to say why: till then."""
        if self.source.forsaken and self._back_thread is not None:
            self._back_thread.join(_REASON_S)

    @property
    def in_doubt(self) -> bool:
        """Whether the receiver may have all of it, and the destination's word has not come."""
        return self._handed == self._sequence and self.source.in_doubt

    def stop(self) -> None:
        """Close the connection to QEMU, and wake all threads."""
        self.source.shut()
        self._flight.close()
        for serial in self._serials.values():
            serial.stop()
        self._pipeline.stop()
        self.done.set()

    def close(self) -> None:
        """The connection to QEMU and the link; then wait for the threads."""
        self.source.shut()
        self.link.close()
        if self._back_thread is not None:
            self._back_thread.join(timeout=5)

    def _submit(self, batch: PageBatch) -> None:
        budget, chooser, sequence = self._shared.budget, self._shared.chooser, self._sequence
        if self._parser.postcopy:
            budget.serve_pages()
        if not self.number:
            budget.first_pass_left(self._parser.ram.first_pass_left_bytes)
        if self._flight.take(batch.raw_bytes):
            job = Job(sequence, batch, sequence, channel=self.number)
            if chooser is not None:
                job = chooser.chosen(job)
            if (serial := self._serials.get(job.choice)) is not None:
                serial.announce(job.turn, job.sequence, alone=job.trial is not None)
                job = job._replace(serial=serial, most_held_bytes=partial(self._most_held_bytes, serial))
            self._sequence += 1
            self._pipeline.submit(job)
            self._parser.batch_bytes = budget.batch_bytes

    def _most_held_bytes(self, serial: Serial) -> int:
        """What ``serial`` may keep until more comes: nothing while the link has enough to do."""
        waiting_bytes = serial.waiting_bytes + (self.link.transport.unsent_bytes() or 0)
        return 0 if self._urgent or waiting_bytes >= _BUSY_BYTES else self._shared.budget.most_held_bytes

    def _send(self, packed: Packed) -> None:
        self._digest.update(packed.message.raw_digest.to_bytes(8, "little"))
        self._flight.handed()
        self._handed += 1
        self.link.send(packed.message)
        if packed.job.serial is not None:
            packed.job.serial.sent(packed.message.body_bytes - packed.message.plan_bytes)
        if self._shared.chooser is not None:
            self._shared.chooser.sent(packed)

    def _back(self) -> None:
        """Return path to QEMU, ACKs to the window, DONE to the end."""
        for message in self.link.messages():
            if isinstance(message, Ack):
                self._arrived(message)
            elif isinstance(message, Return):
                self._answer(message.data)
            elif isinstance(message, ReturnEnd):
                self.source.end_answers(message.answered_bytes)
            elif isinstance(message, Done):
                self._require_all_acknowledged()
                self.report_told = message.report
                self.done.set()
                return
        raise PeerError("the receiver closed the link before it confirmed the end")

    def _answer(self, data: bytes | memoryview) -> None:
        """In post-copy it may ask for pages. QEMU 7.2 writes these and all others by one thread, which comes to a request only once
        what it writes was read: half of 507 waited 4 ms for that, one in a hundred 34 ms, the most of all (``inline.py``)."""
        self.source.answer(data)
        if self._parser.postcopy:
            self._flight.hurry()

    def _arrived(self, ack: Ack) -> None:
        self._flight.arrived(ack.delivered_bytes, ack.held_s)
        if self._shared.chooser is not None:
            self._shared.chooser.arrived(self.number, ack, self.source.waits_s + self._shared.budget.growing_s)

    def _require_all_acknowledged(self) -> None:
        arrived_bytes, stream_bytes = self._flight.arrived_bytes, self._parser.counts.stream_bytes
        if arrived_bytes != stream_bytes:
            raise PeerError(f"the receiver confirmed the end with {arrived_bytes} of {stream_bytes} bytes acknowledged")

    @property
    def digest(self) -> bytes:
        """Of all batches so far, as END has it."""
        return self._digest.digest()

    def report(self) -> ChannelReport:
        """Once it has ended."""
        counts = self._parser.counts
        return ChannelReport(
            kind=self.source.kind,
            stream_bytes=counts.stream_bytes,
            sent_bytes=self.link.sent_bytes - self._sent_before_bytes,
            batches=self._sequence,
            raw_pages=counts.raw_pages,
            zero_pages=counts.zero_pages,
            other_pages=counts.other_pages,
            opaque_bytes=counts.opaque_bytes,
            opaque_reason=self._parser.opaque_reason,
            packed_by=self._parser.packed_by if isinstance(self._parser, MultifdParser) else None,
        )
