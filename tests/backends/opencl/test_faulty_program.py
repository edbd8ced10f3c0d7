"""A program on a real device (PoCL) that fails when told to: each failure is told, none is used."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

import planted_opencl
import pytest
from offload_rig import compressed, until

from backends.api import BackendError
from backends.conformance.samples import sample
from backends.opencl import OpenclBackend

DATA = sample("text", 1 << 20)


@pytest.fixture(scope="module")
def planted(pocl, tmp_path_factory):
    """Options for a faulty program, saved with a right manifest, as a broken bitstream would be."""
    out = tmp_path_factory.mktemp("planted") / "faulty.bin"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "planted_opencl", str(out), pocl["device"]]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
    return {**pocl, "binary": str(out), "block": planted_opencl.BLOCK_BYTES, "style": "wi"}


@pytest.fixture
def faulty(planted, tmp_path, request):
    """A backend on it, under a path of its own, as quarantine lasts as long as this process."""
    limit_ms = getattr(request, "param", planted["timeout_ms"])
    binary = tmp_path / "faulty.bin"
    for end in ("", ".json"):
        os.link(planted["binary"] + end, f"{binary}{end}")
    backend = OpenclBackend(**planted | {"binary": str(binary), "timeout_ms": limit_ms}, verify_every=1, slots=1)
    backend.open()
    yield backend
    backend.close()


def fails(backend, data):
    with pytest.raises(BackendError) as caught:
        backend.compress(data)
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


@pytest.mark.parametrize("faulty", [1000], indirect=True)
def test_a_kernel_that_never_ends_is_given_up(faulty):
    assert "no answer for a batch of 1048576 bytes within" in fails(faulty, planted_opencl.fault("endless"))
    assert faulty.counters()["offload_timeouts"] == 1
    comes_back(faulty)


def test_a_kernel_that_crashes_its_driver_costs_one_batch(faulty):
    assert "the OpenCL driver ended its process" in fails(faulty, planted_opencl.fault("crash"))
    comes_back(faulty)
    assert faulty.counters()["offload_deaths"] == 1


def comes_back(backend):
    assert zlib.decompress(until(lambda: compressed(backend, DATA)), -15) == DATA
