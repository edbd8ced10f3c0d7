"""A qualification fails each backend that is broken in one place, by the check that is meant for it, and passes the good one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from planted_backends import PLANTED, Fault, Good, install

from backends import registry
from harness.qualify import runner
from harness.qualify.catalogue import CHECKS
from harness.qualify.runner import Plan, qualify

HANGS = ("stalls", "hangs-after-fork")
TIMED = ("speed", "cost", "endurance")
"""What these groups measure, another qualification beside them would change."""
CALM = [name for name, fault in PLANTED.items() if CHECKS[fault.check_id].group not in TIMED and name not in HANGS]
LEAKS = [name for name, fault in PLANTED.items() if fault.check_id == "endurance.leaks"]
ALONE = [name for name in PLANTED if name not in (*CALM, *LEAKS, *HANGS)]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The planted backends, installed as a third party's are."""
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        site = install(folder / "site")
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("TMPDIR", str(folder))
        patch.setattr("harness.experiment.environment.collect", dict)  # half a second for each
        yield folder


def certified(name, folder):
    """A certificate of its one check."""
    fault = PLANTED[name]
    plan = Plan(name, only=(fault.check_id,), backend_class=fault.backend_class, soak_s=2.5)
    return qualify(plan, folder / name, lambda *_: None)


def beside_each_other(names, folder, request):
    """Certificates of those whose tests were asked for: each takes seconds, mostly of waiting."""
    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    mine = [name for name in names if name in asked]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(mine, pool.map(lambda name: certified(name, folder), mine), strict=True))


@pytest.fixture(scope="module")
def calm(installed, request):
    return beside_each_other(CALM, installed, request)


@pytest.fixture(scope="module")
def leaks(installed, request):
    return beside_each_other(LEAKS, installed, request)


def require_caught(name, certificate):
    """Its own check failed, and said why, in one line, and how to see it again."""
    fault = PLANTED[name]
    assert certificate.verdict == "fail"
    (result,) = certificate.checks
    assert (result.id, result.status) == (fault.check_id, "fail")
    assert fault.words in result.evidence
    assert "\n" not in result.evidence
    assert result.command.startswith(f"pageferry qualify {name} --only {fault.check_id}")


@pytest.mark.parametrize("name", CALM)
def test_a_fault_is_caught_by_its_check(name, calm):
    require_caught(name, calm[name])


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


def test_what_keeps_the_contract_passes_every_check_of_it(installed):
    groups = ("contract", "crossing", "hostile", "concurrency", "faults.error")
    heard = []
    plan = Plan("good", only=groups)
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


def test_each_fault_bears_the_name_that_it_is_installed_by():
    assert len(PLANTED) >= 25
    assert registry.load("good") is Good
    assert all(registry.load(name) is fault.cls for name, fault in PLANTED.items())
    assert all(
        isinstance(fault, Fault) and issubclass(fault.cls, Good) and fault.cls.__doc__ for fault in PLANTED.values()
    )
