"""Looks at a migration in progress: counters and CPU time from the start on, whatever ends meanwhile."""

import functools
from dataclasses import dataclass

import pytest

from harness.hosts.look import Look, cpu_seconds


@dataclass
class Counters:
    forward_wire_bytes: int
    return_wire_bytes: int


@pytest.fixture
def counters():
    return Counters(1_000, 100)


def test_numbers_count_from_the_start(counters):
    look = Look(lambda: counters, {})
    counters.forward_wire_bytes, counters.return_wire_bytes = 51_000, 150
    sample = look.take(0.5, passes=2, remaining_bytes=7, dirty_rate_bytes_per_s=8)
    assert (sample.t_s, sample.wire_bytes, sample.passes) == (0.5, 50_000, 2)
    assert (sample.remaining_bytes, sample.dirty_rate_bytes_per_s) == (7, 8)
    assert look.return_bytes() == 50
    assert look.samples == (sample,)


def test_rate_is_of_the_last_half_second(counters):
    look = Look(lambda: counters, {})
    assert look.wire_bytes_per_s is None
    for step in range(11):  # 1 MB/s for half a second, then 4 MB/s
        look.take(step / 10)
        counters.forward_wire_bytes += 100_000 if step < 5 else 400_000
    assert look.wire_bytes_per_s == pytest.approx(4_000_000)


def test_cpu_time_is_counted_by_process_from_the_start(counters):
    spent_s = {"sender": 3.0, "source_qemu": 1.0}
    look = Look(lambda: counters, {name: functools.partial(spent_s.get, name) for name in spent_s})
    spent_s["sender"] = 3.5
    first = look.take(0.1).cpu_s
    spent_s["sender"] = 5.0
    assert look.cpu_since_start() == {"sender": 2.0, "source_qemu": 0.0}
    assert first == look.samples[0].cpu_s == {"sender": 0.5, "source_qemu": 0.0}  # samples keep what was known then


def test_cpu_seconds_leaves_out_what_was_not_measured():
    found = cpu_seconds({"sender": 1.5, "source_qemu": 0.5})
    assert (found.sender, found.source_qemu, found.receiver, found.destination_qemu) == (1.5, 0.5, None, None)
    assert found.total == 2.0
