"""`pageferry send --libvirt`: libvirt's figures of this migration beside ours, or the reason why there are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample_reports import sent

from harness import cli
from harness.commands import libvirt
from harness.migrator.document import parsed
from harness.migrator.report import SenderReport

SEND = ("send", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "zlib")
OLD = "operation: 5\ntime_elapsed: 900\ndowntime: 5\nmemory_normal: 9"
TIMES = "operation: 5\ntime_elapsed: 1500\ndowntime: 133"
NEW = "operation: 5\ntime_elapsed: 1500\ndowntime: 133\ndata_processed: 2097152\nmemory_normal: 1\nmemory_constant: 0\nerrmsg: no"


class Virsh:
    """Stands for `virsh`: its n-th answer is the file n, the last one again and again; a file ``status`` is how it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "virsh").write_text(
            f'#!/bin/sh\ncd {folder}\necho "$@" >>calls\nn=$(wc -l <calls)\n[ -e $n ] || n=last\ncat $n\nexit $(cat status)\n'
        )
        (folder / "virsh").chmod(0o755)
        self.says("")

    def says(self, *answers: str, status: int = 0) -> None:
        (self.folder / "status").write_text(str(status))
        for number, text in enumerate(answers, start=1):
            (self.folder / str(number)).write_text(f"{text}\n\n")
        (self.folder / "last").write_text(f"{answers[-1]}\n\n")

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def virsh(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(libvirt, "_PATIENCE_S", 100.0)
    return Virsh(tmp_path / "bin")


@pytest.fixture
def hurried(virsh, monkeypatch):
    """libvirt is asked for a second and no longer."""
    monkeypatch.setattr(libvirt, "_PATIENCE_S", 1.0)


@pytest.fixture
def send(monkeypatch, tmp_path, capsys):
    """Sends with more options, and gives the lines behind the one that says done, and the statistics."""
    monkeypatch.setattr("harness.migrator.sender.run_sender", lambda *_: sent())

    def send(*more: str) -> tuple[list[str], SenderReport]:
        stats = tmp_path / "stats.json"
        assert cli.main([*SEND, "--stats", str(stats), *more]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("pageferry: done: ")
        return lines[1:], parsed(SenderReport, stats.read_bytes())

    return send


def test_figures_stand_beside_ours_and_an_older_migrations_are_not_taken_for_them(virsh, send):
    virsh.says(OLD, OLD, OLD, NEW)
    (line,), report = send("--libvirt", "web1", "--libvirt-uri", "qemu+ssh://node2/system")
    assert line == (
        "pageferry: libvirt says of web1: downtime 133 ms, total time 1500 ms, data 2 MiB (ours 5 B), normal pages 1 (ours 1), "
        "constant pages 0 (ours 0)"
    )
    assert report.libvirt is not None
    assert (report.libvirt.domain, report.libvirt.missing) == ("web1", None)
    assert report.libvirt.figures == {
        "operation": 5, "time_elapsed": 1500, "downtime": 133, "data_processed": 2097152, "memory_normal": 1,
        "memory_constant": 0, "errmsg": "no",
    }  # fmt: skip
    assert set(virsh.calls) == {
        "--quiet --connect qemu+ssh://node2/system domjobinfo --completed --keep-completed --rawstats --domain web1"
    }


def test_counts_of_pages_are_waited_for(virsh, send):
    virsh.says(OLD, TIMES, NEW)
    (line,), _ = send("--libvirt", "web1")
    assert "normal pages 1 (ours 1)" in line


@pytest.mark.usefixtures("hurried")
def test_where_counts_of_pages_do_not_come_what_there_is_is_told(virsh, send):
    virsh.says(OLD, TIMES, TIMES)
    (line,), report = send("--libvirt", "web1")
    assert line == "pageferry: libvirt says of web1: downtime 133 ms, total time 1500 ms"
    assert report.libvirt is not None
    assert report.libvirt.figures == {"operation": 5, "time_elapsed": 1500, "downtime": 133}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        ([OLD], 0, "for 1 s it knew of an older migration alone"),
        ([""], 0, "for 1 s it knew of none"),
        (["error: failed to get domain 'web1'"], 1, "virsh ended with 1: error: failed to get domain 'web1'"),
    ],
)
def test_what_libvirt_does_not_say_is_told_with_its_reason_and_the_migration_stays_done(
    virsh, send, answers, status, reason
):
    virsh.says(*answers, status=status)
    (line,), report = send("--libvirt", "web1")
    assert line == f"pageferry: warning: libvirt says nothing of web1: {reason}"
    assert report.libvirt is not None
    assert (report.libvirt.figures, report.libvirt.missing) == ({}, reason)


def test_without_it_nobody_is_asked(virsh, send):
    assert send() == ([], sent())
    assert not (virsh.folder / "calls").exists()


def test_what_cannot_be_asked_is_told_before_the_migration(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli.main([*SEND, "--libvirt", "web1"]) == 3
    assert "--libvirt web1: no virsh on PATH; install libvirt-clients" in capsys.readouterr().err
    assert cli.main([*SEND, "--libvirt-uri", "qemu:///system"]) == 2
    assert "--libvirt-uri qemu:///system: only with --libvirt DOMAIN" in capsys.readouterr().err


def test_it_is_asked_by_a_process_that_gave_up_the_right_to_start_programs(virsh, tmp_path):
    """The real command, behind its sandbox; what asks for it is gone with it."""
    virsh.says(OLD, NEW)
    code = (
        "import sys, types\nfrom harness import cli\nsender = types.ModuleType('harness.migrator.sender')\n"
        "sender.run_sender = lambda *_: __import__('sample_reports').sent()\n"
        "sys.modules[sender.__name__] = sender\nsys.exit(cli.main())\n"
    )
    stats = tmp_path / "stats.json"
    done = subprocess.run(
        [sys.executable, "-c", code, *SEND, "--stats", str(stats), "--libvirt", "web1"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "pageferry: sandbox: " in done.stderr
    assert "too late" not in done.stderr
    assert "pageferry: libvirt says of web1: downtime 133 ms" in done.stderr
    assert json.loads(stats.read_text())["libvirt"]["figures"]["downtime"] == 133
