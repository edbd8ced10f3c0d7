"""How fast a core is."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import pytest

from harness.migrator.choose import speed


@pytest.mark.parametrize("times", [1.0, 0.25])
def test_it_is_told_by_the_best_of_some_rounds_of_cpu_time(monkeypatch, times):
    spent_s = iter((0.0, 9.0, 9.0, 9.0 + 65536 / 89e6 / times, *[20.0, 30.0] * 3))
    monkeypatch.setattr(speed, "time", SimpleNamespace(thread_time=lambda: next(spent_s)))
    assert speed.core_speed() == pytest.approx(times)


def test_what_it_is_measured_with_can_be_compressed():
    assert len(zlib.compress(speed._sample(), 1)) < 0.8 * len(speed._sample())
