"""The backend as a sender uses it: its options and its errors, with a device made for tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zlib
from functools import partial

import fake_opencl
import pytest
from offload_rig import AMPLE_S, compressed, until

from backends.api import MAX_BATCH_BYTES, BackendError, BackendUnavailable
from backends.conformance.samples import sample
from backends.opencl import OpenclBackend
from backends.opencl import backend as module
from backends.restore import self_test_batch

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
    return partial(OpenclBackend, timeout_ms=int(AMPLE_S * 1000))


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
    with pytest.raises(
        BackendError, match=r"backend 'opencl': no card in slot 7; plug one in; (tried|being tried) again"
    ):
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
    assert zlib.decompress(until(lambda: compressed(backends[1], DATA)), -15) == DATA
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
    limit_ms = 300 if fault == "stall" else int(AMPLE_S * 1000)
    with contextlib.closing(fake(device="fake", verify_every=1, timeout_ms=limit_ms)) as backend:
        backend.open()
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
