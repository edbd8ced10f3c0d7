"""A device worker that crashes, hangs, lies or is lost does not hold up, mislead or outlive the sender. With a fake device."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zlib

import fake_opencl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.api import MAX_BATCH_BYTES
from backends.conformance.samples import KINDS, sample
from backends.opencl import offload as module
from backends.opencl.contract import Geometry
from backends.opencl.counters import COUNTERS
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.messages import Launch, read_answer, write_answer, write_fault
from backends.opencl.offload import OffloadConfig
from backends.opencl.sharing import acquire, release

PROMPT_S = 1.0
"""What these tests allow a busy machine; 0.2 s is promised of an idle one."""

serial = itertools.count()
PAGES = memoryview(sample("text", 100_000))


def config(name=None, *, slots=2, limit_s=0.15, verify_every=64):
    # A name of its own: quarantine lasts as long as this process.
    device = DeviceConfig(device=name or f"fake {next(serial)}")
    return OffloadConfig(device, slots, limit_s, verify_every, fake_opencl.FACTORY)


@pytest.fixture
def start():
    """start(...) -> an Offload that has passed its self-test, released at the end."""
    opened = []

    def start_one(name=None, **settings):
        opened.append(acquire(config(name, **settings)))
        opened[-1].wait_started()
        return opened[-1]

    yield start_one
    for offload in opened:
        release(offload)


def fault(text, size=50_000):
    return memoryview(f"!{text}".encode().ljust(size, b"\0"))


def counts():
    return dict.fromkeys(COUNTERS, 0)


def restored(packed):
    return zlib.decompress(packed, -15)


def fails(offload, data, counted=None):
    """The error's text; it came promptly."""
    began_s = time.monotonic()
    with pytest.raises(OpenclError) as caught:
        offload.compress(data, counted if counted is not None else counts())
    assert time.monotonic() - began_s < PROMPT_S
    assert "\n" not in str(caught.value)
    return str(caught.value)


def recovers(offload, data=PAGES, within_s=20.0):
    """Compress as a sender does, batch after batch, until the device is back. How many were refused."""
    deadline_s = time.monotonic() + within_s
    refused = 0
    while time.monotonic() < deadline_s:
        try:
            packed = offload.compress(data, counts())
        except OpenclError:
            refused += 1
            time.sleep(0.01)
        else:
            assert restored(packed) == data
            return refused
    raise AssertionError(f"not back after {within_s} s: {fails(offload, data)}")


def until(condition, within_s=10.0):
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "it did not come true"
        time.sleep(0.01)
    return found


# ---------------------------------------------------------------- what comes back


@pytest.fixture(scope="module")
def sound():
    offload = acquire(config(verify_every=3))
    offload.wait_started()
    yield offload
    release(offload)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=70_000).filter(lambda data: not data.startswith(b"!")), st.integers(0, 7))
def test_any_batch_comes_back(sound, data, cut):
    view = memoryview(data)[min(cut, len(data) - 1) :]
    if view[0] != ord("!"):
        assert restored(sound.compress(view, counts())) == view


@pytest.mark.parametrize("size", [1, 4095, 4096, 65537, MAX_BATCH_BYTES])
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_and_kind_comes_back(sound, kind, size):
    data = memoryview(sample(kind, size))
    assert restored(sound.compress(data, counts())) == data


def test_counters_tell_what_was_done(start):
    offload, counted = start(verify_every=4), counts()
    packed = [offload.compress(PAGES, counted) for _ in range(9)]
    assert counted["batches"] == 9
    assert counted["raw_bytes"] == 900_000
    assert counted["joined_bytes"] == sum(map(len, packed))
    assert counted["blocks"] == 18
    assert counted["verified_batches"] == 3
    assert counted["kernel_s"] == pytest.approx(0.018)
    assert counted["queue_s"] == pytest.approx(0.036)
    assert 0 < counted["worker_cpu_s"] < counted["wait_s"] + 1
    offload.claim(counted)
    assert [counted[name] for name in ("errors", "timeouts", "deaths", "mismatches", "refused", "restarts")] == [0] * 6


def test_instances_of_one_configuration_share_a_worker():
    settings = config()
    first, second = acquire(settings), acquire(settings)
    assert first is second
    release(first)
    second.wait_started()
    assert restored(second.compress(PAGES, counts())) == PAGES
    release(second)


def test_more_threads_than_slots_take_turns(start):
    offload, faults = start(slots=2), []

    def work(seed):
        try:
            for size in range(1, 60_000, 3_000):
                data = memoryview(sample("text", size, seed))
                assert restored(offload.compress(data, counts())) == data
        except BaseException as exc:
            faults.append(exc)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    assert not any(thread.is_alive() for thread in threads)


# ---------------------------------------------------------------- faults of a live worker


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out_of_memory", "MemoryError: clEnqueueNDRangeKernel failed: MEM_OBJECT_ALLOCATION_FAILURE"),
        ("busy", "the device is busy with another process"),
        ("talks", "RuntimeError: word word"),
    ],
)
def test_a_device_error_fails_its_batch_alone_and_the_third_in_a_row_opens_the_breaker(start, name, says):
    offload, counted = start(), counts()
    for _ in range(3):
        assert says in fails(offload, fault(name), counted)
        assert restored(offload.compress(PAGES, counted)) == PAGES
    assert (counted["errors"], counted["batches"], counted["refused"]) == (3, 3, 0)
    for _ in range(3):
        fails(offload, fault(name), counted)
    refusal = fails(offload, PAGES, counted)
    assert says in refusal
    assert "tried again in 0." in refusal
    assert (counted["errors"], counted["refused"]) == (6, 1)
    recovers(offload)
    offload.claim(counted)
    assert (counted["restarts"], counted["deaths"]) == (1, 0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("too_long", "compressed bytes, outside 2.."),
        ("too_many_blocks", "1000 zero and 0 stored, where there are 1"),
        ("no_time", "times of"),
        ("negative_time", "times of"),
    ],
)
def test_an_answer_that_cannot_be_is_not_used_and_costs_the_worker(start, name, says):
    offload, counted = start(), counts()
    assert says in fails(offload, fault(name), counted)
    assert "tried again in 0." in fails(offload, PAGES, counted)
    assert (counted["errors"], counted["refused"], counted["batches"]) == (1, 1, 0)
    recovers(offload)


@pytest.mark.parametrize("name", ["wrong", "short", "junk", "nothing"])
def test_wrong_bytes_are_never_handed_out_and_quarantine_the_device(start, name):
    offload, counted = start(verify_every=1), counts()
    assert restored(offload.compress(PAGES, counted)) == PAGES
    assert "the device compressed a batch of 50000 bytes to" in fails(offload, fault(name), counted)
    assert "not used again by this process" in fails(offload, PAGES, counted)
    assert (counted["mismatches"], counted["refused"], counted["errors"]) == (1, 1, 0)
    until(lambda: not worker_pids(offload))
    again = acquire(offload.config)
    with pytest.raises(OpenclError, match="the device compressed a batch of 50000 bytes to"):
        again.wait_started()
    release(again)


def test_quarantine_outlives_the_last_user():
    settings = config(verify_every=1)
    offload = acquire(settings)
    fails(offload, fault("wrong"))
    release(offload)
    later = acquire(settings)
    assert "not used again by this process" in fails(later, PAGES)
    release(later)


def test_sampling_looks_at_the_first_batch_and_one_in_so_many(start):
    offload, counted = start(verify_every=5), counts()
    for _ in range(5):
        offload.compress(PAGES, counted)
    assert counted["verified_batches"] == 1
    assert "inflate" in fails(offload, fault("wrong"), counted)
    assert (counted["verified_batches"], counted["mismatches"]) == (2, 1)


def test_the_first_batch_after_a_restart_is_looked_at(start):
    offload, counted = start(verify_every=1000), counts()
    offload.compress(PAGES, counted)
    fails(offload, fault("dies 9"), counted)
    until(lambda: offload._breaker.is_closed)
    fails(offload, fault("wrong"), counted)
    assert counted["mismatches"] == 1


# ---------------------------------------------------------------- death and hanging


def worker_pids(offload):
    """By the device's name, which stands in the command line: those of this process."""
    name = f'"{offload.config.device.device}"'
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_dies_fails_its_batch_with_the_cause_and_comes_back(start, capfd, number):
    offload, counted = start(), counts()
    said = fails(offload, fault(f"dies {int(number)}"), counted)
    assert f"the OpenCL driver ended its process ({signal.strsignal(number)})" in said
    assert "the card fell out" in said
    refusal = fails(offload, PAGES, counted)
    assert signal.strsignal(number) in refusal
    assert "tried again" in refusal
    assert recovers(offload) > 0
    offload.claim(counted)
    assert (counted["errors"], counted["refused"], counted["deaths"], counted["restarts"]) == (1, 1, 1, 1)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["hangs", "hangs_with_the_interpreter", "stops"])
def test_a_worker_that_hangs_is_given_up_after_the_time_limit_and_comes_back(start, name):
    offload, counted = start(), counts()
    assert fails(offload, fault(name), counted) == "no answer for a batch of 50000 bytes within 150 ms"
    assert "no answer for a batch of 50000 bytes within 150 ms; tried again in 0." in fails(offload, PAGES, counted)
    assert recovers(offload) > 0
    offload.claim(counted)
    assert (counted["timeouts"], counted["errors"], counted["deaths"], counted["restarts"]) == (1, 0, 0, 1)


def test_a_large_batch_has_a_longer_limit(start):
    offload = start(limit_s=0.25)
    late = fault("slow 0.6", size=4 << 20)
    assert restored(offload.compress(late, counts())) == late
    assert "within 250 ms" in fails(offload, fault("slow 0.6"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_all_threads_are_free_within_the_promise_when_the_worker_is_lost_under_them(start, how):
    offload = start(slots=3)
    (pid,) = worker_pids(offload)
    lost_s = None
    finished, total = [], counts()
    lock = threading.Lock()

    def work(seed):
        data = memoryview(sample("text", 1 << 20, seed))
        counted = counts()
        while True:
            began_s = time.monotonic()
            try:
                assert restored(offload.compress(data, counted)) == data
            except OpenclError:
                break
            assert lost_s is None or began_s < lost_s + PROMPT_S
        with lock:
            finished.append(time.monotonic())
            for name, value in counted.items():
                total[name] += value

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    lost_s = time.monotonic()
    os.kill(pid, how)
    for thread in threads:
        thread.join(20)
    assert len(finished) == 5
    after_s = max(finished) - lost_s
    print(f"{signal.Signals(how).name} under 5 threads: the last was free after {after_s * 1000:.0f} ms")
    assert after_s < PROMPT_S
    assert total["errors"] + total["timeouts"] + total["refused"] == 5
    assert total["mismatches"] == 0
    recovers(offload)
    offload.claim(total)
    assert total["restarts"] == 1


def test_an_idle_workers_death_is_noticed_before_the_next_batch(start):
    offload, counted = start(), counts()
    (pid,) = worker_pids(offload)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not offload._breaker.is_closed)
    assert "Killed" in fails(offload, PAGES, counted)
    assert (counted["refused"], counted["errors"]) == (1, 0)
    recovers(offload)
    offload.claim(counted)
    assert (counted["deaths"], counted["restarts"]) == (1, 1)


def test_a_device_that_stays_away_is_tried_again_ever_less_often(start, tmp_path):
    flag = tmp_path / "away"
    offload = start(f"dies-while {flag}")
    flag.touch()
    fails(offload, fault("dies 9"))
    until(lambda: "being tried again now" in fails(offload, PAGES))
    until(lambda: "Segmentation fault" in fails(offload, PAGES))
    flag.unlink()
    assert recovers(offload) > 0


# ---------------------------------------------------------------- starting


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("missing", OpenclMissing, "no card in slot 7; plug one in"),
        ("refuses", OpenclError, "the driver refuses the program"),
        ("raises", OpenclError, "ZeroDivisionError: in the driver"),
        ("dies-at-start", OpenclError, "the OpenCL driver ended its process (Aborted): "),
        ("wrong-self-test", OpenclError, "the device failed its self-test: 262144 bytes became"),
    ],
)
def test_a_failing_start_is_told_at_once_and_leaves_nothing_behind(name, kind, says):
    offload = acquire(config(f"{name} {next(serial)}"))
    try:
        with pytest.raises(OpenclError) as caught:
            offload.wait_started()
        assert type(caught.value) is kind or kind is OpenclError
        assert says in str(caught.value)
        assert says.partition(";")[0] in fails(offload, PAGES)
    finally:
        release(offload)
    assert not worker_pids(offload)


def test_closing_does_not_wait_for_a_start(monkeypatch):
    offload = acquire(config())
    began_s = time.monotonic()
    release(offload)
    assert time.monotonic() - began_s < 5
    assert not worker_pids(offload)


def test_a_machine_out_of_descriptors_is_a_reason_and_leaves_no_process(monkeypatch):
    def full(_pid):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", full)
    offload = acquire(config())
    with pytest.raises(OpenclError, match=r"cannot start a worker: \[Errno 24\] Too many open files"):
        offload.wait_started()
    assert not worker_pids(offload)
    monkeypatch.undo()
    assert recovers(offload) > 0
    release(offload)


def test_a_supervisor_that_fails_lets_nobody_wait(monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug of ours")

    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    monkeypatch.setattr(module, "Worker", broken)
    offload = acquire(config())
    with pytest.raises(OpenclError, match="its supervisor failed: a bug of ours"):
        offload.wait_started()
    assert "its supervisor failed" in fails(offload, PAGES)
    release(offload)
    assert len(seen) == 1


# ---------------------------------------------------------------- nothing is left behind


def test_nothing_is_left_after_close():
    me = psutil.Process()
    warm = acquire(config())
    warm.wait_started()
    release(warm)
    before = me.num_fds(), threading.active_count(), len(me.children(recursive=True))
    maps = sum("pageferry-slot" in each.path for each in me.memory_maps(grouped=False))
    for name in ("dies 9", "hangs", "busy", "slow 0.01"):
        offload = acquire(config())
        offload.wait_started()
        with contextlib.suppress(OpenclError):
            offload.compress(fault(name), counts())
        release(offload)
    assert (me.num_fds(), threading.active_count(), len(me.children(recursive=True))) == before
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
offload = acquire(OffloadConfig(DeviceConfig(device="fake"), 2, 60.0, 64, fake_opencl.FACTORY))
offload.wait_started()
print(offload._process.process.pid, flush=True)
if sys.argv[1] != "idle":
    offload.compress(memoryview(sys.argv[1].encode().ljust(9000, b"\\0")), dict.fromkeys(COUNTERS, 0))
time.sleep(60)
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
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, within_s=5)


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
