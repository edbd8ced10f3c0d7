"""A device worker does not outlive the sender, and says what it means. With a fake device."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offload_rig import AMPLE_S, PAGES, config, counts, fault, restored, until, worker_pids

from backends.api import MAX_BATCH_BYTES
from backends.conformance.samples import sample
from backends.opencl.contract import Geometry
from backends.opencl.errors import OpenclError
from backends.opencl.messages import Launch, read_answer, write_answer, write_fault
from backends.opencl.sharing import acquire, release
from harness.faults.leftovers import left_since, look

# ---------------------------------------------------------------- nothing is left behind


def test_nothing_is_left_after_close(tmp_path):
    me = psutil.Process()
    warm = acquire(config())
    warm.wait_started()
    release(warm)
    before = look(tmp_path)
    maps = sum("pageferry-slot" in each.path for each in me.memory_maps(grouped=False))
    for name in ("dies 9", "hangs", "busy", "short"):
        offload = acquire(config(limit_s=0.15 if name == "hangs" else AMPLE_S))
        offload.wait_started()
        with contextlib.suppress(OpenclError):
            offload.compress(fault(name), counts())
        release(offload)
    assert left_since(before, tmp_path) == ()
    assert sum("pageferry-slot" in each.path for each in me.memory_maps(grouped=False)) <= maps


def test_a_closed_workers_cpu_time_is_a_childs():
    used_s = psutil.Process().cpu_times().children_user
    offload = acquire(config())
    offload.wait_started()
    offload.compress(memoryview(sample("text", MAX_BATCH_BYTES)), counts())
    release(offload)
    assert psutil.Process().cpu_times().children_user > used_s


PARENT = """
import sys, time
import fake_opencl
from backends.opencl.devices import DeviceConfig
from backends.opencl.counters import COUNTERS
from backends.opencl.offload import OffloadConfig
from backends.opencl.sharing import acquire
offload = acquire(OffloadConfig(DeviceConfig(device="fake"), 2, fake_opencl.AGES_S, 64, fake_opencl.FACTORY))
offload.wait_started()
print(offload._process.process.pid, flush=True)
if sys.argv[1] != "idle":
    offload.compress(memoryview(sys.argv[1].encode().ljust(9000, b"\\0")), dict.fromkeys(COUNTERS, 0))
time.sleep(fake_opencl.AGES_S)
"""


@pytest.mark.parametrize("doing", ["idle", "!hangs", "!hangs_with_the_interpreter", "!stops"])
def test_a_worker_does_not_outlive_a_parent_that_is_killed(doing):
    paths = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", textwrap.dedent(PARENT), doing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.1)
        assert worker.is_running()
        parent.kill()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_a_fork_starts_a_worker_of_its_own_and_leaves_the_parents_alone(start):
    offload = start()
    pid = os.fork()
    if pid == 0:
        try:
            mine = acquire(offload.config)
            mine.wait_started()
            told = counts()
            good = mine is not offload and restored(mine.compress(PAGES, told)) == PAGES and told["batches"] == 1
            release(offload)
            release(mine)
            os._exit(0 if good else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert restored(offload.compress(PAGES, counts())) == PAGES
    assert len(worker_pids(offload)) == 1


# ---------------------------------------------------------------- messages


GEOMETRY = Geometry(65536)


@given(st.binary(max_size=200) | st.binary(min_size=65, max_size=65).map(lambda tail: bytes(9) + tail[9:]))
def test_no_message_is_worse_than_refused(message):
    try:
        answer = read_answer(message, 0, 100_000, GEOMETRY)
    except OpenclError as exc:
        said = str(exc)
        assert "\n" not in said
        assert len(said) < 600
    else:
        assert answer.launch.blocks == 2
        assert 2 <= answer.launch.joined_bytes <= GEOMETRY.joined_bound_bytes(100_000)


def test_an_answer_is_read_as_it_was_written():
    launch = Launch(5000, 2, 1, 1, 0.1, 0.2, 0.3, 0.4)
    answer = read_answer(write_answer(7, launch, 12.5), 7, 100_000, GEOMETRY)
    assert (answer.launch, answer.worker_cpu_s) == (launch, 12.5)
    with pytest.raises(OpenclError, match="answered request 7, not 8"):
        read_answer(write_answer(7, launch, 12.5), 8, 100_000, GEOMETRY)
    with pytest.raises(OpenclError, match=r"^no memory$"):
        read_answer(write_fault(7, "no\n memory"), 7, 100_000, GEOMETRY)
