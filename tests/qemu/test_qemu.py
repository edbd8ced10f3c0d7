"""QEMU as a process: started, spoken to, lost, stopped. No guest runs in it."""

import fcntl
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from harness.errors import QemuError, UserError
from harness.qemu.process import QemuProcess, check_socket_path
from harness.qemu.qmp import Qmp
from harness.qemu.survey import NATIVE_METHODS, survey

QEMU = "qemu-system-x86_64"
IDLE = (QEMU, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S")
PAUSED_PC = (QEMU, "-machine", "pc,accel=tcg", "-nodefaults", "-display", "none", "-S")
needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
pytestmark = pytest.mark.qemu


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield Path(folder)


def test_a_socket_path_too_long_is_refused_with_its_length():
    check_socket_path(Path("/" + "x" * 106))
    with pytest.raises(UserError, match="at most 107 bytes and this one 108"):
        check_socket_path(Path("/" + "x" * 107))


@needs_qemu
def test_qmp_carries_answers_refusals_and_stamped_events(run_dir):
    with QemuProcess("source", PAUSED_PC, run_dir=run_dir) as q:
        assert q.qmp.execute("query-status")["running"] is False
        with pytest.raises(QemuError, match="source: no-such: The command no-such has not been found"):
            q.qmp.execute("no-such")
        began_s = time.time()
        q.qmp.execute("cont")
        event = q.qmp.wait_event("RESUME", 60.0)
        assert began_s - 0.001 <= event.at_s <= time.time()
        assert q.qmp.events("RESUME", since_s=event.at_s + 1e-3) == ()
        q.qmp.execute("stop")
        assert [e.name for e in q.qmp.events()] == ["RESUME", "STOP"]
        with pytest.raises(QemuError, match=r"source: no WATCHDOG event within 0\.05 s"):
            q.qmp.wait_event("WATCHDOG", 0.05)


@needs_qemu
def test_several_threads_share_one_connection(run_dir):
    with QemuProcess("source", IDLE, run_dir=run_dir) as q, ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: q.qmp.execute("query-name"), range(100)))
    assert names == [{}] * 100


@needs_qemu
def test_a_second_qmp_socket_serves_another_client_and_goes_with_qemu(run_dir):
    with QemuProcess("source", IDLE, run_dir=run_dir, second_qmp=True) as qemu:
        other = Qmp("other")
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(qemu.qmp_for_others))
        other.greet(client)
        other.execute("migrate-set-parameters", **{"downtime-limit": 77})
        assert qemu.qmp.execute("query-migrate-parameters")["downtime-limit"] == 77
        other.close()
    assert [path.name for path in run_dir.iterdir()] == ["source.log"]


@needs_qemu
def test_stop_leaves_no_process_no_thread_and_no_socket(run_dir):
    qemu = QemuProcess("source", IDLE, run_dir=run_dir, chardevs=["console"])
    with qemu:
        assert qemu.chardev_path("console").is_socket()
        assert psutil.Process(qemu.pid).is_running()
        assert "qmp-source" in {thread.name for thread in threading.enumerate()}
        deadline_s = time.monotonic() + 120
        while qemu.cpu_s() == 0 and time.monotonic() < deadline_s:  # kernels count in ticks, and it may fit between two
            qemu.qmp.execute("query-name")
    assert qemu.ended() == "QEMU ended: exit status 0 and said nothing"
    assert "qmp-source" not in {thread.name for thread in threading.enumerate()}
    assert [path.name for path in run_dir.iterdir()] == ["source.log"]
    assert 0 < qemu.cpu_s() < 10
    qemu.stop()


@needs_qemu
def test_a_qemu_that_refuses_its_options_is_reported_in_its_words(run_dir):
    with pytest.raises(QemuError, match=r"source: QEMU ended: exit status 1: .*-nonsense: invalid option"):
        QemuProcess("source", [*IDLE, "-nonsense"], run_dir=run_dir).start()


@needs_qemu
def test_a_killed_qemu_ends_every_wait_at_once(run_dir):
    with QemuProcess("source", IDLE, run_dir=run_dir) as q, ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(q.qmp.wait_event, "STOP", 600.0)
        time.sleep(0.1)
        os.kill(q.pid, signal.SIGKILL)
        with pytest.raises(QemuError, match="source: waiting for STOP: QEMU ended: killed by SIGKILL"):
            waiting.result()
        with pytest.raises(QemuError, match="source: query-status: QEMU ended: killed by SIGKILL"):
            q.qmp.execute("query-status")


@needs_qemu
def test_a_qemu_that_does_not_answer_is_killed_at_last(run_dir):
    qemu = QemuProcess("source", IDLE, run_dir=run_dir)
    qemu.start()
    os.kill(qemu.pid, signal.SIGSTOP)
    with pytest.raises(QemuError, match=r"source: query-status: no answer from QEMU within 0\.2 s"):
        qemu.qmp.execute("query-status", timeout_s=0.2)
    qemu.stop(patience_s=0.2)
    assert qemu.ended() == "QEMU ended: killed by SIGKILL and said nothing"


def test_a_connection_that_was_never_made_says_so():
    with pytest.raises(QemuError, match="x: query-status: not connected to QEMU"):
        Qmp("x").execute("query-status")


@needs_qemu
def test_an_interrupt_while_qmp_connects_is_all_that_is_heard(run_dir, caplog):
    """The client that is given up ends by itself: nothing is left to complain later."""
    ours, theirs = socket.socketpair()

    def interrupt() -> None:
        with theirs:
            theirs.send(b"{")
            while int.from_bytes(fcntl.ioctl(theirs, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
                time.sleep(0.001)  # until the client has taken it, and waits for the rest of a greeting
            os.kill(os.getpid(), signal.SIGINT)
            theirs.recv(1)  # until it is given up

    silent = threading.Thread(target=interrupt)
    silent.start()
    with pytest.raises(KeyboardInterrupt):
        Qmp("x").greet(ours)
    silent.join()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_the_survey_knows_version_machine_and_methods():
    found = survey(QEMU)
    assert found.version[0].isdigit()
    assert found.machine.startswith("pc-i440fx-")
    assert set(found.methods) == set(NATIVE_METHODS)
    assert found.methods["plain"] is None
    assert found.methods["multifd"] is None
    for reason in found.methods.values():
        assert reason is None or reason.startswith(f"QEMU {found.version} has no ")
