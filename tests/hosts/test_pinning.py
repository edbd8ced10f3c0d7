"""A measurement on fewer cores than there are holds every thread to them, and gives them back."""

from __future__ import annotations

import os
import threading

import pytest

from harness.errors import UserError
from harness.hosts.pinning import on_cores


def test_cores_hold_every_thread_and_are_given_back():
    before = os.sched_getaffinity(0)
    seen, stop = [], threading.Event()
    other = threading.Thread(target=stop.wait, daemon=True)
    other.start()
    with on_cores(1) as count:
        assert count == 1
        seen = [os.sched_getaffinity(task) for task in (0, other.native_id)]
    stop.set()
    assert [len(cores) for cores in seen] == [1, 1]
    assert os.sched_getaffinity(0) == before
    with on_cores(None) as count:
        assert count == len(before)


def test_more_cores_than_are_here_are_refused():
    with pytest.raises(UserError, match="--cores 100000: this process may use"), on_cores(100_000):
        pass
