"""Whenever a signal comes, and however often: nothing is left, one line, the signal's status."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import ExitStack
from types import FrameType

import click
import pytest

from harness import cli
from harness.errors import PeerError
from harness.hosts import rundir
from harness.hosts.rundir import open_scratch

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


@pytest.fixture
def command(monkeypatch):
    """``command(function)`` makes it what ``pageferry doctor`` does."""

    def be(function) -> None:
        module = type(sys)("harness.commands.planted")
        module.command = click.Command("planted", callback=function)
        monkeypatch.setitem(sys.modules, "harness.commands.planted", module)
        monkeypatch.setitem(cli._COMMANDS, "doctor", "harness.commands.planted")

    return be


class _Sends:
    """Sends ``number`` to this process at its ``at``-th call of a function from ``begin`` on, and again at some later ones."""

    def __init__(self, number: signal.Signals, at: int) -> None:
        self.number, self.due = number, {at, at + 1, at + 2, at + 7}
        self.calls = 0

    def begin(self) -> None:
        sys.setprofile(self._called)

    def _called(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.calls += 1
            if self.calls in self.due:
                os.kill(os.getpid(), self.number)


class _Dies:
    """Python drops what is raised in here."""

    def __del__(self) -> None:
        _step()
        _step()


def _step() -> None:
    """A place for a signal."""


def _work() -> None:
    with ExitStack() as stack:
        for _ in range(2):
            folder = stack.enter_context(open_scratch())
            (folder / "source.ram").write_bytes(b"x")
            _Dies()
            _step()


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_whenever_a_signal_comes_nothing_is_left(command, monkeypatch, tmp_path, capfd, number):
    monkeypatch.setattr(rundir, "_IN_MEMORY", tmp_path)
    at, status = 0, None
    while status != 0:
        at += 1
        sends = _Sends(number, at)

        def work(sends=sends) -> None:
            sends.begin()
            try:
                _work()
            finally:
                sys.setprofile(None)

        command(work)
        status = cli.main(["doctor"])
        said = capfd.readouterr().err
        assert list(tmp_path.iterdir()) == [], at
        if status != 0:
            assert (status, said) == (128 + number, f"pageferry: {WORDS[number]}\n"), at
    assert at > 100, "the work has that many calls"


def test_a_failure_that_follows_from_a_signal_is_told_as_the_signal(command, capsys):
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise PeerError("the other side went away")

    command(work)
    assert cli.main(["doctor"]) == 143
    assert capsys.readouterr().err == "pageferry: terminated\n"


def test_a_signal_that_was_ignored_stays_ignored():
    """As nohup and a shell's background have it."""
    code = "import os, signal; from harness.hosts.signals import interruptible\n"
    code += "with interruptible(lambda: None): os.kill(os.getpid(), signal.SIGHUP)\nprint('went on')"
    argv = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", code]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "went on\n"


def test_a_program_that_is_ending_by_a_signal_heeds_no_other():
    """Its libraries and threads end after the last line, and a second Ctrl-C would print a traceback there."""
    code = "import atexit, os, signal, sys; from harness import cli\n"
    code += "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    code += "cli._CLI.invoke = lambda _: os.kill(os.getpid(), signal.SIGTERM)\nsys.exit(cli.main())"
    done = subprocess.run([sys.executable, "-c", code, "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "pageferry: terminated\n")


def test_a_terminal_that_hangs_up_ends_a_command_with_its_status():
    terminal, end = pty.openpty()
    code = "import sys; from harness.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/nowhere"]
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", sys.executable, "-c", code, *arguments], stdin=end, stdout=end, stderr=end
    )
    os.close(end)
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert child.wait(60) == 129
