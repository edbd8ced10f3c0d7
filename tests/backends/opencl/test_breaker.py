"""When a device that failed is asked again. No clock: the tests say what time it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.opencl.breaker import Breaker


def closed(now_s=0.0, **settings):
    breaker = Breaker(**settings)
    breaker.probing()
    breaker.probed(now_s, None)
    return breaker


def intervals(breaker, now_s, count):
    """Each probe fails as soon as it is due; the pauses before them."""
    found = []
    for _ in range(count):
        found.append(breaker.due_s - now_s)
        now_s = breaker.due_s
        breaker.probing()
        breaker.probed(now_s, "no answer")
    return found


def test_it_begins_open_with_a_probe_due_at_once():
    breaker = Breaker()
    assert not breaker.is_closed
    assert breaker.due_s == 0.0
    assert "not started yet" in breaker.refusal(0.0)
    breaker.probing()
    assert breaker.refusal(0.0) == "its worker is being started"
    assert breaker.due_s is None


def test_errors_of_a_live_worker_open_it_at_the_third_in_a_row():
    breaker = closed()
    for _ in range(5):
        breaker.failed(1.0, "busy", lost=False)
        breaker.failed(1.0, "busy", lost=False)
        breaker.succeeded()
    assert breaker.refusal(1.0) is None
    for _ in range(3):
        assert breaker.is_closed
        breaker.failed(1.0, "busy", lost=False)
    assert breaker.refusal(1.0) == "busy; tried again in 0.25 s"
    assert breaker.refusal(1.2) == "busy; tried again in 0.05 s"


def test_a_lost_worker_opens_it_at_once():
    breaker = closed()
    breaker.failed(7.0, "it died", lost=True)
    assert breaker.refusal(7.0) == "it died; tried again in 0.25 s"
    breaker.explain("it died of SIGSEGV")
    assert breaker.refusal(7.0) == "it died of SIGSEGV; tried again in 0.25 s"
    breaker.probing()
    assert breaker.refusal(7.3) == "it died of SIGSEGV; being tried again now"


def test_probes_back_off_up_to_the_longest_interval():
    breaker = closed()
    breaker.failed(0.0, "it died", lost=True)
    assert intervals(breaker, 0.0, 9) == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_failures_of_the_neighbours_do_not_lengthen_the_interval():
    breaker = closed()
    for _ in range(5):
        breaker.failed(0.0, "it died", lost=True)
    assert breaker.due_s == 0.25


def test_a_device_that_passes_probes_and_fails_at_work_goes_on_backing_off():
    breaker, now_s, found = closed(), 0.0, []
    for _ in range(5):
        breaker.failed(now_s, "it died", lost=True)
        found.append(breaker.due_s - now_s)
        breaker.probing()
        now_s = breaker.due_s or now_s + 1
        breaker.probed(now_s, None)
    assert found == [0.25, 0.5, 1, 2, 4]


def test_a_device_that_worked_for_long_is_tried_again_soon():
    breaker = closed()
    breaker.failed(0.0, "it died", lost=True)
    intervals(breaker, 0.0, 5)
    breaker.probing()
    breaker.probed(100.0, None)
    breaker.failed(131.0, "it died", lost=True)
    assert breaker.due_s == 131.25


def test_quarantine_is_for_good():
    breaker = closed()
    breaker.quarantine("wrong bytes")
    breaker.failed(1.0, "it died", lost=True)
    breaker.explain("something else")
    breaker.probed(2.0, None)
    breaker.probed(2.0, "no answer")
    breaker.succeeded()
    assert breaker.refusal(1e9) == "wrong bytes; not used again by this process"
    assert breaker.due_s is None


EVENTS = st.sampled_from(["success", "error", "loss", "probe well", "probe ill", "quarantine"])


@given(st.lists(st.tuples(EVENTS, st.floats(0, 100)), max_size=60))
def test_it_is_always_closed_or_due_or_quarantined_and_never_waits_longer_than_the_longest(events):
    breaker, now_s, quarantined = closed(), 0.0, False
    for event, later_s in events:
        now_s += later_s
        if event == "success":
            breaker.succeeded()
        elif event in ("error", "loss"):
            breaker.failed(now_s, event, lost=event == "loss")
        elif event == "quarantine":
            breaker.quarantine(event)
            quarantined = True
        elif breaker.due_s is not None:
            breaker.probing()
            breaker.probed(now_s, None if event == "probe well" else event)
        assert breaker.is_closed == (breaker.refusal(now_s) is None)
        assert (breaker.due_s is None) == (breaker.is_closed or quarantined)
        if breaker.due_s is not None and event in ("error", "loss", "probe ill"):
            assert breaker.due_s - now_s <= 30.0 + 1e-6
        assert not (quarantined and breaker.is_closed)
