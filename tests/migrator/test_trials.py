"""Trials take the time that is left for them, by what each is expected to take before it begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.choose.auto import candidates
from harness.migrator.choose.estimates import Estimates
from harness.migrator.choose.method_policy import MethodPolicy
from harness.migrator.choose.trials import TrialBudget


@given(st.lists(st.tuples(st.floats(0, 0.1), st.integers(0, 3), st.floats(1e-5, 0.05), st.floats(0.5, 2)), max_size=60))
def test_what_is_spent_is_never_more_than_the_budget_but_by_what_was_expected_wrongly(asked):
    """``asked``: seconds until the next, its candidate, what it is expected to take and how many times as much it takes."""
    budget, now_s, spent_s, wrong_s, begun = TrialBudget(), 0.0, 0.0, 0.0, {}
    for wait_s, choice, expected_s, times in asked:
        now_s += wait_s
        if (trial := begun.pop(choice, None)) is not None:
            budget.end(choice, trial[0] * trial[1])
            spent_s, wrong_s = spent_s + trial[0] * trial[1], wrong_s + max(0.0, trial[0] * (trial[1] - 1))
        elif budget.begin(choice, now_s, expected_s):
            begun[choice] = expected_s, times
        under_way_s = sum(expected for expected, _ in begun.values())
        assert spent_s + under_way_s <= 0.002 + 0.005 * now_s + wrong_s + 1e-12


@pytest.mark.parametrize(("batch_bytes", "first_after_s"), [(2 << 20, 0.16), (256 << 10, 0.0)])
def test_a_codec_that_takes_all_of_the_budget_waits_until_it_is_there(batch_bytes, first_after_s):
    """zstd 1 takes 3 ms of each of two cores for 2 MiB: there are 2 ms at first."""
    policy = MethodPolicy(Estimates(candidates({"candidates": "lz4,zstd:1"}), 2, 2))
    policy.rehearsed(1e9 / 8)
    tried = [at for at in range(300) if policy.choose(at / 1000, batch_bytes)[1] is not None]
    assert tried
    assert first_after_s <= tried[0] / 1000 <= first_after_s + 0.12
