"""What auto lost, from results."""

from __future__ import annotations

import pytest

from harness.result import MetricSummary, Result
from reports.regret import regrets


def result(cell=None, **total_s: float | None) -> Result:
    methods = [
        {"name": name, "engine": "qemu" if name == "original" else "pageferry", "backend": name.partition("_")[0]}
        for name in total_s
    ]
    summary = {
        name: {"total_time_s": MetricSummary(value, (value, value), 3)} for name, value in total_s.items() if value
    }
    return Result({"name": "grid", "methods": methods, "cell": cell or {}}, {}, summary=summary)


def test_regret_is_against_the_best_fixed_choice_of_the_pair():
    (row,) = regrets(
        [result({"link": "1Gbit/s", "fill": "mixed"}, original=0.1, none=4.0, isal=2.0, zstd=1.0, auto=1.1)]
    )
    assert (row.cell, row.best, row.auto_ms, row.best_ms) == ("1Gbit/s, mixed", "zstd", 1100, 1000)
    assert row.regret == pytest.approx(0.1)
    assert row.against_none == pytest.approx(1.1 / 4 - 1)


def test_without_auto_or_without_a_fixed_choice_there_is_no_row():
    assert regrets([result(none=1.0, isal=1.0), result(auto=1.0), result(auto=None, none=1.0)]) == []
    assert regrets([]) == []


def test_without_none_only_the_regret_is_told():
    (row,) = regrets([result(isal=1.0, auto=0.9)])
    assert row.against_none is None
    assert row.regret == pytest.approx(-0.1)
    assert row.cell == "grid"
