"""What compresses a batch when its device fails: the choice, and CPU time counted with what a process started."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from backends import registry
from backends.api import BackendInfo
from harness.errors import UserError
from harness.hosts.cputime import tree_cpu_s
from harness.migrator.carry.fallback import choose_fallback
from harness.migrator.spec import Spec

CARD = BackendInfo("card", device="card")
ZLIB = registry.load("zlib").info


@pytest.mark.parametrize(
    ("info", "text", "chosen"),
    [
        (CARD, None, Spec("isal", 1)),
        (CARD, "never", None),
        (CARD, "zstd:-3", Spec("zstd", -3)),
        (CARD, "zlib", Spec("zlib", ZLIB.default_level)),
        (ZLIB, None, None),
        (ZLIB, "isal:0", Spec("isal", 0)),
    ],
)
def test_a_device_falls_back_to_isal_1_and_a_codec_to_nothing_unless_told_otherwise(info, text, chosen):
    assert choose_fallback(info, text) == chosen


def test_a_fallback_is_written_as_it_is_read():
    assert str(Spec("isal", 1)) == "isal:1"
    assert str(Spec("lz4", None)) == "lz4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonesuch", "unknown backend 'nonesuch'"),
        ("isal:fast", "'fast' is no level"),
        ("isal:9", "level 9 is outside 0..3"),
        ("none:1", "no levels"),
        ("none", "must be another codec"),
        ("card", "unknown backend 'card'"),
    ],
)
def test_a_wrong_fallback_is_one_line_with_the_value_and_a_remedy(text, words):
    with pytest.raises(UserError) as caught:
        choose_fallback(CARD, text)
    line = str(caught.value)
    assert words in line
    assert repr(text) in line
    assert "isal:1" in line
    assert "\n" not in line


def test_a_backend_is_no_fallback_for_itself():
    with pytest.raises(UserError, match="another codec"):
        choose_fallback(ZLIB, "zlib:1")


BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
WAIT = BURN + "print(flush=True)\ninput()"
PARENT = f"""
import subprocess, sys, threading
subprocess.run([sys.executable, "-c", {BURN!r}])
kept = []
def start():
    kept.append(subprocess.Popen([sys.executable, "-c", {WAIT!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
thread = threading.Thread(target=start)
thread.start()
thread.join()
kept[0].stdout.readline()
print(kept[0].pid, flush=True)
sys.stdin.read()
kept[0].kill()
kept[0].wait()
"""


def test_cpu_time_counts_children_that_ended_and_those_that_run():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        own = psutil.Process(parent.pid).cpu_times()
        total_s = tree_cpu_s(parent.pid)
        parent.stdin.close()
        parent.wait(120)
    assert total_s >= 0.58 + own.user
    assert not psutil.pid_exists(child)
    assert tree_cpu_s(parent.pid) == 0
