"""Who submits works itself where as many could as may work at once, and hands over where not; either way the order is kept."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.migrator.carry.inline import Either
from harness.migrator.carry.pipeline import Failure, Workers


class Rig:
    """``count`` workers, of which ``at_once`` may work; ``worked`` has each item with the thread that worked on it. ``hold`` keeps
    workers back while it is clear."""

    def __init__(self, count: int, at_once: int) -> None:
        self.worked: list[tuple[int, int]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.failure = Failure(lambda: None)
        self.workers: Workers[int, int] = Workers("test", count, self._open, self.failure, at_once=at_once)
        self.workers.start()

    def _open(self):
        return self._work, lambda: None

    def _work(self, item: int) -> int:
        self.hold.wait(10)
        if item < 0:
            raise ValueError("planted")
        self.worked.append((item, threading.get_ident()))
        return item

    def either(self, deliver) -> Either[int, int]:
        made = Either(self.workers, deliver)
        made.start()
        return made

    def end(self, *pipelines: Either[int, int]) -> None:
        for each in pipelines:
            each.stop()
            each.join()
        self.workers.join()


@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.sampled_from(["item", "another"]), max_size=60))
@settings(max_examples=40, deadline=None)
def test_each_item_is_worked_on_once_and_delivered_in_its_order(count, at_once, steps):
    rig, delivered = Rig(count, at_once), []
    pipelines = [rig.either(delivered.append)]
    items = 0
    for step in steps:
        if step == "item":
            pipelines[0].submit(items)
            items += 1
        else:
            pipelines.append(rig.either(lambda _: None))
    rig.end(*pipelines)
    assert delivered == list(range(items))
    assert sorted(item for item, _ in rig.worked) == delivered


def test_with_as_many_as_may_work_who_submits_does_the_work_and_before_that_others_do():
    rig, first, second = Rig(4, 2), [], []
    one = rig.either(first.append)
    one.submit(1)
    other = rig.either(second.append)
    other.submit(2)
    rig.end(one, other)
    by = dict(rig.worked)
    assert by[1] != threading.get_ident()
    assert by[2] == threading.get_ident()
    assert (first, second) == ([1], [2])


def test_what_was_handed_over_is_not_overtaken():
    rig, delivered = Rig(2, 2), []
    one = rig.either(delivered.append)
    rig.hold.clear()
    one.submit(1)
    other = rig.either(lambda _: None)
    one.submit(2)
    assert delivered == []
    rig.hold.set()
    rig.end(one, other)
    assert delivered == [1, 2]
    assert all(by != threading.get_ident() for _, by in rig.worked)


def test_a_failure_reaches_who_works_itself():
    rig = Rig(1, 1)
    one = rig.either(lambda _: None)
    with pytest.raises(ValueError, match="planted"):
        one.submit(-1)
    rig.end(one)
