"""The guest is to be stopped when what is left and what is under way fit into the wanted downtime; changes are few and bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.steering.switchover import _LEAST_SHARE, FIXED_S, Decision, Flow, Knob, Switchover

MB = 1_000_000
WANTED_S = st.floats(0.001, 2000)
STEPS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 10**10), st.integers(0, 10**9), st.one_of(st.none(), st.floats(0, 1e12))),
    max_size=60,
)


def fed(
    switchover: Switchover, rate: float, in_flight: int = 0, believed: float | None = None, *, seconds: float = 3.0
) -> list[Decision]:
    flows = (Flow(step / 10, round(rate * step / 10), in_flight, believed) for step in range(round(seconds * 10)))
    return [decision for flow in flows if (decision := switchover.look(flow)) is not None]


def walked(switchover: Switchover, steps: list[tuple[float, int, int, float | None]]) -> list[Decision]:
    now, total, found = 0.0, 0, []
    for wait, count, in_flight, believed in steps:
        now, total = now + wait, total + count
        if (decision := switchover.look(Flow(now, total, in_flight, believed))) is not None:
            found.append(decision)
    return found


@given(wanted_s=WANTED_S, steps=STEPS)
def test_the_limit_stays_between_a_fifth_of_the_wanted_downtime_and_all_of_it(wanted_s, steps):
    for decision in walked(Switchover(wanted_s, Knob.LIMIT), steps):
        assert max(1, int(1000 * wanted_s * _LEAST_SHARE)) <= decision.value <= max(1, round(1000 * wanted_s))


def test_what_arrived_but_is_not_known_to_have_is_not_waited_for():
    near, far = Switchover(0.3, Knob.BANDWIDTH), Switchover(0.3, Knob.BANDWIDTH)
    rate, round_trip_s = 100 * MB, 0.1
    for step in range(30):
        now_s, arrived = step / 10, step * 10 * MB
        near.look(Flow(now_s, arrived, 4 * MB, rate))
        far.look(
            Flow(
                now_s,
                arrived - round(rate * round_trip_s / 2),
                4 * MB + round(rate * round_trip_s / 2),
                rate,
                round_trip_s,
            )
        )
    assert near._decided(3.0).left_bytes == pytest.approx(far._decided(3.0).left_bytes)


@given(wanted_s=WANTED_S, steps=STEPS)
def test_the_bandwidth_is_never_above_the_rate_that_was_delivered(wanted_s, steps):
    for decision in walked(Switchover(wanted_s, Knob.BANDWIDTH), steps):
        assert 1 <= decision.value <= max(1, round(decision.delivered_bytes_per_s))
        assert decision.value >= int(decision.delivered_bytes_per_s * _LEAST_SHARE)


@given(wanted_s=WANTED_S, steps=STEPS, knob=st.sampled_from(Knob))
def test_changes_are_a_quarter_of_a_second_apart_and_worth_it(wanted_s, steps, knob):
    decisions = walked(Switchover(wanted_s, knob), steps)
    for before, after in pairwise(decisions):
        assert after.at_s - before.at_s >= 0.25
        assert abs(after.value - before.value) >= 0.1 * before.value


@given(
    rate=st.floats(MB, 4000 * MB),
    wanted_s=st.floats(0.05, 5),
    flight_share=st.floats(0, 0.5),
    off=st.floats(0.8, 1.25),
    knob=st.sampled_from(Knob),
)
def test_what_qemu_then_allows_takes_the_wanted_downtime_with_what_is_under_way(
    rate, wanted_s, flight_share, off, knob
):
    """Of a steady flow, whatever QEMU believes: left + under way + fixed part, at the delivered rate."""
    in_flight = round(rate * wanted_s * flight_share)
    believed = rate * off
    (decision,) = fed(Switchover(wanted_s, knob), rate, in_flight, believed)
    in_force = believed * decision.value / 1000 if knob is Knob.LIMIT else decision.value * wanted_s
    downtime_s = (in_force + in_flight) / rate + FIXED_S
    capped = knob is Knob.LIMIT and decision.value == round(1000 * wanted_s)
    assert downtime_s <= wanted_s * 1.01 + 0.001 * off
    assert capped or downtime_s >= wanted_s * 0.99 - 0.001 * off


@given(knob=st.sampled_from(Knob), in_flight=st.integers(0, 10**9), believed=st.one_of(st.none(), st.floats(0, 1e12)))
def test_nothing_is_changed_while_the_rate_is_unknown(knob, in_flight, believed):
    assert fed(Switchover(0.3, knob), 0, in_flight, believed) == []
    assert fed(Switchover(0.3, knob), 100 * MB, in_flight, believed, seconds=0.2) == []


def test_a_source_that_pauses_leaves_the_last_value_in_force():
    switchover = Switchover(0.3, Knob.LIMIT)
    assert len(fed(switchover, 100 * MB, 3 * MB, 100 * MB)) == 1
    still = [switchover.look(Flow(10 + step / 10, 300 * MB, 0, 0)) for step in range(50)]
    assert still == [None] * 50


def test_what_no_downtime_remains_for_is_floored_and_not_refused():
    (decision,) = fed(Switchover(0.1, Knob.LIMIT), 100 * MB, 50 * MB, 100 * MB)
    assert decision.value == 20


def test_where_qemu_has_no_measure_yet_the_delivered_rate_stands_for_it():
    (decision,) = fed(Switchover(0.3, Knob.LIMIT), 100 * MB, 4 * MB, None)
    assert decision.value == 250
    assert decision.left_bytes == 25 * MB


def test_a_rate_that_falls_is_followed_within_a_second():
    switchover = Switchover(0.3, Knob.BANDWIDTH)
    fed(switchover, 100 * MB)
    slow = [switchover.look(Flow(2.9 + step / 10, 290 * MB + step * MB, 0)) for step in range(1, 12)]
    last = next(decision for decision in reversed(slow) if decision is not None)
    assert last.value == pytest.approx(10 * MB * 290 / 300, rel=0.1)


def test_after_somebody_else_set_the_parameter_the_next_value_is_due_at_once():
    switchover = Switchover(0.3, Knob.LIMIT)
    (first,) = fed(switchover, 100 * MB, 4 * MB, 100 * MB)
    switchover.wanted_s = 0.5
    switchover.forget()
    again = switchover.look(Flow(3.0, 300 * MB, 4 * MB, 100 * MB))
    assert again is not None
    assert (first.value, again.value) == (250, 450)
