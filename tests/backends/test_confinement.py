"""What a process gave up is gone, and what it needs is not; what cannot be given up here is said."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backends.children import code_argv
from backends.confinement import landlock
from harness.commands.rights import needs_of
from harness.migrator.config import ReceiveConfig, SendConfig

_TRIES = """
import socket, subprocess, threading
from pathlib import Path
from backends.confinement import Needs, confine
own, other, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
needs = Needs(writes=(own,), binds=(0,), connects=(port,), families=(socket.AF_INET,), device=bool(sys.argv[4:]))
stands, missing = confine(needs)
def tried(act):
    try:
        act()
    except OSError as exc:
        return type(exc).__name__
    return "done"
def thread():
    begun = threading.Thread(target=str)
    begun.start()
    begun.join()
def renamed():
    (own / "new").write_text("x")
    (own / "new").rename(own / "file")
print(json.dumps({"stands": stands, "missing": missing, "did": {
    "write and rename": tried(renamed),
    "read the system's": tried(Path("/etc/passwd").read_bytes),
    "begin a thread": tried(thread),
    "listen": tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", port)).close()),
    "read others'": tried((other / "secret").read_bytes),
    "write there": tried(lambda: (other / "new").write_text("x")),
    "connect elsewhere": tried(lambda: socket.create_connection(("127.0.0.1", port % 60000 + 1))),
    "listen elsewhere": tried(lambda: socket.create_server(("127.0.0.1", port))),
    "another family": tried(lambda: socket.socket(socket.AF_PACKET)),
    "run a program": tried(lambda: subprocess.run(["/bin/true"])),
    "fork": tried(lambda: os.fork() or os._exit(0)),
    "read a parent": tried(Path(f"/proc/{os.getppid()}/environ").read_bytes),
    "signal a parent": tried(lambda: os.kill(os.getppid(), 0)),
}}))
"""
_KEPT = {"write and rename", "read the system's", "begin a thread", "listen", "connect"}
_FIRST_WITH_SCOPES = 6


def _told(folder: Path, *more: str) -> dict[str, dict[str, str]]:
    own, other = folder / "own", folder / "other"
    own.mkdir()
    other.mkdir()
    (other / "secret").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = code_argv(_TRIES, str(own), str(other), str(listener.getsockname()[1]), *more)
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(landlock.version() < _FIRST_WITH_SCOPES, reason="this kernel's Landlock is older than version 6")
def test_only_what_is_needed_is_left(tmp_path):
    told = _told(tmp_path)
    assert told["missing"] == []
    assert {what for what, end in told["did"].items() if end == "done"} == _KEPT
    assert set(told["did"].values()) == {"done", "PermissionError"}


@pytest.mark.skipif(landlock.version() < _FIRST_WITH_SCOPES, reason="this kernel's Landlock is older than version 6")
def test_a_device_may_start_programs_that_compile_for_it(tmp_path):
    did = _told(tmp_path, "device")["did"]
    assert {what for what, end in did.items() if end == "done"} == {*_KEPT, "run a program", "fork"}


def _said(environment: dict[str, str]) -> list[str]:
    """By a receiver that finds nobody in time."""
    argv = [sys.executable, "-m", "harness.cli", "receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/nowhere"]
    told = subprocess.run(
        [*argv, "--timeout", "1us"], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    return told.stderr.splitlines()


def test_a_process_says_at_its_start_what_stands():
    first, *rest = _said({})
    assert first.startswith("pageferry: sandbox: ")
    assert first.endswith("no new privileges")
    assert any(line.startswith("pageferry: ready: listening on tcp:127.0.0.1:") for line in rest)


def test_what_was_switched_off_or_is_not_here_is_a_warning(tmp_path):
    assert _said({"PAGEFERRY_SANDBOX": "off"})[:2] == [
        "pageferry: sandbox: off",
        "pageferry: warning: sandbox: PAGEFERRY_SANDBOX=off: every right of this user is kept",
    ]
    (tmp_path / "pyseccomp.py").write_text("raise RuntimeError('Unable to find libseccomp')\n")
    lines = _said({"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"})
    assert "seccomp" not in lines[0]
    assert any(
        "warning: sandbox: system calls are not limited: Unable to find libseccomp (apt install libseccomp2)" in line
        for line in lines
    )


def test_a_half_needs_what_its_settings_name(tmp_path):
    send = SendConfig("unix:/run/a/src", "tcp:[::1%lo]:4444", "zstd", tls="pki", token_file="token", qmp="unix:/run/q")
    needs = needs_of(send, tmp_path / "s.json")
    assert (needs.sockets, needs.connects, needs.binds) == ((Path("/run/a"),), (4444,), ())
    assert (needs.reads, needs.writes, needs.device) == ((Path("token"), Path("pki")), (tmp_path,), False)
    receive = needs_of(ReceiveConfig("unix:/run/l", "unix:/run/dst"), None)
    assert (receive.sockets, receive.connects, receive.binds, receive.families) == ((Path("/run"),), (), (), ())
    assert needs_of(ReceiveConfig("tcp:0.0.0.0:0", "unix:/run/dst"), Path("/dev/null")).writes == (Path("/dev/null"),)
    assert needs_of(ReceiveConfig("memory:x", "unix:/run/dst"), None).families is None
    assert needs_of(SendConfig("unix:/a", "unix:/b", "opencl"), None).device
