"""What the link carries is found out before a migration: from the receiver's clock, and only where it was the limit."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest
from pairs import greeted_links

from harness.errors import PeerError
from harness.migrator.choose import rehearsal
from harness.migrator.session import FrameLink
from harness.wire.pair.decoder import encode
from harness.wire.pair.forms import Message
from harness.wire.pair.messages import End, Probe, Probed


class SimulatedLink:
    """Carries ``rate``, the first ``burst`` bytes at once; its receiver works off ``receiver_rate``."""

    def __init__(self, rate: float, *, burst: int = 0, receiver_rate: float = 1e12) -> None:
        self.rate, self.burst, self.receiver_rate = rate, burst, receiver_rate
        self.now_s = self.waited_s = 0.0
        self.sent = self.received = 0
        self.waiting: list[int] = []

    def send(self, message: Message) -> None:
        count = sum(map(len, encode(message)))
        self.sent += count
        self.waiting.append(count)

    def next_as(self, cls: type[Probed], _: float) -> Probed:
        count = self.waiting.pop(0)
        link_s = 0.0 if self.received + count <= self.burst else count / self.rate
        work_s = count / self.receiver_rate
        self.now_s += max(link_s, work_s)
        self.waited_s += max(0.0, link_s - work_s)
        self.received += count
        return cls(self.waited_s, self.now_s, self.received)


@pytest.mark.parametrize("rate", [125e3, 3e6, 12.5e6, 37.5e6, 125e6, 312e6])
def test_a_limited_link_is_measured(rate):
    assert rehearsal.measure_bytes_per_s(SimulatedLink(rate)) == pytest.approx(rate, rel=0.01)


def test_a_burst_does_not_deceive_it():
    assert rehearsal.measure_bytes_per_s(SimulatedLink(125e6, burst=500_000)) == pytest.approx(125e6, rel=0.01)


class Lumps(SimulatedLink):
    """What a token bucket lets pass comes in lumps."""

    LUMP_BYTES = 64 << 10

    def next_as(self, cls: type[Probed], timeout_s: float) -> Probed:
        said = super().next_as(cls, timeout_s)
        lump_s = self.LUMP_BYTES / self.rate
        return replace(said, now_s=math.ceil(said.now_s / lump_s) * lump_s)


@pytest.mark.parametrize("rate", [6e6, 12.2e6, 37e6, 120e6])
def test_lumps_do_not_deceive_it(rate):
    assert 0.8 * rate <= rehearsal.measure_bytes_per_s(Lumps(rate)) <= 1.05 * rate


def test_a_slow_receiver_is_not_taken_for_the_link():
    assert rehearsal.measure_bytes_per_s(SimulatedLink(1e9, receiver_rate=2e8)) is None


@pytest.mark.parametrize("field", ["now_s", "waited_s", "received"])
def test_an_account_that_runs_backwards_is_refused_in_a_line(field):
    link = SimulatedLink(125e6)
    whole = link.next_as

    def falls(cls, timeout_s):
        setattr(link, field, getattr(link, field) if link.received < 100_000 else 0)
        return whole(cls, timeout_s)

    link.next_as = falls
    with pytest.raises(PeerError, match="runs backwards"):
        rehearsal.measure_bytes_per_s(link)


@pytest.mark.parametrize("rate", [125e3, 3e6, 125e6, 1e9])
def test_it_takes_little_of_any_link(rate):
    link = SimulatedLink(rate)
    rehearsal.measure_bytes_per_s(link)
    assert link.sent <= 66_000 or link.now_s <= 0.07
    assert link.sent <= 33 << 20


class SlowStart(SimulatedLink):
    """As a kernel begins over a distance: 640 KB in the first round trip, twice as much in each further one."""

    def __init__(self, rate: float, round_trip_s: float) -> None:
        super().__init__(rate)
        self.round_trip_s, self.allowed = round_trip_s, 640_000

    def next_as(self, cls: type[Probed], timeout_s: float) -> Probed:
        if self.received >= self.allowed:
            idle_s = max(0.0, self.round_trip_s - self.allowed / self.rate)
            self.now_s, self.waited_s = self.now_s + idle_s, self.waited_s + idle_s
            self.allowed *= 2
        return super().next_as(cls, timeout_s)


@pytest.mark.parametrize("round_trip_s", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("rate", [3e6, 25e6, 125e6])
def test_a_slow_start_is_not_taken_for_the_link(rate, round_trip_s):
    found = rehearsal.measure_bytes_per_s(SlowStart(rate, round_trip_s), round_trip_s)
    assert found is not None
    assert 0.75 * rate <= found <= 1.01 * rate


def test_the_round_trip_is_the_shorter_of_two(monkeypatch):
    link, clock = SimulatedLink(1e9), iter([0.0, 0.3, 1.0, 1.1])
    monkeypatch.setattr(rehearsal.time, "monotonic", lambda: next(clock))
    assert rehearsal.measure_round_trip_s(link) == pytest.approx(0.1)


def test_a_receiver_answers_each_probe_and_the_migration_follows():
    def work(receiver: FrameLink) -> None:
        for message in receiver.messages():
            if not isinstance(message, Probe):
                break
            rehearsal.answer(receiver)

    with greeted_links() as (sender, receiver):
        answering = threading.Thread(target=work, args=(receiver,), daemon=True)
        answering.start()
        rate = rehearsal.measure_bytes_per_s(sender)
        assert rate is None or rate > 1e6
        sender.send(End(0, 0, bytes(16)))
        answering.join(120)
        assert not answering.is_alive()
