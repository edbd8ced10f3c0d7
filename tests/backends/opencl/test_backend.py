"""The backend as a sender uses it: its options and its errors, then everything again with PoCL where that is installed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import zlib

import fake_opencl
import planted_opencl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import registry
from backends.api import MAX_BATCH_BYTES, BackendError, BackendUnavailable
from backends.conformance import RULES, check
from backends.conformance.samples import KINDS, sample
from backends.opencl import OpenclBackend
from backends.opencl import backend as module
from backends.restore import self_test_batch

PROMPT_S = 1.0
"""What these tests allow a busy machine; 0.2 s is promised of an idle one."""

NAMES = {
    "batches", "raw_bytes", "joined_bytes", "blocks", "zero_blocks", "stored_blocks", "host_to_device_s", "kernel_s",
    "device_to_host_s", "queue_s", "wait_s", "slot_wait_s", "worker_cpu_s", "verified_batches", "errors", "timeouts", "deaths",
    "mismatches", "refused", "restarts",
}  # fmt: skip
DATA = sample("text", 1 << 20)


@pytest.fixture
def fake(monkeypatch):
    """The backend on a device made for tests."""

    def config(*arguments, **settings):
        return real(*arguments, **settings, factory=fake_opencl.FACTORY)

    real = module.OffloadConfig
    monkeypatch.setattr(module, "OffloadConfig", config)
    return OpenclBackend


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": ""}, "option device = '': must be text"),
        ({"device": 3}, "option device = 3: must be text"),
        ({"binary": " "}, "option binary = ' ': must be text"),
        ({"block": "8KiB"}, "option block = '8KiB': must be one of 4KiB, 64KiB"),
        ({"block": 8192}, "option block = 8192: must be one of 4KiB, 64KiB"),
        ({"block": None}, "option block = None: must be one of 4KiB, 64KiB"),
        ({"style": "cuda"}, "option style = 'cuda': must be one of wi, wg, task"),
        ({"timeout_ms": 0}, "option timeout_ms = 0: must be a whole number from 1 to 3600000"),
        ({"timeout_ms": 1.5}, "option timeout_ms = 1.5: must be a whole number from 1 to 3600000"),
        ({"verify_every": 0}, "option verify_every = 0: must be a whole number from 1 to 1073741824"),
        ({"verify_every": True}, "option verify_every = True: must be a whole number from 1 to 1073741824"),
        ({"slots": 17}, "option slots = 17: must be a whole number from 1 to 16"),
        ({"queue": 1}, "unknown option 'queue'; known: device, binary, block, style, timeout_ms, verify_every, slots"),
    ],
)
def test_a_wrong_option_is_refused_by_the_constructor(options, says):
    with pytest.raises(BackendError) as caught:
        OpenclBackend(**options)
    assert str(caught.value) == f"backend 'opencl': {says}"


@pytest.mark.parametrize("block", ["4KiB", 4096, "64KiB", 65536])
def test_a_block_may_be_text_or_a_number(block):
    assert OpenclBackend(block=block)._config.device.block_bytes == (4096 if str(block).startswith("4") else 65536)


def test_it_has_no_levels():
    with pytest.raises(BackendError, match="has no levels"):
        OpenclBackend(1)


def test_constructing_and_decompressing_start_nothing():
    script = (
        "import sys, zlib, psutil; from backends import registry; backend = registry.create('opencl', device='no such'); "
        "packed = zlib.compressobj(6, zlib.DEFLATED, -15); packed = packed.compress(b'guest' * 100) + packed.flush(); "
        "assert backend.decompress(packed, 500) == b'guest' * 100; backend.probe_decoder(); backend.close(); "
        "print('pyopencl' in sys.modules, psutil.Process().children(), psutil.Process().num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["False", "[]"]


@pytest.mark.parametrize("without_isal", [False, True])
def test_restoring_needs_no_device_and_no_isal(without_isal):
    script = (
        f"import sys; sys.modules.update({{'isal': None}} if {without_isal} else {{}}); "
        "from backends.opencl import OpenclBackend; import zlib; packer = zlib.compressobj(6, zlib.DEFLATED, -15); "
        "packed = packer.compress(bytes(70000)) + packer.flush(); "
        "assert OpenclBackend().decompress(packed, 70000) == bytes(70000); print(OpenclBackend.probe_decoder())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("zlib " if without_isal else ("ISA-L ", "zlib "))


# ---------------------------------------------------------------- with a fake device


def test_the_empty_batch_needs_no_device():
    assert OpenclBackend(device="no such").compress(b"") == b"\x03\x00"
    assert OpenclBackend().decompress(b"\x03\x00", 0) == b""


def test_a_batch_that_is_too_large_is_refused(fake):
    with pytest.raises(BackendError, match=f"cannot compress {MAX_BATCH_BYTES + 1} bytes: a batch has 0..4194304"):
        fake(device="fake large").compress(bytes(MAX_BATCH_BYTES + 1))


def test_open_tells_what_is_missing_and_what_to_do(fake):
    backend = fake(device="missing card")
    with pytest.raises(BackendUnavailable) as caught:
        backend.open()
    assert (caught.value.missing, caught.value.remedy) == ("no card in slot 7", "plug one in")
    with pytest.raises(BackendError, match=r"backend 'opencl': no card in slot 7; plug one in; tried again in"):
        backend.compress(DATA)
    backend.close()


def test_open_tells_a_failure_in_one_line(fake):
    backend = fake(device="refuses")
    with pytest.raises(BackendError) as caught:
        backend.open()
    assert str(caught.value) == "backend 'opencl': the driver refuses the program"
    backend.close()


def test_counters_are_all_there_and_each_fact_is_told_once(fake):
    backends = [fake(device="fake counters") for _ in range(3)]
    assert backends[0].counters() == {f"offload_{name}": 0 for name in NAMES}
    for backend in backends:
        backend.open()
    with pytest.raises(BackendError):
        backends[0].compress(b"!dies 9")
    deadline_s = time.monotonic() + 20
    packed = None
    while packed is None and time.monotonic() < deadline_s:
        with contextlib.suppress(BackendError):
            packed = backends[1].compress(DATA)
    assert zlib.decompress(packed, -15) == DATA
    for backend in backends:
        backend.close()
    told = [dict(backend.counters()) for backend in backends]
    assert [dict(backend.counters()) for backend in backends] == told
    total = {name: sum(each[name] for each in told) for name in told[0]}
    assert (total["offload_deaths"], total["offload_restarts"], total["offload_errors"]) == (1, 1, 1)
    assert (total["offload_batches"], total["offload_raw_bytes"]) == (1, len(DATA))
    assert total["offload_verified_batches"] == 1


def test_a_fork_gets_a_device_of_its_own(fake):
    backend = fake(device="fake fork")
    backend.open()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            good = zlib.decompress(backend.compress(DATA), -15) == DATA
            backend.close()
            os._exit(0 if good else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert zlib.decompress(backend.compress(DATA), -15) == DATA
    backend.close()


def test_a_certificate_can_name_the_open_device(fake):
    backend = fake(device="fake")
    with contextlib.closing(backend):
        backend.open()
        told = backend.identity()
    assert told["device"]
    assert told["block_bytes"] == "65536"
    assert all(isinstance(value, str) for value in told.values())


@pytest.mark.parametrize(
    ("fault", "says", "counter"),
    [
        ("death", "ended its process", "offload_errors"),
        ("stall", "no answer for a batch of 5000 bytes within", "offload_timeouts"),
        ("wrong-data", "the device compressed a batch of 5000 bytes to", "offload_mismatches"),
    ],
)
def test_an_injected_fault_is_the_batchs_error_and_no_other_bytes(fake, fault, says, counter):
    backend = fake(device="fake", verify_every=1, timeout_ms=300)
    with contextlib.closing(backend):
        backend.open()
        backend.compress(DATA[:5000])
        backend.inject(fault)
        with pytest.raises(BackendError, match=says):
            compress_for_ever(backend)
        assert backend.counters()[counter] == 1


def compress_for_ever(backend):
    """A signal may need a moment to arrive."""
    while True:
        assert zlib.decompress(backend.compress(DATA[:5000]), -15) == DATA[:5000]


def test_an_unknown_fault_is_refused(fake):
    with (
        contextlib.closing(fake(device="fake")) as backend,
        pytest.raises(BackendError, match="known: death, stall, wrong-data"),
    ):
        backend.inject("fire")


def test_the_self_test_has_pages_of_each_kind():
    pages = [bytes(self_test_batch()[at : at + 4096]) for at in range(0, 64 * 4096, 4096)]
    assert len(self_test_batch()) == 64 * 4096
    sizes = [sum(len(zlib.compress(page, 6)) for page in pages[kind::4]) / 16 for kind in range(4)]
    zero, words, noise, runs = sizes
    assert zero < 30 < runs < 400 < words < 2500
    assert noise > 4096


# ---------------------------------------------------------------- with PoCL


@pytest.fixture(scope="module")
def pocl():
    """Options for PoCL; its worker is kept running. Skips where there is none, saying what is missing."""
    options = {"device": "opencl:portable"}
    keeper = OpenclBackend(**options)
    try:
        keeper.open()
    except BackendError as exc:
        keeper.close()
        pytest.skip(str(exc))
    yield options
    keeper.close()


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
    backend = OpenclBackend(slots=1)
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
def test_losing_the_device_costs_a_moment_and_it_comes_back(pocl, how):
    options = {**pocl, "slots": 2 if how == signal.SIGKILL else 3, "timeout_ms": 150, "verify_every": 7}
    backends = [OpenclBackend(**options) for _ in range(3)]
    for backend in backends:
        backend.open()
    (worker,) = workers(backends[0])
    faults, slowest_s, came_back = [], [], threading.Event()

    def work(backend, seed):
        data = sample("text", 1 << 20, seed)
        lost, deadline_s = False, time.monotonic() + 30
        while time.monotonic() < deadline_s:
            began_s = time.monotonic()
            try:
                right = zlib.decompress(backend.compress(data), -15) == data
            except BackendError:
                lost, right = True, True
                slowest_s.append(time.monotonic() - began_s)
                time.sleep(0.01)
            else:
                if lost:
                    came_back.set()
                    return
            if not right:
                faults.append("wrong bytes")
                return

    threads = [threading.Thread(target=work, args=pair) for pair in zip(backends, range(3), strict=True)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(worker.pid, how)
    for thread in threads:
        thread.join(60)
    print(f"{signal.Signals(how).name}: the slowest call that failed took {max(slowest_s) * 1000:.0f} ms")
    assert not faults
    assert came_back.is_set()
    assert max(slowest_s) < PROMPT_S
    total = {name: sum(backend.counters()[f"offload_{name}"] for backend in backends) for name in NAMES}
    assert total["refused"] > 0
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


# ---------------------------------------------------------------- with PoCL and a program that fails when told to


@pytest.fixture(scope="module")
def planted(pocl, tmp_path_factory):
    """Options for a faulty program, saved with a right manifest, as a broken bitstream would be."""
    out = tmp_path_factory.mktemp("planted") / "faulty.bin"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "planted_opencl", str(out), pocl["device"]]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
    return {**pocl, "binary": str(out), "block": planted_opencl.BLOCK_BYTES, "style": "wi"}


@pytest.fixture
def faulty(planted, tmp_path):
    """A backend on it, under a path of its own, as quarantine lasts as long as this process."""
    binary = tmp_path / "faulty.bin"
    for end in ("", ".json"):
        os.link(planted["binary"] + end, f"{binary}{end}")
    backend = OpenclBackend(**planted | {"binary": str(binary)}, verify_every=1, slots=1)
    backend.open()
    yield backend
    backend.close()


def fails(backend, data):
    began_s = time.monotonic()
    with pytest.raises(BackendError) as caught:
        backend.compress(data)
    assert time.monotonic() - began_s < PROMPT_S
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("poison", "block 0 of 256 was not written by the device"),
        ("error", "block 0 of 256 was given up by the device"),
        ("too-long", "block 0 of 256 has a fragment of 4161 bytes"),
    ],
)
def test_what_a_block_cannot_be_fails_the_batch_and_three_open_the_breaker(faulty, fault, says):
    for _ in range(3):
        assert says in fails(faulty, planted_opencl.fault(fault))
    assert "tried again in" in fails(faulty, DATA)
    counted = faulty.counters()
    assert (counted["offload_errors"], counted["offload_refused"]) == (3, 1)
    comes_back(faulty)


@pytest.mark.parametrize("fault", ["too-short", "wrong", "nothing"])
def test_wrong_bytes_of_a_program_are_found_and_quarantine_it(faulty, fault):
    assert zlib.decompress(faulty.compress(DATA), -15) == DATA
    assert "the device compressed a batch of 1048576 bytes to" in fails(faulty, planted_opencl.fault(fault))
    assert "not used again by this process" in fails(faulty, DATA)
    assert faulty.counters()["offload_mismatches"] == 1


def test_a_kernel_that_never_ends_is_given_up(faulty):
    assert "no answer for a batch of 1048576 bytes within" in fails(faulty, planted_opencl.fault("endless"))
    assert faulty.counters()["offload_timeouts"] == 1
    comes_back(faulty)


def test_a_kernel_that_crashes_its_driver_costs_one_batch(faulty):
    assert "the OpenCL driver ended its process" in fails(faulty, planted_opencl.fault("crash"))
    comes_back(faulty)
    assert faulty.counters()["offload_deaths"] == 1


def comes_back(backend, within_s=20.0):
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with contextlib.suppress(BackendError):
            assert zlib.decompress(backend.compress(DATA), -15) == DATA
            return
        time.sleep(0.01)
    raise AssertionError(f"not back after {within_s} s: {fails(backend, DATA)}")
