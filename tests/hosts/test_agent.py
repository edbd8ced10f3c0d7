"""An agent does on its host what a run asks, and ends with the stream, with all that it started. Here it is a child of ours."""

import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from backends.children import module_argv
from harness.cli import main
from harness.errors import FrameError, MissingError, PeerError
from harness.hosts.agent.brought import keep_part, remove_parts
from harness.hosts.agent.clock import best_of
from harness.hosts.agent.connection import Connection
from harness.hosts.agent.frames import GREETING, MOST_PAYLOAD_BYTES, Frames, read_frame
from harness.hosts.agent.host import AgentHost
from harness.hosts.agent.identity import hello
from harness.hosts.agent.messages import Data, Ping
from harness.hosts.agent.words import why_no_agent
from harness.hosts.contract import ClockOffset
from harness.hosts.files import page_digests, read_part, remove_files, write_part
from harness.links.nic import look_at_nic

PATIENCE_S = 60.0
ARGV = module_argv("harness.cli", "agent")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("there")))
        made = AgentHost("lab", ARGV, "127.0.0.1", (49152, 49160))
    yield made
    made.close()


def gone(pid):
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_childs_output_end_and_cpu_time_are_those_of_a_child_here(host, tmp_path):
    code = "import sys; print('one'); sys.stdout.flush(); sum(range(3_000_000)); print('two', file=sys.stderr); sys.exit(3)"
    with host.child([sys.executable, "-c", code], log=tmp_path / "x.log") as child:
        assert child.hear(re.compile("one"), PATIENCE_S)
        assert child.end_and_words(PATIENCE_S) == "exit status 3: two"
        assert child.cpu_s() > 0
    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"


def test_a_program_that_is_not_there_is_told_with_the_hosts_name(host, tmp_path):
    with pytest.raises(MissingError, match="lab: no-such-program: no such program on PATH"):
        host.child(["no-such-program"], log=tmp_path / "x.log").start()


def test_a_child_is_stopped_by_its_signals(host, tmp_path):
    with host.child(["sleep", "600"], log=tmp_path / "x.log") as child:
        child.signal(signal.SIGINT)
        assert child.ended(PATIENCE_S) == "killed by SIGINT"


def test_files_are_written_read_and_digested_there(host, tmp_path):
    folder = host.folder(tmp_path)
    assert folder != tmp_path
    data = os.urandom(3 * 4096)
    host.call(write_part, folder / "deep" / "x", 0, data)
    assert host.call(read_part, folder / "deep" / "x", 4096, 8192) == data[4096:]
    digests = host.call(page_digests, folder / "deep" / "x", 0, len(data), 64)
    assert digests == page_digests(folder / "deep" / "x", 0, len(data), 64)
    assert len(digests) == 48
    host.call(remove_files, [folder / "deep" / "x", folder / "none"])
    with pytest.raises(FileNotFoundError, match=r"on lab"):
        host.call(read_part, folder / "deep" / "x", 0, 1)


def test_a_file_of_ours_is_brought_once(host, tmp_path):
    ours = tmp_path / "kernel"
    ours.write_bytes(os.urandom(5 << 20))
    there = host.bring(ours)
    assert there != ours
    assert there.read_bytes() == ours.read_bytes()
    assert host.bring(ours) == there


def test_a_disk_that_fills_there_is_told_and_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_part("other", 0, zstandard.compress(bytes(4096)))
    (coming,) = (tmp_path / "pageferry" / "brought").iterdir()
    (coming / "x").symlink_to("/dev/full")
    with pytest.raises(PeerError, match="cannot be kept there: No space left on device; make room"):
        keep_part("x", 0, zstandard.compress(bytes(4096)))
    assert not (coming / "x").is_symlink()
    assert (coming / "other").is_file()


def test_parts_of_a_file_go_when_the_connection_was_cut_and_its_agent_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    base = tmp_path / "pageferry" / "brought"
    killed = AgentHost("lab", ARGV, "127.0.0.1")
    killed.call(keep_part, "half", 0, zstandard.compress(bytes(4096)))
    assert list(base.glob("*/half"))
    os.kill(killed.connection.process.pid, signal.SIGKILL)
    killed.close()
    assert list(base.glob("*/half"))
    remove_parts()
    assert list(base.iterdir()) == []


def test_sockets_there_are_reached_from_here_and_back(host, tmp_path):
    data = os.urandom(1 << 20)
    with ThreadPoolExecutor(1) as pool, host.listener(host.folder(tmp_path) / "s") as listener:
        listener.settimeout(PATIENCE_S)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(host.near(host.folder(tmp_path) / "s")))
            end, _ = listener.accept()
            with end:
                sent = pool.submit(caller.sendall, data)
                got = end.recv(len(data), socket.MSG_WAITALL)
                sent.result(PATIENCE_S)
    assert got == data


def test_all_that_it_started_ends_with_the_stream(tmp_path):
    host = AgentHost("lab", ARGV, "127.0.0.1")
    folder = host.folder(tmp_path)
    child = host.child(["sh", "-c", "sleep 600 & echo $!; wait"], log=tmp_path / "x.log").start()
    grandchild = int(child.hear(re.compile(r"\d+"), PATIENCE_S)[0])
    host.close()
    assert child.ended(PATIENCE_S)
    assert gone(child.pid)
    assert gone(grandchild)
    assert not folder.exists()
    with pytest.raises(PeerError, match=r"^lab: "):
        host.connection.request(Ping())


def test_a_killed_agents_child_dies_with_it_and_the_next_one_removes_what_it_left(tmp_path):
    host = AgentHost("lab", ARGV, "127.0.0.1")
    folder = host.folder(tmp_path)
    child = host.child(["sleep", "600"], log=tmp_path / "x.log").start()
    os.kill(host.connection.process.pid, signal.SIGKILL)
    assert child.ended(PATIENCE_S)
    assert gone(child.pid)
    host.close()
    again = AgentHost("lab", ARGV, "127.0.0.1")
    assert not folder.exists()
    again.close()


def test_a_host_that_hangs_is_told_to_all_who_wait():
    connection = Connection("lab", ARGV, ping_every_s=0.1, silence_s=2.0)
    os.kill(connection.process.pid, signal.SIGSTOP)
    hangs = "lab: its agent has not answered for 2 s: .* stands still, or the network is cut; once ssh lab true answers, start"
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(connection.request, Ping())
        filled = pool.submit(fill, connection)
        for waits in (asked, filled):
            with pytest.raises(PeerError, match=hangs):
                waits.result(PATIENCE_S)
    connection.close()


def test_one_that_stands_still_before_it_greets_is_named_with_how_long_was_waited(monkeypatch):
    monkeypatch.setattr("harness.hosts.agent.connection._GREETING_S", 0.3)
    with pytest.raises(
        PeerError, match=r"^lab: its agent has not answered for 0\.3 s: .*; once ssh lab true answers, start again$"
    ):
        Connection("lab", ["sleep", "600"])


def test_a_connection_that_breaks_is_told_with_what_ssh_said_and_the_remedy(tmp_path):
    with (tmp_path / "says").open("wb") as says:
        says.write(GREETING)
        Frames(says.write).send(hello())
    said = "echo 'Timeout, server lab not responding.' >&2; exit 255"
    connection = Connection("lab", ["sh", "-c", f"cat {tmp_path}/says; sleep 1; {said}"])
    words = r"^lab: ssh ended \(exit status 255\): Timeout, server lab not responding\.; once ssh lab true answers, start again$"
    with pytest.raises(PeerError, match=words):
        connection.request(Ping())
    connection.close()


def fill(connection):
    """More than a stream holds that nobody reads."""
    while True:
        connection.send(Data(channel=2), bytes(1 << 20))


def test_nothing_is_called_but_what_a_run_needs(host):
    with pytest.raises(Exception, match="no function that an agent calls"):
        host.call(os.getcwd)


def test_an_interface_that_is_not_there_is_named_with_those_that_are(host):
    with pytest.raises(MissingError, match=r"lab: nic9: there is no such network interface; there are .*lo"):
        host.call(look_at_nic, "nic9")


def test_another_version_is_refused_with_the_remedy(tmp_path):
    with (tmp_path / "says").open("wb") as says:
        says.write(GREETING)
        Frames(says.write).send(hello().model_copy(update={"version": "9.9"}))
    with pytest.raises(MissingError, match=r"lab: pageferry there is 9\.9 .* and here .*pageferry hosts prepare lab"):
        Connection("lab", ["cat", str(tmp_path / "says")])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["sh", "-c", "echo Welcome to lab-a"], "'Welcome to lab-a' came where an agent's greeting should"),
        (["sh", "-c", "exec no-such-pageferry agent"], "there is no pageferry to start"),
        (["sh", "-c", "echo 'Connection refused' >&2; exit 255"], "ssh: Connection refused; try ssh lab true"),
        (["sh", "-c", "exit 3"], "no agent answered"),
    ],
)
def test_why_there_is_no_agent_is_told_in_one_line(argv, words):
    with pytest.raises((PeerError, MissingError), match=words) as caught:
        AgentHost("lab", argv, "127.0.0.1")
    assert "\n" not in str(caught.value)


def test_a_key_that_is_not_the_known_one_is_told_apart():
    told = str(why_no_agent("lab", 255, "Host key verification failed.", b""))
    assert "its key is not the one that is known" in told


def test_a_terminal_is_no_run(monkeypatch, capsys):
    primary, secondary = os.openpty()
    with os.fdopen(primary, "rb"), os.fdopen(secondary, "rb", buffering=0) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["agent"]) == 2
    assert "its input is a terminal" in capsys.readouterr().err


def test_garbage_is_refused_and_ends_the_agent():
    with subprocess.Popen(ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as agent:
        said, errors = agent.communicate(b"\xff" * 64, timeout=PATIENCE_S)
    assert said.startswith(GREETING)
    assert agent.returncode == 5
    assert b"the agent's stream" in errors


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (b"\0" * 7, "ends within a frame"),
        (b"\xff" * 64, "none of ours"),
        (struct.pack(">II", 9, 0) + b"{}", "ends within a frame"),
        (struct.pack(">II", 2, 0) + b"{}", "no message of ours"),
    ],
    ids=["head cut", "huge", "body cut", "no message"],
)
def test_what_is_no_frame_is_refused(garbage, words):
    with pytest.raises(FrameError, match=words):
        read_frame(io.BytesIO(garbage).read)


def test_frames_come_back_as_they_were_sent_and_are_bounded():
    written = bytearray()
    frames = Frames(written.extend)
    frames.send(Data(channel=7), b"payload")
    with pytest.raises(FrameError, match="too large"):
        frames.send(Data(channel=7), bytes(MOST_PAYLOAD_BYTES + 1))
    at = iter([bytes(written[:8]), bytes(written[8:]), b""])
    assert read_frame(lambda _: next(at)) == (Data(channel=7), b"payload")
    assert read_frame(lambda _: next(at)) is None


def test_a_clock_an_hour_ahead_is_found_with_its_error():
    now = iter([0.0, 0.004, 1.0, 1.002, 2.0, 2.010])
    theirs = iter([3600.003, 3601.001, 3602.001])
    found = best_of(lambda: next(theirs), 3, lambda: next(now))
    assert found == ClockOffset(pytest.approx(3600.0), pytest.approx(0.001))
