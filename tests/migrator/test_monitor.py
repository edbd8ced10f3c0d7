"""A QMP socket that takes a connection and says nothing: the line names the likely cause."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from harness.errors import QemuError
from harness.migrator import monitor
from harness.qemu.qmp import Qmp

_LISTENS = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); print(flush=True); input()"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(monitor, "GREETING_TIMEOUT_S", 0.3)


def words_of(path) -> str:
    with pytest.raises(QemuError) as raised:
        monitor.open_monitor(f"unix:{path}", "destination")
    return str(raised.value)


@pytest.fixture
def other(tmp_path):
    command = [sys.executable, "-Ic", _LISTENS, str(tmp_path / "qmp")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_of_a_qemu_that_somebody_stopped_it_says_so(tmp_path, other):
    os.kill(other.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, other.pid, os.WSTOPPED)
    assert words_of(tmp_path / "qmp") == (
        f"--qmp unix:{tmp_path}/qmp: no greeting within 0.3 s: the destination QEMU (process {other.pid}) stands still, for "
        f"somebody stopped it; let it go on (kill -CONT {other.pid})"
    )


def test_of_one_that_runs_it_names_both_that_it_may_be(tmp_path, other):
    assert re.search(
        "either the destination QEMU stands still, or another client .*holds this socket.*a second -qmp socket",
        words_of(tmp_path / "qmp"),
    )


def test_a_listener_whose_process_is_not_to_be_seen_is_called_no_stopped_one(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen(1)
        assert "either the destination QEMU stands still" in words_of(tmp_path / "qmp")
    assert not monitor._is_stopped(0)


def test_where_no_thread_can_be_started_that_is_the_error(monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(RuntimeError, match="can't start new thread"):
        Qmp("none").greet(ours)
