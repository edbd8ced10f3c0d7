"""The stop comes after a bounded time, whatever the guest writes; it is short where that is cheap, and told why where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.migrator.steering.shortest import FLOOR_S, Progress, Shortest
from harness.migrator.steering.switchover import Decision, Knob
from harness.results.stops import Why

MB = 1e6
STEP_S = 0.005


@dataclass(frozen=True)
class Guest:
    """Carried at ``rate``, it writes at ``write`` to a working set of ``wanted`` bytes. ``sync_s``: what a look for them takes."""

    rate: float
    write: float
    wanted: float
    ram: float = 500 * MB
    sync_s: float = 0.003


@dataclass
class Ending:
    downtime_s: float
    total_s: float
    decisions: list[Decision]


def migrated(guest: Guest, limit_s: float = 0.3, share: float = 0.1, knob: Knob = Knob.LIMIT) -> Ending:
    """As QEMU does it: passes, a look for what was written once less is left than may be, its own rate ten times a second."""
    policy, decisions = Shortest(limit_s, share, knob), []
    now = measured = looked = 0.0
    left, written, sent, passes, took = guest.ram, 0.0, 0.0, 1, 0.0
    allowed = believed = busy = 0.0
    limit_ms, bandwidth = FLOOR_S * 1000, 0.0
    longest_s = 100 * (guest.ram / guest.rate + guest.sync_s)
    while now < longest_s:
        now += STEP_S
        written += (guest.wanted - written) * -math.expm1(-guest.write * STEP_S / guest.wanted) if guest.wanted else 0
        moved = min(left, guest.rate * max(0.0, STEP_S - busy))
        busy = max(0.0, busy - STEP_S)
        left, sent, took = left - moved, sent + moved, took + moved
        if now - measured >= 0.1:
            believed, took, measured = took / (now - measured), 0.0, now
            allowed = (bandwidth or believed) * limit_ms / 1000
        if left <= allowed and not busy:
            left, written, passes, busy = min(guest.ram, left + written), 0.0, passes + 1, guest.sync_s
            if left <= allowed:
                return Ending(left / guest.rate, now + left / guest.rate, decisions)
        if (
            now >= looked
            and (said := policy.look(Progress(now, passes, int(left), int(sent), 0, believed))) is not None
        ):
            decisions.append(said)
            limit_ms, bandwidth = (said.value, 0.0) if knob is Knob.LIMIT else (limit_ms, said.value)
        looked = now + policy.look_again_s if now >= looked else looked
    raise AssertionError(f"no end within {longest_s} s: {guest}")


@pytest.mark.parametrize("knob", Knob)
@pytest.mark.parametrize(
    ("guest", "why", "longest_s"),
    [
        (Guest(400 * MB, 21 * MB, 67 * MB), Why.LITTLE, FLOOR_S),
        (Guest(100 * MB, 21 * MB, 67 * MB), None, 2 * FLOOR_S),
        (Guest(100 * MB, 0, 0), Why.LITTLE, FLOOR_S),
        (Guest(100 * MB, 90 * MB, 400 * MB), Why.DEAR, 0.3),
        (Guest(400 * MB, 100 * MB, 400 * MB, sync_s=0.05), Why.SPENT, 0.2),
        (Guest(100 * MB, 200 * MB, 400 * MB), Why.STUCK, 5.0),
        (Guest(50 * MB, 400 * MB, 500 * MB), Why.STUCK, 11.0),
    ],
    ids=[
        "throttled",
        "slower",
        "idle",
        "passes-hardly-shorter",
        "passes-cost-much",
        "writes-faster",
        "writes-much-faster",
    ],
)
def test_the_guest_is_stopped_as_briefly_as_its_writes_allow(guest, why, longest_s, knob):
    ending = migrated(guest, knob=knob)
    assert ending.downtime_s <= longest_s * 1.1
    assert why is None or ending.decisions[-1].why == why.value
    assert ending.decisions[-1].predicted_downtime_s >= ending.downtime_s * 0.7


GUESTS = st.builds(
    lambda rate, writes, wanted, sync_s: Guest(rate, rate * writes, 100 * MB * wanted, 100 * MB, sync_s),
    st.floats(100 * MB, 2000 * MB),
    st.floats(0, 5),
    st.floats(0.001, 1),
    st.floats(0, 0.1),
)


@settings(max_examples=30)
@given(guest=GUESTS, limit_s=st.floats(0.001, 20), share=st.floats(0, 1), knob=st.sampled_from(Knob))
def test_every_guest_is_stopped_in_the_end(guest, limit_s, share, knob):
    ending = migrated(guest, limit_s, share, knob)
    assert ending.downtime_s <= guest.ram / guest.rate * 1.01


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_passes_for_a_shorter_stop_cost_no_more_than_their_share(share):
    """QEMU reads what it was told a tenth of a second later, at the end of a pass."""
    guest = Guest(100 * MB, 40 * MB, 400 * MB)
    at_limit, ending = migrated(guest, share=0.0), migrated(guest, share=share)
    assert ending.total_s <= at_limit.total_s * (1 + share) + 0.3
    assert ending.downtime_s <= at_limit.downtime_s


STEPS = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 3), st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 10**9)
    ),
    max_size=60,
)


@example(
    steps=[(0, 0, 0, 0, 0), (0, 0, 0, 0, 157364), (0, 1, 1, 0, 0), (0, 1, 1, 0, 0)],
    believed=5e-324,
    limit_s=1.0,
    knob=Knob.BANDWIDTH,
)
@given(
    steps=STEPS,
    believed=st.one_of(st.none(), st.floats(0, 1e12)),
    limit_s=st.floats(0.001, 2000),
    knob=st.sampled_from(Knob),
)
def test_whatever_qemu_tells_what_it_is_told_is_in_bounds_and_seldom(steps, believed, limit_s, knob):
    policy, decisions = Shortest(limit_s, 0.1, knob), []
    now, passes, sent = 0.0, 1, 0
    for wait, more, left, moved, under_way in steps:
        now, passes, sent = now + wait, passes + more, sent + moved
        if (said := policy.look(Progress(now, passes, left, sent, under_way, believed))) is not None:
            decisions.append(said)
        assert policy.look_again_s > 0
        assert policy.longest_s >= limit_s
    for decision in decisions:
        assert 1 <= decision.value <= 2_000_000 or knob is Knob.BANDWIDTH
        assert decision.predicted_downtime_s > 0
        assert math.isfinite(decision.value)
    for before, after in pairwise(decisions):
        assert after.at_s - before.at_s >= 0.1 or after.why != before.why


def test_a_pass_that_has_just_begun_is_not_judged_by_its_zero_pages():
    """They are passed by without being sent, at a rate that says nothing of the link."""
    policy = Shortest(0.3, 0.1, Knob.LIMIT)
    for step in range(6):
        policy.look(Progress(step / 10, 1, int(1000 * MB - step * 10 * MB), int(step * 10 * MB)))
    policy.look(Progress(0.6, 1, int(100 * MB), int(50 * MB)))
    said = policy.look(Progress(0.7, 2, int(20 * MB), int(150 * MB)))
    assert said is None or said.delivered_bytes_per_s == pytest.approx(100 * MB, rel=0.01)
    assert policy._rate() == pytest.approx(100 * MB, rel=0.01)
