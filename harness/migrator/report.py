"""What each half says of a migration that it carried: every fact once, as statistics, DONE and the lab have it. Computes nothing.

Names are those of the statistics' document and, behind ``sender_`` or ``receiver_``, of a result's counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.migrator.choose import method_policy
from harness.migrator.outcome import Outcome
from harness.migrator.steering import switchover
from harness.migrator.transport.contract import Secured
from harness.results.doubt import Doubt
from harness.results.doubts import Fallback, NoPassShorter, Opaque, PackedByQemu, SteeringEnded
from harness.results.stops import Why

ChannelKind = Literal["main", "multifd", "other"]
URGENT: ChannelKind = "other"
"""postcopy-preempt's: of each page that comes there a processor of the guest waits."""
"""What a connection of the source QEMU is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the kernel says of a half's process."""

    cpu_s: float
    peak_rss_bytes: int
    threads_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport(Usage):
    """``confirmed``: the destination QEMU said that it has all. ``sender_heard``: the sender could be told of the end.
    ``channels``: how many there were.

    ``batches_digest``: XXH3-128 of all batches' XXH3-64; of several channels, that of theirs. A digest of the stream itself, as
    ``pageferry record`` prints it, would be one more pass over every byte: 28 to 39 GB/s in the processor's cache, 9 GB/s from
    memory (xxhash 4.1, Intel Xeon 2.5 GHz, 2026-11-27, best of 7), which is 3 to 11 % of the nanosecond that the pair spends on a
    byte. Each batch is checked already.
    """

    role: Literal["receiver"] = "receiver"
    session: str
    threads: int
    stream_bytes: int
    batches: int
    codec_cpu_s: float
    window_peak_bytes: int
    batches_digest: str
    sender_heard: bool
    confirmed: bool
    channels: int
    tls: Secured | None


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """Of one connection of the source QEMU. ``kind``: "other" is postcopy-preempt's, or one that said nothing. ``packed_by``: what
    multifd compressed its pages with, if it did."""

    kind: ChannelKind
    stream_bytes: int
    sent_bytes: int
    batches: int
    raw_pages: int
    zero_pages: int
    other_pages: int
    opaque_bytes: int
    opaque_reason: str | None
    packed_by: str | None


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """``shares``: of the stream, by candidate of ``auto``. ``decisions``: each change of choice, and what it was made of.
    ``apart``: source and destination have cores of their own."""

    decisions: tuple[method_policy.Decision, ...]
    shares: Mapping[str, float]
    apart: bool = False


@dataclass(frozen=True, slots=True)
class SteeringReport:
    """``owners``: QEMU's values as they were found. ``decisions``: what was set, in seconds from the begin.
    ``ended_early``: why, where it did. ``wanted_downtime_s``: None where it was to be the shortest; ``predicted_downtime_s`` is
    then what the last decision was to come to, and ``claimed_downtime_s`` what the source QEMU says that it came to."""

    parameter: str
    wanted_downtime_s: float | None
    owners: Mapping[str, int]
    restored: bool
    decisions: tuple[switchover.Decision, ...]
    ended_early: str | None
    predicted_downtime_s: float | None = None
    claimed_downtime_s: float | None = None
    steer_changes: int = 0
    steer_taken_over: int = 0
    steer_failures: int = 0

    def doubts(self) -> Iterator[Doubt]:
        """What a reader of the downtime must know."""
        if self.ended_early is not None:
            yield SteeringEnded(self.ended_early)
        last = self.decisions[-1] if self.decisions else None
        if last is not None and last.why == Why.STUCK.value and last.predicted_downtime_s is not None:
            limit_s = self.owners[switchover.Knob.LIMIT.value] / 1000
            yield NoPassShorter(last.passes or 0, last.predicted_downtime_s, limit_s, last.delivered_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried(Usage):
    """A sender's, of what lies between QEMU's connection and the receiver's DONE. ``counters``: the backend's own, summed.
    ``channels``: the main one first; what is counted beside it is of all of them."""

    threads: int
    elapsed_s: float
    stream_bytes: int
    sent_bytes: int
    sent_before_bytes: int
    raw_pages: int
    zero_pages: int
    other_pages: int
    opaque_bytes: int
    opaque_reason: str | None
    batches: int
    stored_batches: int
    incompressible_batches: int
    fallbacks: int
    fallback_bytes: int
    fallback_reason: str | None
    codec_cpu_s: float
    window_bytes: int
    window_peak_bytes: int
    round_trip_s: float
    batches_digest: str
    return_path: bool
    outcome: Outcome
    counters: Mapping[str, int | float]
    receiver: ReceiverReport
    policy: PolicyReport | None
    channels: tuple[ChannelReport, ...]


@dataclass(frozen=True, slots=True)
class LibvirtReport:
    """What libvirt says of a migration that it drove. ``figures``: by its own names, in its units (virDomainGetJobStats: ms, bytes,
    pages). ``missing``: why there are none."""

    domain: str
    figures: Mapping[str, int | str]
    missing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport(Carried):
    """``prepare_s``, ``prepared_histories``: where a history was opened before the migration. ``libvirt``: where it was asked."""

    role: Literal["sender"] = "sender"
    session: str
    backend: str
    level: int | None
    fallback: str | None
    prepare_s: float | None
    prepared_histories: int | None
    steering: SteeringReport | None
    tls: Secured | None
    libvirt: LibvirtReport | None = None

    def doubts(self) -> Iterator[Doubt]:
        """Whatever makes the figures other than they seem."""
        if self.steering is not None:
            yield from self.steering.doubts()
        if self.opaque_reason:
            yield Opaque(self.opaque_reason)
        if packed := {channel.packed_by for channel in self.channels if channel.packed_by}:
            yield PackedByQemu(" and ".join(sorted(packed)))
        if self.fallbacks:
            yield Fallback(self.fallbacks, self.batches, self.fallback, self.backend, self.fallback_reason)
