"""Carries one migration from the source QEMU's connections over the links, once the main one is connected.

Each connection is a channel with a link of its own (``channel.py``, ``others.py``); what may be under way, the codec threads and
the choice of a codec are shared.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from harness.errors import FrameError, PageferryError, PeerError, QemuError
from harness.migrator.carry.channel import Channel, Shared
from harness.migrator.carry.codec import Job, Packed
from harness.migrator.carry.crew import Crew
from harness.migrator.carry.doubt import Ask, asked_soon, known, settled
from harness.migrator.carry.encoders import Encoders
from harness.migrator.carry.flight import Budget
from harness.migrator.carry.others import Others
from harness.migrator.carry.pipeline import Failure, Workers
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.chooser import Chooser
from harness.migrator.config import SendConfig
from harness.migrator.document import WrongDocumentError, from_document
from harness.migrator.gate import Gate
from harness.migrator.outcome import Outcome
from harness.migrator.report import Carried, ChannelKind, ChannelReport, ReceiverReport
from harness.migrator.session import FrameLink, digest_of, own_usage
from harness.migrator.source import Source
from harness.units import format_bytes
from harness.wire.pair.verdict import Verdict

_INTERRUPTED_S = 10.0
_HEARD_END_S = 5.0
"""A receiver that heard END may have let the guest run and ended: it is not to be had any more."""
_CLOSING_TIMEOUT_S = 75.0
"""More than the receiver gives the destination QEMU, whose silence it can tell of."""


class Forwarder:
    """One migration. Threads: the caller's (the main channel's reader), the gate's, codecs, and each channel's own.

    ``join`` makes the link for one more channel, by its number and what it is for; ``ask`` asks the receiver over another one what
    became of the guest; ``waits``: it lets it run only once it knows that the source has given it up. ``say`` gets a line for each
    connection that is turned away, and where that is not known.
    """

    def __init__(
        self,
        link: FrameLink,
        connection: socket.socket,
        gate: Gate,
        *,
        crew: Crew,
        config: SendConfig,
        join: Callable[[int, ChannelKind], FrameLink],
        ask: Ask,
        waits: bool,
        round_trip_s: float,
        chooser: Chooser | None,
        say: Callable[[str], None],
    ) -> None:
        self._crew = crew
        self._ask = ask
        self._waits = waits
        self._say = say
        self._verdict: Verdict | None = None
        self._stopped = threading.Event()
        self._unconfirmed = config.without_return_path
        self._failure = Failure(self._stop)
        self._encoders = Encoders(crew.open_encoder, crew.serials.get(0))
        expected = None if chooser is None else chooser.expected_bytes_per_s
        policy = FlightPolicy(
            config.batch_bytes or crew.batch_bytes,
            crew.lanes,
            config.inflight_bytes,
            expected_bytes_per_s=expected,
            round_trip_s=round_trip_s,
        )
        workers: Workers[Job, Packed] = Workers(
            "compress", crew.threads, self._encoders.open_worker, self._failure, at_once=crew.lanes
        )
        self._shared = Shared(workers, Budget(policy, round_trip_s), chooser, either=crew.either)
        self._sent_before_bytes = link.sent_bytes
        source = Source(connection, policy.batch_bytes, unconfirmed=self._unconfirmed)
        begun = threading.Event()
        self._main = Channel(0, link, source, crew.serials, self._shared, on_batch=begun.set)
        self._others = Others(self._main, begun, gate, self._failure, join=join, make=self._make, say=say)
        self._outcome = Outcome.CLOSED

    def run(self) -> Carried:
        """Carry the stream to its confirmed end, then report. :raises PageferryError: what failed first."""
        self._shared.workers.start()
        self._main.start()
        self._others.start()
        started = time.monotonic()
        try:
            self._main.read()
            if self._failure.error is None:
                self._outcome = self._main.source.outcome()
        except BaseException as exc:  # kept as the first failure and raised below, after the threads ended
            if isinstance(exc, QemuError):
                self._main.hear_why()
            self._failure.set(exc)
            self._main.source.shut()  # also of one that stands still for a failure before this one: whoever interrupts us decides
        try:
            self._others.end(confirmed=self._outcome is Outcome.CONFIRMED)
            self._main.finish()
            receiver = self._confirmed()
        except BaseException as exc:  # the first failure explains all that follow it
            self._failure.set(exc)
            receiver = self._learned(self._failure.error or exc)
        finally:
            self._others.close()
            self._main.close()
            self._shared.workers.join()
        return self._report(time.monotonic() - started, receiver)

    def _learned(self, error: BaseException) -> ReceiverReport:
        """After ``error``: the receiver's report, if it told in another way that the guest arrived. :raises BaseException: else."""
        self._stopped.wait()
        source, verdict = self._main.source, self._verdict
        if isinstance(error, PeerError) and source.confirmed and verdict is not None and verdict.report:
            self._outcome = Outcome.CONFIRMED
            self._say(f"warning: {error}; over another link the receiver told that the destination has all")
            return _receiver_report(verdict.report)
        words = known(self._main, verdict, waits=self._waits)
        if words is not None and isinstance(error, PageferryError):
            raise type(error)(f"{error}; {words}") from None
        if words is not None:
            self._say(f"warning: {words}")
        raise error from None

    def flow(self) -> tuple[int, int, float]:
        """Bytes of the stream that the destination has, those taken from QEMU that are still under way, and the link's round trip
        in seconds. From any thread."""
        budget = self._shared.budget
        pending_bytes = sum(channel.source.parser.pending_bytes for channel in self._channels)
        return budget.arrived_bytes, budget.in_flight_bytes + pending_bytes, budget.round_trip_s

    def calm(self, calm: bool) -> None:
        """Whether the source may stop its guest at any moment, so that little is to wait. From any thread."""
        self._shared.budget.calm = calm

    def _stop(self) -> None:
        """A thread failed. Nothing is sent any more; so it can be told whether the destination may have all. If not, close what
        QEMU connected, the main one first (its guest runs on), tell the receiver why, and wake all other threads. If so, ask first.
        """
        for channel in self._channels:
            channel.link.fall_silent()
        try:
            if self._main.in_doubt:
                for channel in self._channels:
                    channel.link.close()
                self._verdict = settled(self._main.source, self._ask, self._say, self._limit_s, waits=self._waits)
        finally:
            self._end()
            self._stopped.set()

    @property
    def _limit_s(self) -> float | None:
        """How long the receiver is asked. None: until it answers."""
        if isinstance(self._failure.error, KeyboardInterrupt):
            return _INTERRUPTED_S
        return _HEARD_END_S if self._main.said_end else None

    def _end(self) -> None:
        lost = self._main.link.ended and not self._main.link.told_why
        self._main.stop()
        self._others.stop()
        for channel in self._channels:
            if self._failure.error is not None:
                channel.link.send_error(self._failure.error)
            channel.link.close()
        given_up = self._main.source.confirmed
        if self._verdict is None and given_up and self._waits:  # nobody runs the guest until the receiver knows
            self._verdict = settled(self._main.source, self._ask, self._say, self._limit_s, waits=self._waits)
        elif lost and self._verdict is None:  # it can end then, and we may hear that the guest arrived
            self._verdict = asked_soon(self._ask)

    def _make(self, number: int, link: FrameLink, connection: socket.socket, kind: ChannelKind) -> Channel:
        """One more channel, with histories of its own where the codec keeps some."""
        serials = self._crew.more_serials()
        if number == 1 and serials:
            self._say(_histories(serials))
        source = Source(
            connection, self._shared.budget.batch_bytes, unconfirmed=True, main=self._main.source, kind=kind
        )
        return Channel(number, link, source, serials, self._shared)

    @property
    def _channels(self) -> list[Channel]:
        """All, by their numbers."""
        return sorted([self._main, *self._others.channels], key=lambda channel: channel.number)

    def _confirmed(self) -> ReceiverReport:
        """Everything is sent: wait until the destination has it all and the digests agree."""
        for channel in self._channels:
            if not channel.done.wait(_CLOSING_TIMEOUT_S):
                raise PeerError(f"the receiver did not confirm the end within {_CLOSING_TIMEOUT_S:.0f} s")
        self._failure.check()
        return _receiver_report(self._main.report_told)

    def _report(self, elapsed_s: float, receiver: ReceiverReport) -> Carried:
        channels = [channel.report() for channel in self._channels]
        encoders, budget = self._encoders.counted, self._shared.budget
        return Carried(
            threads=self._crew.threads,
            elapsed_s=elapsed_s,
            stream_bytes=_sum(channels, "stream_bytes"),
            sent_bytes=_sum(channels, "sent_bytes"),
            sent_before_bytes=self._sent_before_bytes,
            raw_pages=_sum(channels, "raw_pages"),
            zero_pages=_sum(channels, "zero_pages"),
            other_pages=_sum(channels, "other_pages"),
            opaque_bytes=_sum(channels, "opaque_bytes"),
            opaque_reason=channels[0].opaque_reason,
            batches=_sum(channels, "batches"),
            stored_batches=sum(encoder.stored_batches for encoder in encoders),
            incompressible_batches=sum(encoder.incompressible_batches for encoder in encoders),
            fallbacks=sum(encoder.fallbacks for encoder in encoders),
            fallback_bytes=sum(encoder.fallback_bytes for encoder in encoders),
            fallback_reason=next((encoder.fallback_reason for encoder in encoders if encoder.fallback_reason), None),
            codec_cpu_s=sum(encoder.codec_cpu_s for encoder in encoders),
            window_bytes=budget.window.limit_bytes,
            window_peak_bytes=budget.window.peak_bytes,
            round_trip_s=budget.round_trip_s,
            batches_digest=digest_of([channel.digest for channel in self._channels]).hex(),
            return_path=bool(self._main.source.parser.return_path),
            outcome=self._outcome,
            counters=self._encoders.counters(),
            receiver=receiver,
            policy=None if self._shared.chooser is None else self._shared.chooser.report(),
            channels=tuple(channels),
            **asdict(own_usage()),
        )


def _histories(serials: Mapping[int, Serial]) -> str:
    size = format_bytes(sum(serial.backend.history_bytes for serial in serials.values()))
    return (
        "warning: QEMU migrates over several connections, and each has a history of its own: it takes up to "
        f"{size} and more for each, here and at the receiver; --option window=... gives smaller ones, zstd keeps none"
    )


def _sum(channels: list[ChannelReport], name: str) -> int:
    return sum(getattr(channel, name) for channel in channels)


def _receiver_report(told: Mapping[str, Any]) -> ReceiverReport:
    try:
        return from_document(ReceiverReport, told)
    except WrongDocumentError as exc:
        raise FrameError(f"the receiver's DONE: report: {exc}") from exc
