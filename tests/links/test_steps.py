"""A link changes when it is told to, and what cannot be changed fails the run instead of measuring something else."""

from __future__ import annotations

import threading
import time

import pytest
from open_links import given
from pairs import wait_until

from harness.errors import PeerError, ScenarioError
from harness.links.relay import RelayLink
from harness.links.steps import stepping
from harness.scenario.kinds import LinkStep
from harness.scenario.model import load_scenario


class FakeLink:
    def __init__(self) -> None:
        self.changes: list[tuple[float, int]] = []
        self.began_s = time.monotonic()

    def set_bandwidth(self, bytes_per_s: int) -> None:
        self.changes.append((time.monotonic() - self.began_s, bytes_per_s))


def step(after_s: float, rate: int) -> LinkStep:
    return LinkStep(after_s=after_s, bandwidth_bytes_per_s=rate)


def test_steps_come_in_the_order_of_their_times():
    link = FakeLink()
    with stepping(link, [step(0.1, 2), step(0.02, 1), step(0.15, 3)]):
        wait_until(lambda: len(link.changes) == 3)
    assert [rate for _, rate in link.changes] == [1, 2, 3]
    for (at_s, _), due_s in zip(link.changes, (0.02, 0.1, 0.15), strict=True):
        assert at_s >= due_s


def test_a_migration_that_is_over_sees_no_later_step():
    link = FakeLink()
    with stepping(link, [step(60, 1)]):
        pass
    assert link.changes == []


def test_without_steps_nothing_is_started():
    with stepping(FakeLink(), []):
        pass


def test_a_link_that_cannot_change_fails_the_run():
    asked = threading.Event()

    class Closed(RelayLink):
        def set_bandwidth(self, bytes_per_s):
            asked.set()
            super().set_bandwidth(bytes_per_s)

    with pytest.raises(PeerError, match="the relay is not open"), stepping(Closed(given(10)), [step(0.001, 5)]):
        assert asked.wait(120)


def test_the_shipped_scenario_steps_down_by_ten():
    link = load_scenario("steps").link
    assert link.bandwidth_bytes_per_s == 10 * link.steps[0].bandwidth_bytes_per_s


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("link.bandwidth=unlimited", "link.step: needs a bandwidth to begin with"),
        ('link.step=[{after = "soon", bandwidth = "1Gbit/s"}]', "'soon' is not a duration"),
        ('link.step=[{after = "1s"}]', "is missing: add it"),
    ],
)
def test_a_wrong_step_is_told_in_one_line(override, says):
    with pytest.raises(ScenarioError) as caught:
        load_scenario("steps", [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
