"""A migration over a distance without sockets or waiting: batches go through codecs, a link and a receiver that take their time by
arithmetic, and the window decides when the next may leave."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.carry.round_trip import RoundTrip


class Seen(NamedTuple):
    """At one confirmation. ``waited_s``: from the source to the destination and back, less the distance."""

    now_s: float
    delivered_bytes: int
    window_bytes: int
    waited_s: float
    base_s: float


class _Ack(NamedTuple):
    at_s: float
    number: int
    count: int
    taken_s: float
    handed_s: float
    held_s: float
    round_trip_s: float


@dataclass
class SimulatedPair:
    """Rates are of raw bytes a second, but the link's. ``later_round_trip``: from that second on another one."""

    round_trip_s: float
    link_bytes_per_s: float = 25e6
    ratio: float = 3.3
    compress_bytes_per_s: float = 800e6
    restore_bytes_per_s: float = 600e6
    later_round_trip: tuple[float, float] | None = None
    expected_bytes_per_s: float | None = None
    seen: list[Seen] = field(default_factory=list)

    def carry(self, total_bytes: int) -> float:
        """Seconds until the last confirmation."""
        self.policy = FlightPolicy(
            1 << 20, 2, expected_bytes_per_s=self.expected_bytes_per_s, round_trip_s=self.round_trip_s
        )
        self.round_trip = RoundTrip(self.round_trip_s)
        self.free_s = [0.0, 0.0, 0.0]  # codecs, link, receiver
        acks: list[_Ack] = []
        now_s, taken, in_flight = 0.0, 0, 0
        for number in range(1 << 30):
            count = min(self.policy.batch_bytes, total_bytes - taken)
            while acks and (not count or (in_flight and in_flight + count > self.policy.window_bytes)):
                ack = heapq.heappop(acks)
                now_s = ack.at_s
                self._confirm(ack, taken - in_flight + ack.count, in_flight)
                in_flight -= ack.count
            if not count:
                return now_s
            heapq.heappush(acks, self._sent(number, count, now_s))
            taken, in_flight = taken + count, in_flight + count
        raise AssertionError("it never ends")

    @property
    def ideal_bytes_per_s(self) -> float:
        """What the slowest part allows."""
        return min(self.link_bytes_per_s * self.ratio, self.compress_bytes_per_s, self.restore_bytes_per_s)

    def _sent(self, number: int, count: int, now_s: float) -> _Ack:
        handed_s = self._passes(0, now_s, count / self.compress_bytes_per_s)
        out_s = self._passes(1, handed_s, count / self.ratio / self.link_bytes_per_s)
        distance_s = self.round_trip_s
        if self.later_round_trip is not None and out_s >= self.later_round_trip[0]:
            distance_s = self.later_round_trip[1]
        came_s = out_s + distance_s / 2
        restored_s = self._passes(2, came_s, count / self.restore_bytes_per_s)
        return _Ack(restored_s + distance_s / 2, number, count, now_s, handed_s, restored_s - came_s, distance_s)

    def _passes(self, part: int, at_s: float, took_s: float) -> float:
        self.free_s[part] = max(at_s, self.free_s[part]) + took_s
        return self.free_s[part]

    def _confirm(self, ack: _Ack, delivered: int, in_flight: int) -> None:
        policy, round_trip = self.policy, self.round_trip
        round_trip.seen(ack.at_s, ack.at_s - ack.handed_s - ack.held_s)
        policy.delivered(
            ack.at_s,
            delivered,
            took_s=ack.at_s - ack.taken_s,
            round_trip_s=round_trip.base_s,
            full=in_flight + policy.batch_bytes > policy.window_bytes,
            emptying=round_trip.wants_emptying,
        )
        waited_s = ack.at_s - ack.taken_s - ack.round_trip_s
        self.seen.append(Seen(ack.at_s, delivered, policy.window_bytes, waited_s, round_trip.base_s))
