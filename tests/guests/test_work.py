"""What a guest felt, of series that are made up: the loss is known before it is computed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.guests.console import Consoles, Work
from harness.guests.image.console import SerialConsole
from harness.guests.linux import console as linux
from harness.guests.stress import console as stress
from harness.guests.work import AFTER_S, Moments, Series, felt, follow

TOLD_S = 0.1
BEFORE_S = 1.0
PACES = st.floats(1, 1e6)
PHASES = st.floats(0, TOLD_S, exclude_max=True)
SECONDS = st.floats(0.01, 20)


def series(done_at: Callable[[float], float], end_s: float, phase_s: float, still: tuple[float, float]) -> Series:
    """A count each tenth of a second in which the guest runs; ``still``: from when to when it does not."""
    ticks = range(int((end_s + BEFORE_S) / TOLD_S) + 12)
    ran_s = [tick * TOLD_S + phase_s - BEFORE_S for tick in ticks]
    stop_s, resume_s = still
    return [(at_s if at_s <= stop_s else at_s + resume_s - stop_s, done_at(at_s)) for at_s in ran_s]


@settings(deadline=None)
@given(PACES, PHASES, SECONDS)
def test_nothing_is_lost_where_the_pace_is_constant(pace, phase_s, over_s):
    found = felt(
        series(lambda s: pace * s, over_s + AFTER_S, phase_s, (over_s, over_s)), "file", over_s, over_s, over_s
    )
    assert found.lost_s == pytest.approx(0, abs=1e-6)
    assert found.lost_within_s == pytest.approx(0, abs=1e-6)
    assert [found.before_per_s, found.during_per_s, found.after_per_s] == pytest.approx([pace] * 3)


@settings(deadline=None)
@given(PACES, PHASES, SECONDS, st.floats(0, 5), st.floats(0, 3))
def test_standing_still_costs_as_much_work_as_it_lasts(pace, phase_s, stop_s, stopped_s, later_s):
    resume_s = stop_s + stopped_s
    over_s = resume_s + later_s  # of post-copy, say
    told = series(lambda s: pace * s, over_s + AFTER_S, phase_s, (stop_s, resume_s))
    found = felt(told, "file", stop_s, resume_s, over_s)
    assert found.lost_s == pytest.approx(stopped_s, abs=1e-6)
    assert found.during_per_s == pytest.approx(pace * (over_s - stopped_s) / over_s)
    assert found.after_per_s == pytest.approx(pace)


@settings(deadline=None)
@given(PACES, PHASES, st.floats(0.5, 10), st.floats(0, 2))
def test_half_the_pace_costs_half_of_the_time_that_it_lasts(pace, phase_s, slow_s, before_s):
    over_s = before_s + slow_s + 0.5

    def done_at(ran_s: float) -> float:
        return pace * (ran_s - min(max(0.0, ran_s - before_s), slow_s) / 2)

    found = felt(series(done_at, over_s + AFTER_S, phase_s, (over_s, over_s)), "file", over_s, over_s, over_s)
    assert found.lost_s == pytest.approx(
        slow_s / 2, abs=TOLD_S / 2
    )  # the count that spans its beginning is shared evenly


def test_work_that_is_made_up_for_is_not_lost():
    told = series(lambda s: 100 * s if s < 2 else 100 * (s + 0.5), 4, 0.0, (2.0, 2.5))
    assert felt(told, "file", 2.0, 2.5, 2.5).lost_s == pytest.approx(0, abs=1e-6)


def test_counts_that_are_heard_late_now_and_then_say_how_far_the_loss_may_be_off():
    true = series(lambda s: 100 * s, 11, 0.0, (10.0, 10.0))
    late = [(at_s + 0.02 * (tick % 3 == 2) * (at_s < 0), done) for tick, (at_s, done) in enumerate(true)]
    found = felt(late, "file", 10.0, 10.0, 10.0)
    assert 0 < abs(found.lost_s) < found.lost_within_s < 1


def test_of_two_counts_before_nobody_knows_how_even_the_pace_was():
    found = felt([(-1, 0), (0, 100), (5, 600)], "file", 2.0, 2.0, 2.0)
    assert (found.lost_s, found.lost_within_s) == (pytest.approx(0), None)


GOOD = series(lambda s: 100 * s, 4, 0.0, (2.0, 2.5))


@pytest.mark.parametrize(
    "told",
    [
        [],
        GOOD[:1],
        [each for each in GOOD if each[0] > 0],
        [each for each in GOOD if each[0] < 3.4],
        [(at_s, 7) for at_s, _ in GOOD],
        [*GOOD[:20], (GOOD[20][0], 0.0), *GOOD[21:]],
    ],
    ids=["nothing", "one", "not before", "not to the end", "no work", "falls"],
)
def test_nothing_is_told_of_a_guest_that_was_heard_too_little_or_does_not_count(told):
    assert felt(told, "file", 2.0, 2.5, 2.5) is None


def test_the_series_is_bounded_and_keeps_what_is_near_the_stop():
    told = series(lambda s: 100 * s, 604, 0.0, (600.0, 600.5))
    kept = felt(told, "file", 600.0, 600.5, 602.5).points
    assert len(kept) == 160
    assert [point.t_s for point in kept] == sorted({point.t_s for point in kept})
    near = {round(at_s, 4) for at_s, _ in told if at_s >= 598.0}
    assert near <= {point.t_s for point in kept}
    assert (kept[0].t_s, kept[0].done, kept[-1].done) == (told[0][0], 0, pytest.approx(told[-1][1] - told[0][1]))


class Spoken(Consoles):
    """Consoles that hear what a test says, when it says so."""

    def hear(self, console: str, at_s: float, data: bytes) -> None:
        self._work[console] += [(at_s, event.done) for event in self._feeds[console](data) if isinstance(event, Work)]


PROGRESS = re.compile(r"served (\d+) requests")
LANGUAGES = {
    "stress": (stress.Console, b"work writes=%d\n"),
    "linux": (linux.Console, b"at=7 done=%d\n"),
    "image": (partial(SerialConsole, progress=PROGRESS), b"[ 1.5] served %d requests\r\n"),
}


@pytest.fixture(params=LANGUAGES)
def spoken(request):
    console, line = LANGUAGES[request.param]
    with contextlib.closing(Spoken({side: console().feed for side in ("source", "destination")})) as consoles:
        consoles.line = line
        yield consoles


def say(spoken: Spoken, told: Series, held_s: float = 0.0) -> None:
    """Both sides' lines, the source's last one cut: the destination hears the rest of it."""
    for at_s, done in told:
        line = spoken.line % done
        if at_s <= 2.0:
            spoken.hear("source", at_s, line)
        else:
            spoken.hear("destination", at_s + held_s, line)
    spoken.hear("source", 2.0, (spoken.line % 1170)[:-3])


@pytest.mark.parametrize("held_s", [0.0, 7.0])
def test_both_sides_counts_are_one_series_and_what_a_guest_was_held_counts_for_nothing(spoken, held_s):
    spoken.hear("source", -5.0, spoken.line % 1)  # before it was ready
    spoken.hear("destination", 2.5 + held_s, (spoken.line % 1170)[-3:] + b"noise \xff\x80\n")
    say(spoken, [(at_s, 1000 + done) for at_s, done in GOOD], held_s)
    found = follow(spoken, "page write", -1.0, Moments(0.0, 2.0, 2.5, 2.5, held_s))
    assert (found.unit, found.before_per_s) == ("page write", pytest.approx(100))
    assert found.lost_s == pytest.approx(0.5)
    assert found.points[0].t_s == -1.0


def test_a_guest_that_did_nothing_before_is_not_waited_for(spoken):
    say(spoken, [(at_s, 5) for at_s, _ in GOOD if at_s <= 0])
    spoken.wait_work = None
    assert follow(spoken, "page write", -1.0, Moments(0.0, 2.0, 2.5, 2.5)) is None
