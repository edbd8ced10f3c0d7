"""Parties keep to their processors; a measurement on fewer cores holds every thread to them, and gives them back."""

from __future__ import annotations

import os
import threading

import pytest

from harness.errors import MissingError, UserError
from harness.hosts.local import HERE
from harness.hosts.pinning import check_cpus, on_cores, parse_cpus, pinned


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


@pytest.mark.parametrize(("text", "cpus"), [("0", {0}), ("0-3,8", {0, 1, 2, 3, 8}), ("5-5,2,2", {2, 5})])
def test_a_list_of_processors_is_read(text, cpus):
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "3-1", "0,", "0-", "-1", "1-2-3", "0-99999", "\u0663", " 1"])
def test_what_is_no_list_of_processors_is_refused(text):
    with pytest.raises(ValueError, match="is no list of processors: write for example"):
        parse_cpus(text)


def test_a_processor_that_is_not_there_is_named():
    check_cpus("pin.sender", str(min(os.sched_getaffinity(0))))
    with pytest.raises(
        MissingError, match=r'^pin\.sender "9998-9999": processor 9998,9999 is none that this process may use'
    ):
        check_cpus("pin.sender", "9998-9999")


def test_a_pinned_hosts_children_may_use_those_processors_alone(tmp_path):
    cpu = max(os.sched_getaffinity(0))
    host = pinned(HERE, str(cpu))
    assert host.address == HERE.address
    with host.child(["grep", "Cpus_allowed_list", "/proc/self/status"], log=tmp_path / "log") as child:
        assert child.ended(120) == "exit status 0"
        assert child.said().split() == ["Cpus_allowed_list:", str(cpu)]
    assert pinned(HERE, None) is HERE
