"""One child: it dies with us and not before, is heard, asked how it ended, and stopped; nothing that it started stays."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from backends.children import code_argv
from harness.errors import MissingError
from harness.faults.leftovers import left_since, look
from harness.hosts.child import Child

SLEEP = ("sleep", "60")
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
ECHO = "\nfor line in sys.stdin: print(line.strip() + '!', flush=True)"
PARENT = """
import subprocess
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
"""
LINE = re.compile(".*")


def wait_gone(*pids):
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    deadline_s = time.monotonic() + 120
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
        assert time.monotonic() < deadline_s, f"one of {pids} is still there"
        time.sleep(0.01)


def test_a_child_outlives_the_thread_that_started_it():
    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(Child(SLEEP).start).result()
    assert child.ended(0.2) is None
    child.kill()
    assert child.status == -signal.SIGKILL


def test_a_child_does_not_outlive_a_killed_harness():
    script = "import time\nfrom harness.hosts.child import Child\n"
    script += "print(Child(['sleep', '60']).start().pid, flush=True)\ntime.sleep(60)\n"
    harness = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    pid = int(harness.stdout.readline())
    harness.kill()
    harness.wait()
    harness.stdout.close()
    wait_gone(pid)


def test_a_prefix_is_replaced_by_the_program_under_the_same_id():
    with Child(SLEEP, prefix=["env", "A=1"]) as child:
        process = psutil.Process(child.pid)
        deadline_s = time.monotonic() + 120
        while process.name() != "sleep" and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert process.name() == "sleep"
        assert os.getsid(child.pid) == child.pid


@pytest.mark.parametrize("command", [["qemu-nowhere"], ["env", "qemu-nowhere"]], ids=["program", "behind-a-prefix"])
def test_a_missing_program_is_named(command):
    with pytest.raises(MissingError, match="qemu-nowhere: no such program on PATH"):
        Child(command[-1:], prefix=command[:-1]).start()


def test_a_program_that_is_there_and_may_not_be_run_is_not_called_missing(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(MissingError, match="program: may not be run by this user"):
        Child([str(program)]).start()


@pytest.mark.parametrize(
    ("code", "how", "words"),
    [
        ("print('one'); print('last'); sys.exit(3)", "exit status 3", "exit status 3: last"),
        ("pass", "exit status 0", "exit status 0 and said nothing"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL", "killed by SIGKILL and said nothing"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40", "killed by signal 40 and said nothing"),
    ],
)
@pytest.mark.parametrize("with_log", [True, False], ids=["log", "memory"])
def test_how_it_ended_is_told_in_words(tmp_path, code, how, words, with_log):
    child = Child(code_argv(f"import signal\n{code}"), log=tmp_path / "log" if with_log else None).start()
    assert child.ended(120) == how
    assert child.end_and_words() == words
    child.stop()
    assert child.ended() == how


def test_a_log_is_begun_anew_and_outlives_its_child(tmp_path):
    log = tmp_path / "new" / "log"
    for words in ("first", "second"):
        with Child(code_argv(f"print({words!r})"), log=log) as child:
            child.ended(120)
    assert log.read_text() == "second\n"


def test_lines_are_heard_once_each_and_in_order():
    with Child(code_argv(ECHO), hears=True) as child:
        for word in ("same", "same", "other"):
            child.tell(word)
            assert child.hear(LINE, 120)[0] == f"{word}!"
        assert child.hear(LINE, 0.05) is None


def test_what_is_said_in_the_end_is_heard_and_no_end_is_waited_for():
    with Child(code_argv("print('a'); print('ready: x')")) as child:
        assert child.hear(re.compile("ready: (.*)"), 600)[1] == "x"
        assert child.hear(re.compile("more"), 600) is None


def test_telling_the_dead_is_no_error():
    with Child(["true"], hears=True) as child:
        child.ended(120)
        child.tell("hello")


def test_the_end_of_its_input_ends_a_child_that_hears():
    child = Child(code_argv(ECHO), hears=True).start()
    child.stop(20)
    assert child.status == 0


def test_steps_to_the_end_are_politeness_then_sigterm_then_sigkill():
    polite = []
    with Child(SLEEP) as asked:
        asked.stop(0.05, lambda: polite.append(True))
        assert (polite, asked.ended()) == ([True], "killed by SIGTERM")
    with Child(code_argv(STUBBORN)) as deaf:
        deaf.hear(LINE, 120)
        deaf.stop(0.05)
        assert deaf.ended() == "killed by SIGKILL"
        deaf.stop(politely=lambda: pytest.fail("it has ended"))


def test_a_child_that_was_never_started_can_be_stopped():
    child = Child(SLEEP)
    child.stop()
    child.kill()
    assert (child.started, child.cpu_s(), child.said()) == (False, 0.0, "")


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)", "import time; time.sleep(60)"])
def test_what_a_child_leaves_in_its_group_ends_with_it(end):
    with Child(code_argv(PARENT + end)) as child:
        left = int(child.hear(LINE, 120)[0])
    wait_gone(left)


def test_descriptors_are_passed_on():
    reader, writer = os.pipe()
    with Child(code_argv(f"os.write({writer}, b'here')"), pass_fds=[writer]) as child:
        assert os.read(reader, 9) == b"here"
        assert child.ended(120) == "exit status 0"
    os.close(reader)
    os.close(writer)


def test_cpu_time_counts_descendants_and_is_kept():
    code = "import subprocess\nsubprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.3: pass'])\n"
    with Child(code_argv(code + "print('burnt', flush=True); sys.stdin.read()"), hears=True) as child:
        assert child.hear(re.compile("burnt"), 120)
        alive_s = child.cpu_s()
    assert 0.3 <= alive_s <= child.cpu_s() < 5
    assert child.cpu_s() == child.cpu_s()


def test_no_process_and_no_descriptor_is_left(tmp_path):
    before = look(tmp_path)
    for _ in range(3):
        with Child(SLEEP, hears=True) as child:
            pass
        assert not psutil.pid_exists(child.pid)
    assert left_since(before, tmp_path) == ()
