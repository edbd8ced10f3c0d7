"""A migration through the pair without processes and without waiting: threads share the cores of hosts, a link carries what is
sent, and both take time by arithmetic. The policies are the real ones: ``MethodPolicy`` chooses, ``FlightPolicy`` bounds what is
under way.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulated_cores import Change, Place, Simulation, Thread, Work
from simulated_memory import GENERATED, MB, Memory

from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.choose.estimates import Estimates
from harness.migrator.choose.method_policy import MethodPolicy

UNLIMITED = 1e11
MOST_BATCH_BYTES = 1 << 20

READ_S, DELIVER_S, SEND_S, RECEIVE_S, CODING_S = 0.6e-9, 0.6e-9, 0.15e-9, 0.15e-9, 0.25e-9
"""CPU seconds a byte around codecs, the QEMUs' own with them. Sending and receiving are of bytes on the wire, and what encoding and
decoding take around a codec is once each. With two threads none, lz4, ISA-L and zstd 1 so pass 1140, 545, 420 and 465 MB/s through
two cores; measured were 1239, 525, 407 and 443 (tests/benchmarks/pair.py, 2-core Intel Xeon, 2026-11-26, n=7)."""

BUFFER_BYTES = 2 << 20
"""Of each socket. A thread that sends waits where it is full, and so does the link at the receiver's."""

COLD_S = 0.15
DOWNTIME_S = 0.3
LATENCY_S = 0.0002


@dataclass
class Batch:
    """On its way. ``body_bytes`` is what is sent of it."""

    raw_bytes: int
    choice: int
    trial: int | None
    content: float
    at: int = 0
    body_bytes: int = 0
    took_s: float = 0.0
    restore_s: float = 0.0
    trial_took_s: float = 0.0
    packed: bool = False
    restored: bool = False


@dataclass
class Result:
    """``took_s`` until the last byte was delivered; ``shares`` of bytes by choice."""

    took_s: float
    shares: dict[str, float]
    changes: int
    policy: MethodPolicy | None


@dataclass
class Pair:
    """One migration of ``total_bytes``. ``fixed``: a choice that never changes; None: the policy's.

    ``others``: ``(second, number)`` of busy loops beside it; ``stalls``: ``(second, seconds)`` in which everything stands still;
    ``links``: ``(second, rate)``, as it changes. ``speed_error``: so many times as fast as it is, a core is taken for.
    ``memory``: see there. The guest writes so much to so much of its memory, and QEMU sends that in further passes.
    ``apart``: source and destination are hosts of their own, each with ``cores``, those of the destination
    ``target_speed`` times as fast.
    """

    link_bytes_per_s: float
    cores: int = 2
    speed: float = 1.0
    total_bytes: int = 512 << 20
    fixed: int | None = None
    apart: bool = False
    target_speed: float = 1.0
    others: Sequence[tuple[float, float]] = ()
    stalls: Sequence[tuple[float, float]] = ()
    links: Sequence[tuple[float, float]] = ()
    seed: int = 1
    noise: float = 0.15
    compressible: float = 1.0
    speed_error: float = 1.15
    rehearsed: bool = True
    memory: Memory = GENERATED
    writes_bytes_per_s: float = 0.0
    written_bytes: int = 64 << 20

    def run(self) -> Result:
        """To its end."""
        self.random = random.Random(self.seed)
        self.candidates = self.memory.candidates
        self.source = Place(self.cores, self.speed)
        self.target = Place(self.cores, self.speed * self.target_speed) if self.apart else self.source
        self.hosts = [self.source] if self.target is self.source else [self.source, self.target]
        self.link = Place(1, self.link_bytes_per_s)
        self.time = Simulation([*self.hosts, self.link], self._changes())
        self.lanes = self.cores
        self.warm = set[int]()
        self.policy = None if self.fixed is not None else self._policy()
        expected = None if self.policy is None else self.policy.expected_bytes_per_s
        lanes = 1 if self.fixed == 0 else self.lanes
        self.flight = FlightPolicy(MOST_BATCH_BYTES, lanes, expected_bytes_per_s=expected, round_trip_s=LATENCY_S)
        self.taken = self.delivered = self.in_flight = self.queued = self.arrived_bytes = self.received_bytes = 0
        self.waited_s, self.waits_since = 0.0, None
        self.full = self.ended = False
        self.jobs, self.ordered, self.on_link = deque(), deque(), deque()
        self.arrived, self.to_restore, self.to_deliver = deque(), deque(), deque()
        self.used = Counter()
        self.restoring = 0
        self.warm = set(range(len(self.candidates))) if self.fixed is not None else self.warm
        threads = [self._read(), self._write(), self._carry(), self._receive(), self._deliver()]
        threads += [self._compress() for _ in range(lanes)] + [self._restore() for _ in range(lanes)]
        self.time.run(threads, lambda: self.ended and self.delivered == self.taken)
        names = self.memory.names
        return Result(
            self.time.now_s,
            {names[n]: count / self.taken for n, count in self.used.items()},
            0 if self.policy is None else len(self.policy.decisions) - 1,
            self.policy,
        )

    def _policy(self) -> MethodPolicy:
        source, target = (place.speed * self.speed_error for place in (self.source, self.target))
        policy = MethodPolicy(Estimates(self.candidates, self.lanes, self.lanes, source, target, self.apart))
        policy.estimates.beside(round(sum(number for at_s, number in self.others if not at_s)), self.cores)
        if self.rehearsed:
            policy.rehearsed(self.link_bytes_per_s if self.link_bytes_per_s < 1.5e9 * self.speed else None)
            first = policy.first_choice
            if self.candidates[first].history:
                policy.prepared(first)
                self.warm = {first}
        return policy

    def _changes(self) -> list[Change]:
        places = self.hosts

        def busy(number: float) -> Callable[[], None]:
            return lambda: [setattr(place, "others", number) for place in places]

        def still(value: bool) -> Callable[[], None]:
            return lambda: [setattr(place, "still", value) for place in [*places, self.link]]

        def links(rate: float) -> Callable[[], None]:
            return lambda: setattr(self.link, "speed", rate)

        found = [(at_s, busy(number)) for at_s, number in self.others] + [
            (at_s, links(rate)) for at_s, rate in self.links
        ]
        for at_s, took_s in self.stalls:
            found += [(at_s, still(True)), (at_s + took_s, still(False))]
        return found

    # ------------------------------------------------------------------ threads

    def _read(self) -> Thread:
        left_bytes, running = self.total_bytes, True
        while left_bytes:
            began_s = self.time.now_s
            yield from self._pass(self.taken + left_bytes)
            took_s = self.time.now_s - began_s
            written_bytes = round(min(self.written_bytes, self.writes_bytes_per_s * took_s)) if running else 0
            running = running and written_bytes > DOWNTIME_S * left_bytes / took_s
            left_bytes = written_bytes
        self.ended = True

    def _pass(self, end: int) -> Thread:
        while self.taken < end:
            count = min(self.flight.batch_bytes, end - self.taken)
            yield Work(self.source, count * READ_S)
            if not self._has_room(count):
                self.full = True
                yield lambda count=count: self._has_room(count)
            choice, trial = (self.fixed, None) if self.policy is None else self.policy.choose(self.time.now_s, count)
            batch = Batch(count, choice, trial, self.random.uniform(1 - self.noise, 1 + self.noise), self.taken)
            self.used[choice] += count
            self.in_flight += count
            self.taken += count
            self.jobs.append(batch)
            self.ordered.append(batch)

    def _has_room(self, count: int) -> bool:
        return not self.in_flight or self.in_flight + count <= self.flight.window_bytes

    def _compress(self) -> Thread:
        while True:
            yield lambda: self.jobs
            batch = self.jobs.popleft()
            batch.body_bytes, batch.took_s = self._packed(batch.choice, batch)
            if batch.choice not in self.warm and self.candidates[batch.choice].history:
                self.warm.add(batch.choice)
                batch.took_s += COLD_S
            yield Work(self.source, batch.took_s)
            batch.packed = True
            if batch.trial is not None:
                batch.trial_took_s = self._packed(batch.trial, batch)[1]
                yield Work(self.source, batch.trial_took_s)

    def _packed(self, choice: int, batch: Batch) -> tuple[int, float]:
        """How large it is then, and the CPU seconds for it at speed 1."""
        size = self.memory.size(choice, batch.at, batch.raw_bytes, self.compressible * batch.content)
        return max(1, round(batch.raw_bytes * size)), self._spent_s(choice, self.memory.costs[choice][0], batch)

    def _spent_s(self, choice: int, rate: float, batch: Batch) -> float:
        each_s = 1 / (rate * MB) + (CODING_S if choice else 0.0)
        return batch.raw_bytes * each_s * self.random.uniform(1 - self.noise / 2, 1 + self.noise / 2)

    def _write(self) -> Thread:
        while True:
            yield lambda: self.ordered and self.ordered[0].packed
            batch = self.ordered.popleft()
            yield Work(self.source, batch.body_bytes * SEND_S)
            yield lambda: self.queued < BUFFER_BYTES
            self.queued += batch.body_bytes
            self.on_link.append(batch)
            self._learn(batch)

    def _learn(self, batch: Batch) -> None:
        if self.policy is None:
            return
        speed = self.speed
        self.policy.compressed(batch.choice, batch.raw_bytes, batch.body_bytes, batch.took_s / speed)
        if batch.trial is not None:
            packed, took_s = self._packed(batch.trial, batch)
            self.policy.tried(
                self.time.now_s, batch.trial, packed, took_s / speed,
                beside=batch.choice, sent_bytes=batch.body_bytes, raw_bytes=batch.raw_bytes,
            )  # fmt: skip

    def _carry(self) -> Thread:
        while True:
            yield lambda: self.on_link and sum(b.body_bytes for b in self.arrived) < BUFFER_BYTES
            batch = self.on_link.popleft()
            yield Work(self.link, batch.body_bytes)
            self.queued -= batch.body_bytes
            self.arrived.append(batch)

    def _receive(self) -> Thread:
        while True:
            self.waits_since = self.time.now_s
            yield lambda: self.arrived
            self.waited_s, self.waits_since = self.waited_s + self.time.now_s - self.waits_since, None
            batch = self.arrived.popleft()
            yield Work(self.target, batch.body_bytes * RECEIVE_S)
            self.received_bytes += batch.body_bytes
            self.to_restore.append(batch)
            self.to_deliver.append(batch)

    def _restore(self) -> Thread:
        """A history's batches one at a time."""
        while True:
            yield (
                lambda: self.to_restore and not (self.candidates[self.to_restore[0].choice].history and self.restoring)
            )
            batch = self.to_restore.popleft()
            self.restoring += self.candidates[batch.choice].history
            batch.restore_s = self._spent_s(batch.choice, self.memory.costs[batch.choice][1], batch)
            yield Work(self.target, batch.restore_s)
            self.restoring -= self.candidates[batch.choice].history
            batch.restored = True

    def _deliver(self) -> Thread:
        while True:
            yield lambda: self.to_deliver and self.to_deliver[0].restored
            batch = self.to_deliver.popleft()
            yield Work(self.target, batch.raw_bytes * DELIVER_S)
            self.delivered += batch.raw_bytes
            self.in_flight -= batch.raw_bytes
            self._confirmed(batch)

    def _confirmed(self, batch: Batch) -> None:
        self.flight.delivered(self.time.now_s, self.delivered, round_trip_s=LATENCY_S, full=self.full)
        self.full = False
        if self.policy is None:
            return
        waited_s = self.waited_s + (0.0 if self.waits_since is None else self.time.now_s - self.waits_since)
        self.policy.link.look(self.time.now_s, self.received_bytes, self.queued, waited_s)
        self.policy.restored(batch.choice, batch.raw_bytes, batch.restore_s / self.target.speed)
        self.policy.delivered(self.time.now_s, batch.choice, self.delivered, 0.0)
