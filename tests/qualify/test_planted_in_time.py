"""A qualification fails each backend whose fault shows in time, in what it leaves behind, or in that it hangs."""

from __future__ import annotations

import pytest
from planted_rig import ALONE, HANGS, LEAKS, beside_each_other, certified, installed, require_caught

from harness.qualify import runner

__all__ = ["installed"]


@pytest.fixture(scope="module")
def leaks(installed, request):
    return beside_each_other(LEAKS, installed, request)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_caught_by_what_is_leaked(name, leaks):
    require_caught(name, leaks[name])


@pytest.mark.parametrize("name", ALONE)
def test_a_fault_that_shows_in_time_is_caught_by_its_check(name, installed):
    require_caught(name, certified(name, installed))


@pytest.mark.parametrize("name", HANGS)
def test_a_hang_is_ended_and_caught(name, installed, monkeypatch):
    monkeypatch.setitem(runner._PATIENCE, "quick", 0.03)
    certificate = certified(name, installed)
    require_caught(name, certificate)
    assert "no end within" in certificate.checks[0].evidence
