"""`pageferry send` and `receive`: the pair's halves as users run them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from unittest.mock import Mock

import pytest
import sample_streams
from sample_reports import received, sent

from harness import cli
from harness.errors import ResultError

SEND = ("send", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "zlib")


def test_the_halves_import_nothing_of_the_lab():
    code = (
        "import sys, harness.migrator.sender, harness.migrator.receiver\n"
        "lab = {'pydantic', 'rich', 'scipy', 'qemu', 'asyncio', 'ssl', 'reports', 'harness.scenario', 'harness.experiment', "
        "'harness.links', 'harness.guests', 'harness.results.result', 'harness.qemu'} & set(sys.modules)\n"
        "assert not lab, lab\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_qmp_socket_that_is_not_there_is_one_line_and_status_3(capsys, tmp_path):
    assert cli.main([*SEND, "--qmp", f"unix:{tmp_path}/q"]) == 3
    err = capsys.readouterr().err
    assert f"pageferry: error: --qmp unix:{tmp_path}/q: no such socket; give the socket of" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("half", ["send", "receive"])
def test_a_place_for_statistics_that_cannot_be_is_no_migration_that_succeeded(half, capsys, tmp_path):
    args = SEND if half == "send" else ("receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x")
    assert cli.main([*args, "--stats", str(tmp_path / "no" / "s.json")]) == 2
    assert "choose another place" in capsys.readouterr().err


@pytest.mark.parametrize("half", ["send", "receive"])
def test_statistics_that_cannot_be_kept_follow_the_line_that_says_done(half, capsys, tmp_path, monkeypatch):
    full = ResultError("s.json: cannot save the statistics: No space left on device")
    monkeypatch.setattr("harness.migrator.sender.run_sender", lambda *_: sent())
    monkeypatch.setattr("harness.migrator.receiver.run_receiver", lambda *_: received())
    monkeypatch.setattr("harness.results.saving.save_whole", Mock(side_effect=full))
    args = SEND if half == "send" else ("receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x")
    assert cli.main([*args, "--stats", str(tmp_path / "s.json")]) == 7
    done, error = capsys.readouterr().err.splitlines()
    assert done.startswith("pageferry: done: 5 B of stream")
    assert "the migration is done, only its statistics are not kept" in error
    assert "No space left" in error


@pytest.mark.parametrize("broken", [False, True], ids=["", "absent-stdin-and-stdout-and-nobody-reads-stderr"])
def test_send_and_receive_carry_a_stream_between_two_sockets(broken, tmp_path):
    """The commands as processes: ready lines, statistics, and the invariant."""
    stream = sample_streams.small_stream()
    target = socket.socket(socket.AF_UNIX)
    target.bind(str(tmp_path / "dst"))
    target.listen(1)
    route = ("--listen", "tcp:127.0.0.1:0", "--to", f"unix:{tmp_path / 'dst'}")
    receiver = _start("receive", *route, "--stats", str(tmp_path / "r.json"), without_streams=broken)
    port = _ready(receiver).rsplit(":", 1)[1].strip()
    tuned = ("--level", "1", "--threads", "2", "--batch", "64KiB", "--stats", str(tmp_path / "s.json"))
    route = ("--from", f"unix:{tmp_path / 'src'}", "--to", f"tcp:127.0.0.1:{port}")
    sender = _start("send", *route, "--backend", "zlib", *tuned, "--without-return-path", without_streams=broken)
    _ready(sender)
    assert "warning: --without-return-path" in sender.stderr.readline()
    if broken:
        sender.stderr.close()
        receiver.stderr.close()
    got = bytearray()
    taker = threading.Thread(target=_take_all, args=(target, got))
    taker.start()
    with socket.socket(socket.AF_UNIX) as source:
        source.connect(str(tmp_path / "src"))
        source.sendall(stream)
        source.shutdown(socket.SHUT_WR)
        while source.recv(4096):
            pass
    taker.join(120)
    assert (sender.wait(120), receiver.wait(120)) == (0, 0)
    assert bytes(got) == stream
    sent, received = (json.loads((tmp_path / name).read_text()) for name in ("s.json", "r.json"))
    assert sent["batches_digest"] == received["batches_digest"]
    for process in (sender, receiver):
        process.stderr.close()
    target.close()


def _start(*args: str, without_streams: bool = False) -> subprocess.Popen[str]:
    streams = "<&- >&-" if without_streams else ""
    shell = ["bash", "-c", f'exec "$@" {streams}', "bash"]
    return subprocess.Popen([*shell, sys.executable, "-m", "harness.cli", *args], stderr=subprocess.PIPE, text=True)


def _ready(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    sandbox, line = process.stderr.readline(), process.stderr.readline()
    assert sandbox.startswith("pageferry: sandbox: "), sandbox
    assert "ready: " in line, line
    return line


def _take_all(listener: socket.socket, into: bytearray) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1 << 16):
            into += data
