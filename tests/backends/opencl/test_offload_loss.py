"""A device worker that crashes, hangs or does not start is given up and replaced. With a fake device."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from offload_rig import PAGES, PROMPT_S, config, counts, fails, fault, recovers, restored, serial, until, worker_pids

from backends.conformance.samples import sample
from backends.opencl import offload as module
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.sharing import acquire, release

# ---------------------------------------------------------------- death and hanging


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
def test_all_threads_are_free_soon_when_the_worker_is_lost_under_them(start, how):
    offload = start(slots=3, limit_s=2.0)
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
