"""The planted backends as one installs them, a qualification of one by the check that is meant for it, and what it must say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from planted_backends import PLANTED, install

from harness.qualify import runner
from harness.qualify.catalogue import CHECKS
from harness.qualify.check import Bench
from harness.qualify.runner import Plan, qualify

HANGS = ("stalls", "hangs-after-fork")
TIMED = ("speed", "cost", "endurance")
"""What these groups measure, another qualification beside them would change."""
CALM = [name for name, fault in PLANTED.items() if CHECKS[fault.check_id].group not in TIMED and name not in HANGS]
LEAKS = [name for name, fault in PLANTED.items() if fault.check_id == "endurance.leaks"]
ALONE = [name for name in PLANTED if name not in (*CALM, *LEAKS, *HANGS)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The planted backends, installed as a third party's are. Who they are is asked here: no process is started for that."""
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        site = install(folder / "site")
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("TMPDIR", str(folder))
        patch.setattr("harness.experiment.environment.collect", dict)  # half a second for each
        patch.setattr(runner, "_identified", _told)
        yield folder


def _told(job, _):
    """As it tells a process that is started to ask it."""
    bench = Bench(job)
    return {"version": bench.cls.probe(), "device": bench.info.device, "told": {}, "class": "software"}


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


def require_caught(name, certificate):
    """Its own check failed, and said why, in one line, and how to see it again."""
    fault = PLANTED[name]
    assert certificate.verdict == "fail"
    (result,) = certificate.checks
    assert (result.id, result.status) == (fault.check_id, "fail")
    assert fault.words in result.evidence
    assert "\n" not in result.evidence
    assert result.command.startswith(f"pageferry qualify {name} --only {fault.check_id}")
