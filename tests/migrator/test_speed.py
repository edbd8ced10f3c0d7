"""How fast a core is, and how many others want it."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import pytest
import sample_streams
from pairs import Pair, carry

from harness.migrator import sender
from harness.migrator.choose import speed


@pytest.mark.parametrize("times", [1.0, 0.25])
def test_it_is_told_by_the_best_of_some_rounds_of_cpu_time(monkeypatch, times):
    spent_s = iter((0.0, 9.0, 9.0, 9.0 + 65536 / 89e6 / times, *[20.0, 30.0] * 3))
    monkeypatch.setattr(speed, "time", SimpleNamespace(thread_time=lambda: next(spent_s)))
    assert speed.core_speed() == pytest.approx(times)


def test_what_it_is_measured_with_can_be_compressed():
    assert len(zlib.compress(speed._sample(), 1)) < 0.8 * len(speed._sample())


@pytest.mark.parametrize(
    ("running", "others"), [((5, 6, 4, 9, 5), 3), ((1, 1, 1, 1, 1), 0), ((0, 3, 3, 3, 3), 0), ((7, 7, 1, 7, 7), 0)]
)
def test_others_count_that_want_a_core_all_the_time(running, others):
    """What runs for a moment does not: a codec is not left for it."""
    looks = iter(f"cpu  1 2 3\nprocs_running {number}\nprocs_blocked 9\n".encode() for number in running)
    assert speed.busy_others(looks.__next__) == others


@pytest.mark.parametrize(("soon_s", "counts"), [(3600, 1), (-1, 2)])
def test_a_guest_that_connects_late_is_counted_beside_anew(tmp_path, monkeypatch, soon_s, counts):
    """One that connects soon would only wait for it."""
    counted: list[None] = []
    monkeypatch.setattr(sender, "_SOON_S", soon_s)
    monkeypatch.setattr(sender, "busy_others", lambda: len(counted.append(None) or counted))
    data = sample_streams.small_stream(5, sections=4)
    with Pair(tmp_path, "auto") as pair:
        assert carry(pair, data, [100]) == data
    assert len(counted) == counts


def test_a_kernel_that_does_not_say_has_no_others(tmp_path):
    assert speed.busy_others(lambda: b"cpu  1 2 3\n") == 0
    assert speed.busy_others((tmp_path / "stat").read_bytes) == 0
