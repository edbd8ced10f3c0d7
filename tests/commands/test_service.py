"""`send` and `receive` as a host's service: one migration after another, and what a service manager hears."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest
import sample_streams
from sample_reports import received

from harness import cli
from harness.commands import service
from harness.errors import PeerError

RECEIVE = ("receive", "--listen", "tcp:127.0.0.1:4444", "--to", "unix:/x")


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """systemd's end of NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pageferry-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0"))
        heard.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield heard


def heard_by(manager: socket.socket, count: int) -> list[list[str]]:
    return [manager.recv(1 << 16).decode().splitlines() for _ in range(count)]


def played(monkeypatch, *ends):
    """A receiver that is ready, and then ends as each of ``ends`` says."""
    left = list(ends)

    def run_receiver(_settings, say):
        say("ready: listening on tcp:127.0.0.1:4444")
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr("harness.migrator.receiver.run_receiver", run_receiver)
    monkeypatch.setattr(service, "_PAUSE_S", 0.0)


def test_a_service_manager_hears_once_that_we_are_ready_and_then_of_each_migration(manager, monkeypatch):
    played(monkeypatch, received(), PeerError("the link broke"), KeyboardInterrupt())
    assert cli.main([*RECEIVE, "--keep"]) == 130
    told = heard_by(manager, 5)
    assert [line for lines in told for line in lines].count("READY=1") == 1
    assert told[0] == ["READY=1", "STATUS=ready: listening on tcp:127.0.0.1:4444"]
    statuses = [lines[-1] for lines in told]
    assert statuses[1].startswith("STATUS=done: ")
    assert statuses[3] == "STATUS=failed: the link broke; waiting for the next migration"
    assert statuses[4] == statuses[2] == statuses[0]


def test_without_keep_the_first_failure_ends_it(monkeypatch, capsys):
    played(monkeypatch, PeerError("the link broke"))
    assert cli.main(RECEIVE) == 5
    assert capsys.readouterr().err.splitlines()[-1] == "pageferry: error: the link broke"


def test_what_fails_before_it_was_ever_ready_ends_a_service_too(capsys):
    assert cli.main(["send", "--keep", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "nothing"]) == 2
    assert "unknown backend" in capsys.readouterr().err


def test_a_service_names_its_port(capsys):
    assert cli.main(["receive", "--keep", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x"]) == 2
    assert "with --keep each migration would have another port; name one" in capsys.readouterr().err


def test_a_notify_socket_on_which_nobody_listens_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    assert cli.main(RECEIVE) == 2
    line = f"NOTIFY_SOCKET {tmp_path}/none: No such file or directory; unset it where no service manager listens there"
    assert line in capsys.readouterr().err


def test_two_services_carry_one_migration_after_another(tmp_path):
    """As processes, with their rights given up."""
    link, source, target = (tmp_path / name for name in ("link", "src", "dst"))
    route = ("--from", f"unix:{source}", "--to", f"unix:{link}")
    started = [
        _started("receive", "--keep", "--listen", f"unix:{link}", "--to", f"unix:{target}"),
        _started("send", "--keep", *route, "--backend", "zlib", "--without-return-path"),
    ]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(target))
        listener.listen()
        listener.settimeout(60)
        for seed in range(3):
            stream = sample_streams.small_stream(seed)
            assert _line(started[1], "ready: ")
            assert _sent(stream, source, listener) == stream
            for process in started:
                assert _line(process, "done: ")
    for process in started:
        process.terminate()
        assert process.wait(60) == 143
        process.stderr.close()


def _started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str], words: str) -> str:
    """The next line that has them. A sender may be back before its receiver is."""
    for line in process.stderr:
        assert "failed: " not in line or "another sender is being served" in line, line
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}")


def _sent(stream: bytes, source: os.PathLike[str], listener: socket.socket) -> bytes:
    """What came of it at the destination."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(source))
        writer = threading.Thread(target=lambda: (connection.sendall(stream), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        arrived, _ = listener.accept()
        arrived.settimeout(60)
        with arrived:
            parts = []
            while data := arrived.recv(1 << 20):
                parts.append(data)
        writer.join(60)
    return b"".join(parts)
