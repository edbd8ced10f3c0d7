"""A process that does what it is asked."""

from __future__ import annotations

import os

import asked
import pytest

from harness.errors import ResultError
from reports import helper


@pytest.fixture
def one():
    started = helper.start()
    yield started
    started.end()


def test_what_is_asked_is_done_elsewhere_and_its_errors_come_back(one):
    assert one.ask(asked.pid) == one.process.pid != os.getpid()
    with pytest.raises(ResultError, match="no such figure"):
        one.ask(asked.refuse)
    with pytest.raises(RuntimeError, match="KeyError: 'absent'") as caught:
        one.ask(asked.stumble)
    assert "in stumble" in caught.value.__notes__[0]
    assert one.ask(asked.pid) == one.process.pid


def test_an_end_says_by_what(one):
    for question in (asked.die, asked.pid):
        with pytest.raises(helper.HelperEndedError, match="SIGTRAP"):
            one.ask(question)
    assert not one.alive
