"""The backend with PoCL, an OpenCL device on the host's processor, where that is installed."""

from __future__ import annotations

import signal
import threading
import time
import zlib

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offload_rig import until

from backends import registry
from backends.api import MAX_BATCH_BYTES, BackendError, BackendUnavailable
from backends.conformance import RULES, check
from backends.conformance.samples import KINDS, sample
from backends.opencl import OpenclBackend
from backends.opencl import backend as module
from backends.opencl.counters import COUNTERS

DATA = sample("text", 1 << 20)


def test_probe_names_the_device_and_that_a_cpu_must_be_asked_for(pocl, monkeypatch):
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", pocl["device"])
    words = OpenclBackend.probe()
    assert "PoCL" in words or "pocl" in words
    assert "(CPU, only where device = cpu asks for it)" in words
    (status,) = [status for status in registry.survey() if status.name == "opencl"]
    assert (status.available, status.version, status.device) == (True, words, "opencl")


def test_without_a_device_probe_says_why(pocl, monkeypatch):
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", "opencl:no such platform")
    with pytest.raises(BackendUnavailable, match="no OpenCL device fits 'opencl:no such platform'"):
        OpenclBackend.probe()


def test_a_cpu_is_not_taken_unasked(pocl, monkeypatch):
    rows = module.probe_in_child()
    if any(row.type != "CPU" for row in rows):
        pytest.skip(f"there is more than a CPU here: {', '.join(map(str, rows))}")
    monkeypatch.delenv("PAGEFERRY_OPENCL_DEVICE", raising=False)
    backend = OpenclBackend()
    with pytest.raises(BackendUnavailable, match=r"no OpenCL GPU or accelerator .*CPU") as caught:
        backend.open()
    assert "--option device=cpu" in caught.value.remedy
    assert "PAGEFERRY_OPENCL_DEVICE=cpu" in caught.value.remedy
    backend.close()
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", "cpu")
    backend = OpenclBackend(slots=1, timeout_ms=pocl["timeout_ms"])
    backend.open()
    assert zlib.decompress(backend.compress(DATA), -15) == DATA
    backend.close()


@pytest.mark.parametrize("rule", RULES)
def test_it_keeps_the_contract(pocl, rule):
    (finding,) = check(OpenclBackend, options=pocl, rules=[rule])
    assert finding.ok, f"{finding.rule}: {finding.evidence}"
    assert finding.evidence


@pytest.mark.parametrize("block", ["4KiB", "64KiB"])
def test_the_contract_holds_with_either_block_and_every_batch_verified(pocl, block):
    options = {**pocl, "block": block, "verify_every": 1, "slots": 2}
    rules = ["round-trip", "threads", "deterministic", "format"]
    broken = [finding for finding in check(OpenclBackend, options=options, rules=rules) if not finding.ok]
    assert not broken


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    pieces=st.lists(
        st.tuples(st.binary(min_size=1, max_size=64), st.integers(1, 3000)) | st.binary(max_size=3000), max_size=8
    ),
    cut=st.integers(0, 7),
)
def test_any_data_comes_back_from_any_offset(pocl, pieces, cut):
    data = b"".join(piece if isinstance(piece, bytes) else piece[0] * piece[1] for piece in pieces)[:MAX_BATCH_BYTES]
    view = memoryview(data)[cut:]
    backend = OpenclBackend(**pocl)
    packed = backend.compress(view)
    backend.close()
    assert zlib.decompress(packed, -15) == view
    assert backend.decompress(packed, len(view)) == view


def test_slots_threads_and_workers_all_give_the_same_bytes(pocl):
    data = b"".join(sample(kind, 100_000) for kind in KINDS)
    packed = set()

    def work(backend):
        for _ in range(4):
            packed.add(backend.compress(data))
        backend.close()

    for options in (pocl, {**pocl, "slots": 1}):
        threads = [threading.Thread(target=work, args=(OpenclBackend(**options),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(packed) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_device_comes_back(pocl, how):
    options = {**pocl, "slots": 2, "verify_every": 7}
    if how == signal.SIGSTOP:
        options |= {"slots": 3, "timeout_ms": 1000}
    backends = [OpenclBackend(**options) for _ in range(3)]
    for backend in backends:
        backend.open()
    (worker,) = workers(backends[0])
    faults, lost, served, over = [], [], [], threading.Event()

    def work(backend, seed):
        data = sample("text", 1 << 20, seed)
        while not over.is_set():
            try:
                if zlib.decompress(backend.compress(data), -15) != data:
                    faults.append(seed)
                served.append(seed)
            except BackendError as exc:
                lost.append(exc)
                time.sleep(0.01)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(backends, range(3), strict=True)]
    for thread in threads:
        thread.start()
    until(lambda: len(served) > len(threads))
    worker.send_signal(how)
    until(lambda: lost)
    before = len(served)
    until(lambda: len(served) > before + len(threads))
    over.set()
    for thread in threads:
        thread.join(60)
    assert not faults
    total = {name: sum(backend.counters()[f"offload_{name}"] for backend in backends) for name in COUNTERS}
    assert (total["timeouts"] > 0) == (how == signal.SIGSTOP)
    assert total["restarts"] >= 1
    assert total["mismatches"] == 0
    for backend in backends:
        backend.close()
    assert not worker.is_running()


def workers(backend):
    """The worker processes of this process whose slots are as many as the backend's."""
    shared = backend._offload
    return [child for child in psutil.Process().children() if child.pid == shared._process.process.pid]


def test_a_missing_linker_is_told_with_its_remedy(pocl, tmp_path, monkeypatch):
    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    backend = OpenclBackend(**pocl, slots=4)
    with pytest.raises(BackendUnavailable) as caught:
        backend.open()
    assert "ld" in caught.value.missing
    assert caught.value.remedy == "apt install gcc libc6-dev"
    backend.close()
