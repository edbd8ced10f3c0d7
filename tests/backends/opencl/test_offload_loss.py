"""A device worker that crashes, hangs or does not start is given up and replaced. With a fake device."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading

import psutil
import pytest
from offload_rig import AMPLE_S, PAGES, config, counts, fails, fault, recovers, restored, serial, until, worker_pids

from backends.conformance.samples import sample
from backends.opencl import offload as module
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.sharing import acquire, release

# ---------------------------------------------------------------- death and hanging


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_dies_fails_its_batch_with_the_cause_and_comes_back(start, away, capfd, number):
    offload, counted = start(f"waits-while {away}"), counts()
    away.touch()
    said = fails(offload, fault(f"dies {int(number)}"), counted)
    assert f"the OpenCL driver ended its process ({signal.strsignal(number)})" in said
    assert "the card fell out" in said
    refusal = fails(offload, PAGES, counted)
    assert signal.strsignal(number) in refusal
    assert "tried again" in refusal
    away.unlink()
    recovers(offload)
    offload.claim(counted)
    assert (counted["errors"], counted["refused"], counted["deaths"], counted["restarts"]) == (1, 1, 1, 1)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["hangs", "hangs_with_the_interpreter", "stops"])
def test_a_worker_that_hangs_is_given_up_after_the_time_limit_and_comes_back(start, away, name):
    offload, counted, later = start(f"waits-while {away}", limit_s=0.15), counts(), counts()
    away.touch()
    late = "no answer for a batch of 50000 bytes within 150 ms"
    assert fails(offload, fault(name), counted) == late
    assert re.match(f"{late}; (tried again in 0.|being tried again now)", fails(offload, PAGES, counted))
    away.unlink()
    recovers(offload, counted=later)
    offload.claim(counted)
    restarts = 1 + later["timeouts"]  # a busy machine's device may be late once more
    assert (counted["timeouts"], counted["errors"], counted["deaths"], counted["restarts"]) == (1, 0, 0, restarts)


def test_a_large_batch_has_a_longer_limit(start):
    offload = start(limit_s=0.15)
    assert "within 150 ms" in fails(offload, fault("hangs", size=1 << 20))
    until(lambda: offload._breaker.is_closed)
    assert "within 600 ms" in fails(offload, fault("hangs", size=4 << 20))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_all_threads_are_free_when_the_worker_is_lost_under_them(start, away, how):
    """Those that wait for one of three slots are refused, and do not wait for a time limit of their own."""
    offload = start(f"waits-while {away}", slots=3, limit_s=AMPLE_S if how == signal.SIGKILL else 2.0)
    (worker,) = map(psutil.Process, worker_pids(offload))
    away.touch()
    total, lock, served = counts(), threading.Lock(), []

    def work(seed):
        data = memoryview(sample("text", 1 << 20, seed))
        counted = counts()
        with contextlib.suppress(OpenclError):
            while True:
                assert restored(offload.compress(data, counted)) == data
                served.append(seed)
        with lock:
            for name, value in counted.items():
                total[name] += value

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: len(served) > len(threads) or not all(thread.is_alive() for thread in threads))
    worker.send_signal(how)
    for thread in threads:
        thread.join(AMPLE_S / 2)
    assert not any(thread.is_alive() for thread in threads)
    assert total["errors"] + total["timeouts"] + total["refused"] == 5
    assert total["refused"] >= 2
    assert (total["timeouts"] > 0) == (how == signal.SIGSTOP)
    assert total["mismatches"] == 0
    away.unlink()
    later = counts()
    recovers(offload, counted=later)
    offload.claim(total)
    assert total["restarts"] == 1 + later["timeouts"]


def test_an_idle_workers_death_is_noticed_before_the_next_batch(start, away):
    offload, counted = start(f"waits-while {away}"), counts()
    away.touch()
    (pid,) = worker_pids(offload)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not offload._breaker.is_closed)
    assert "Killed" in fails(offload, PAGES, counted)
    assert (counted["refused"], counted["errors"]) == (1, 0)
    away.unlink()
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
    recovers(offload)


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


def test_closing_does_not_wait_for_a_start(away):
    away.touch()
    offload = acquire(config(f"waits-while {away}"))
    until(lambda: worker_pids(offload))
    release(offload)
    with pytest.raises(OpenclError, match="closed while its worker was being started"):
        offload.wait_started()
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
    recovers(offload)
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
