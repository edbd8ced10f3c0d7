"""Every check that is asked for gets one outcome, in order, whatever a backend does to the process that it runs in."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from planted_backends import install

from harness.qualify import process
from harness.qualify.catalogue import CHECKS
from harness.qualify.check import Job
from harness.qualify.process import run_checks

IDS = (
    "contract.identity",
    "contract.options",
    "contract.deterministic",
    "contract.levels",
    "contract.plain-receiver",
    "contract.lifecycle",
)
THIRD = IDS[2]
"""The only one of them that compresses 60,000 bytes, at which the backends below do what they do."""

SOURCE = """
import json, os, signal, subprocess, sys, time
from dataclasses import replace
from pathlib import Path
from planted_backends import Good

def note(pid):
    with Path(os.environ["NOTED"]).open("a") as file:
        file.write(f"{pid}\\n")

class Notes(Good):
    info = replace(Good.info, name="notes")

    def compress(self, data):
        if len(data) == 60_000:
            self.at_60_000()
        return super().compress(data)

    def at_60_000(self):
        note(os.getpid())

    def counters(self):
        note(os.getpid())
        return {}

class Crashes(Notes):
    info = replace(Good.info, name="crashes")

    def at_60_000(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(Notes):
    info = replace(Good.info, name="exits")

    def at_60_000(self):
        os._exit(0)

class Hangs(Notes):
    info = replace(Good.info, name="hangs")

    def at_60_000(self):
        note(subprocess.Popen(["sleep", "600"]).pid)
        time.sleep(600)

class ForksAndCrashes(Notes):
    info = replace(Good.info, name="forks-and-crashes")

    def at_60_000(self):
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        note(pid)
        os.kill(os.getpid(), signal.SIGKILL)

class ClosesAll(Notes):
    info = replace(Good.info, name="closes-all")

    def at_60_000(self):
        os.closerange(3, 256)

class Scribbles(Notes):
    info = replace(Good.info, name="scribbles")

    def at_60_000(self):
        line = json.dumps({"end": "contract.deterministic"}).encode() + b"\\n"
        for descriptor in range(1, 64):
            for noise in (b"\\xff noise\\n", b"[]\\n", b"{}\\n", line, b"unended"):
                try:
                    os.write(descriptor, noise)
                except OSError:
                    break

class Floods(Scribbles):
    info = replace(Good.info, name="floods")

    def at_60_000(self):
        while True:
            super().at_60_000()

class Talks(Notes):
    info = replace(Good.info, name="talks")

    def compress(self, data):
        print('{"end": "contract.lifecycle", "status": "fail"}', flush=True)
        os.write(2, b"\\xff" * 100_000)
        return super().compress(data)

class TellsInLines(Good):
    info = replace(Good.info, name="tells-in-lines")

    def decompress(self, data, raw_bytes):
        raise self._error("it failed\\nand then\\ttold")

class LeavesAFolder(Notes):
    info = replace(Good.info, name="leaves-a-folder")

    def at_60_000(self):
        from harness.hosts.rundir import open_scratch

        with open_scratch() as folder:
            Path(os.environ["NOTED"]).write_text(str(folder))
            os.kill(os.getpid(), signal.SIGKILL)

class Reads(Notes):
    info = replace(Good.info, name="reads")

    def at_60_000(self):
        assert sys.stdin.read() == ""
"""
NAMES = {
    "notes": "Notes",
    "crashes": "Crashes",
    "exits": "Exits",
    "hangs": "Hangs",
    "forks-and-crashes": "ForksAndCrashes",
    "closes-all": "ClosesAll",
    "scribbles": "Scribbles",
    "floods": "Floods",
    "talks": "Talks",
    "tells-in-lines": "TellsInLines",
    "leaves-a-folder": "LeavesAFolder",
    "reads": "Reads",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(name, ids) -> their outcomes, by a backend of ``SOURCE``."""
    site = install(tmp_path / "site")
    (site / "noting.py").write_text(SOURCE)
    with (site / "planted-1.0.dist-info" / "entry_points.txt").open("a") as points:
        points.writelines(f"{name} = noting:{cls}\n" for name, cls in NAMES.items())
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))

    def run_by(name, ids=IDS, limit_s=60.0):
        checks = [replace(CHECKS[check_id], limit_s=limit_s) for check_id in ids]
        return run_checks(Job(name, None, {}), checks, tmp_path / "logs")

    return run_by


@pytest.fixture
def noted(tmp_path):
    return lambda: [int(line) for line in (tmp_path / "noted").read_text().split()]


def require_gone(pid):
    """It ended, or is about to: nobody may be there to bury it."""
    deadline_s = time.monotonic() + 120
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, f"process {pid} is still there"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "limit_s", "says"),
    [
        ("crashes", 60, "the process that ran it ended: killed by SIGKILL"),
        ("exits", 60, "the process that ran it ended: exit status 0"),
        ("hangs", 4, "no end within 4 s: it was killed; it was in File"),
        ("floods", 4, "no end within 4 s: it was killed"),
        ("forks-and-crashes", 60, "the process that ran it ended: killed by SIGKILL"),
        ("closes-all", 60, "the process that ran it ended: exit status 1"),
    ],
)
def test_what_ends_a_check_is_its_own_outcome_alone(run, name, limit_s, says):
    outcomes = list(run(name, limit_s=limit_s))
    assert [check_id for check_id, _ in outcomes] == list(IDS)
    failed = {check_id: outcome for check_id, outcome in outcomes if outcome["status"] == "fail"}
    assert list(failed) == [THIRD]
    assert says in failed[THIRD]["evidence"]
    assert failed[THIRD]["values"] == []
    assert all(outcome["duration_s"] >= 0 for _, outcome in outcomes)


def test_what_a_killed_check_had_in_use_is_removed(run, tmp_path):
    """A check may have a guest migrate: its memory files and network namespaces would stay until somebody's next run."""
    list(run("leaves-a-folder", [THIRD]))
    left = (tmp_path / "noted").read_text()
    assert "pf-" in left
    assert not Path(left).exists()


@pytest.mark.parametrize("at", range(3))
def test_each_place_among_the_checks_is_as_good_to_crash_in(run, at):
    ids = [*IDS[:2]]
    ids.insert(at, THIRD)
    outcomes = list(run("crashes", ids))
    assert [(check_id, outcome["status"]) for check_id, outcome in outcomes] == [
        (check_id, "fail" if check_id == THIRD else "pass") for check_id in ids
    ]


@pytest.mark.parametrize(("name", "limit_s"), [("hangs", 4), ("forks-and-crashes", 60)])
def test_what_a_backend_started_ends_with_its_check(run, noted, name, limit_s):
    assert [outcome["status"] for _, outcome in run(name, [THIRD], limit_s)] == ["fail"]
    (grandchild,) = noted()
    require_gone(grandchild)


def test_a_crash_is_seen_at_once_though_a_grandchild_holds_the_pipe(run):
    ((_, outcome),) = run("forks-and-crashes", [THIRD], 500)
    assert outcome["duration_s"] < 250


@pytest.mark.parametrize("name", ["talks", "scribbles", "reads"])
def test_what_a_backend_reads_and_writes_disturbs_nothing(run, name):
    outcomes = list(run(name))
    assert [check_id for check_id, _ in outcomes] == list(IDS)
    assert [check_id for check_id, outcome in outcomes if outcome["status"] != "pass"] == []


def test_what_a_backend_writes_is_in_the_log(run, tmp_path):
    assert [outcome["status"] for _, outcome in run("talks", [THIRD])] == ["pass"]
    log = (tmp_path / "logs" / f"{THIRD}.log").read_bytes()
    assert b'{"end": "contract.lifecycle", "status": "fail"}\n' in log
    assert b"\xff" * 100_000 in log


@pytest.mark.parametrize("check_id", ["contract.buffers", "crossing.decode", "concurrency.threads"])
def test_evidence_is_one_line(run, check_id):
    ((_, outcome),) = run("tells-in-lines", [check_id])
    assert outcome["status"] == "fail"
    assert "it failed and then told" in outcome["evidence"]


def test_a_child_that_tells_nothing_fails_each_check(run, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/true")
    outcomes = list(run("notes"))
    assert [(check_id, outcome["status"]) for check_id, outcome in outcomes] == [(check_id, "fail") for check_id in IDS]
    assert all("ended: exit status 0" in outcome["evidence"] for _, outcome in outcomes)


def test_a_child_that_never_begins_is_ended(run, monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nsleep 600\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(process, "_START_S", 0.2)
    ((_, outcome),) = run("notes", [THIRD], 0.2)
    assert outcome["status"] == "fail"
    assert "no end within 0.2 s" in outcome["evidence"]


def test_checks_share_a_process_unless_one_asks_to_be_alone(run, noted):
    ids = (THIRD, "contract.lifecycle", THIRD, THIRD)
    list(run("notes", ids))
    assert len(set(noted())) == 1


def test_a_check_that_asks_for_it_is_alone(tmp_path, run, noted):
    together = [CHECKS[THIRD], CHECKS["contract.lifecycle"]]
    alone = replace(CHECKS[THIRD], alone=True)
    list(run_checks(Job("notes", None, {}), [*together, alone, alone, *together], tmp_path / "logs"))
    pids = list(dict.fromkeys(noted()))
    assert len(pids) == 4
    assert [pid for pid, before in zip(noted(), [None, *noted()], strict=False) if pid != before] == pids


def test_whoever_stops_asking_leaves_no_process(run, noted):
    outcomes = run("notes", [THIRD, "contract.lifecycle"])
    assert next(outcomes)[0] == THIRD
    outcomes.close()
    for pid in set(noted()):
        require_gone(pid)
