"""Whether the halves work on the same cores, as each learns from what the other tells."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.choose import shared_cores
from harness.migrator.choose.shared_cores import are_apart, mark

HOSTS = st.tuples(st.text("0123456789abcdef-", min_size=1, max_size=36), st.sets(st.integers(0, 300), min_size=1))


def mark_of(host: tuple[str, set[int]], session: str, monkeypatch: pytest.MonkeyPatch) -> str:
    boot, processors = host
    monkeypatch.setattr(shared_cores, "boot_id", lambda: boot)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors)
    return mark(session)


@given(HOSTS, HOSTS, st.sampled_from(["5f1c", "0"]))
def test_halves_share_cores_where_host_and_processors_are_the_same(one, other, session):
    with pytest.MonkeyPatch.context() as monkeypatch:
        told = mark_of(one, session, monkeypatch)
        mark_of(other, session, monkeypatch)
        assert are_apart(session, told) == (one != other)
        assert told != mark_of(one, session + "1", monkeypatch)


def test_who_does_not_know_its_host_is_taken_for_a_neighbour(monkeypatch):
    told = mark("5f1c")

    def unknown() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(shared_cores, "boot_id", unknown)
    assert not are_apart("5f1c", told)
    assert mark("5f1c") == ""
    monkeypatch.undo()
    assert not are_apart("5f1c", "")


def test_two_processes_of_one_host_share_its_cores():
    program = "from harness.migrator.choose.shared_cores import mark; print(mark('5f1c'))"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    assert told
    assert not are_apart("5f1c", told)
