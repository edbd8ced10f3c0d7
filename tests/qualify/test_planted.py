"""A qualification fails each backend that is broken in one place, by the check that is meant for it, and passes the good one."""

from __future__ import annotations

import pytest
from planted_backends import PLANTED, Fault, Good
from planted_rig import CALM, beside_each_other, installed, require_caught

from backends import registry
from harness.qualify.catalogue import CHECKS
from harness.qualify.runner import Plan, qualify

__all__ = ["installed"]


@pytest.fixture(scope="module")
def calm(installed, request):
    return beside_each_other(CALM, installed, request)


@pytest.mark.parametrize("name", CALM)
def test_a_fault_is_caught_by_its_check(name, calm):
    require_caught(name, calm[name])


def test_what_keeps_the_contract_passes_every_check_of_it(installed):
    groups = ("contract", "crossing", "hostile", "concurrency", "faults.error")
    heard = []
    limits = installed / "patient.toml"
    limits.write_text("[software]\nfallback_ms = {}\n")  # of a card; a busy host's processor may need more
    plan = Plan("good", only=groups, thresholds=limits)
    certificate = qualify(plan, installed / "good", lambda result, number, total: heard.append((result, number, total)))
    assert [result.id for result in certificate.checks if result.status != "pass"] == []
    assert certificate.verdict == "pass"
    assert certificate.partial
    total = len(certificate.checks)
    assert heard == [(result, number, total) for number, result in enumerate(certificate.checks, 1)]
    assert {result.group for result in certificate.checks} == {group.partition(".")[0] for group in groups}


def test_each_fault_is_meant_for_a_check_that_there_is():
    assert {fault.check_id for fault in PLANTED.values()} <= set(CHECKS)
    assert {result.partition(".")[0] for result in CHECKS} - {
        fault.check_id.partition(".")[0] for fault in PLANTED.values()
    } == {
        "migration"  # needs a guest; its verdicts are tested beside it
    }


@pytest.mark.usefixtures("installed")
def test_each_fault_bears_the_name_that_it_is_installed_by():
    assert len(PLANTED) >= 25
    assert registry.load("good") is Good
    assert all(registry.load(name) is fault.cls for name, fault in PLANTED.items())
    assert all(
        isinstance(fault, Fault) and issubclass(fault.cls, Good) and fault.cls.__doc__ for fault in PLANTED.values()
    )
