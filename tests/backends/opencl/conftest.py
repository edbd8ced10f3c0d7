"""The OpenCL device that the tests of this folder run on: the named one, a card, or a CPU; and fake ones."""

import shutil

import pytest
from offload_rig import AMPLE_S, config

from backends.api import BackendError
from backends.opencl import OpenclBackend
from backends.opencl import offload as module
from backends.opencl.binary import save_in_child
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError
from backends.opencl.probe import probe_in_child
from backends.opencl.sharing import acquire, release


@pytest.fixture(scope="session")
def real_device():
    """Its row. It has compressed something in a child process, so that it will not abort this one."""
    try:
        return next(row for row in probe_in_child(DeviceConfig(cpu_allowed=True), 120) if row.chosen)
    except OpenclError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def bare_opencl(monkeypatch, tmp_path):
    """No drivers but PoCL's, if pyopencl brings it, with a cache that is empty."""
    vendors = tmp_path / "vendors"
    vendors.mkdir()
    monkeypatch.setenv("OCL_ICD_VENDORS", str(vendors))
    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PAGEFERRY_OPENCL_DEVICE", raising=False)


@pytest.fixture
def start(monkeypatch):
    """start(...) -> an Offload that has passed its self-test, released at the end."""
    monkeypatch.setattr(module, "_OBITUARY_S", AMPLE_S)
    opened = []

    def start_one(name=None, **settings):
        opened.append(acquire(config(name, **settings)))
        opened[-1].wait_started()
        return opened[-1]

    yield start_one
    for offload in opened:
        release(offload)


@pytest.fixture
def away(tmp_path):
    """While this file is there, a device named ``waits-while {away}`` does not come back from a fault."""
    return tmp_path / "away"


@pytest.fixture(scope="session")
def pocl():
    """Options for PoCL; its worker is kept running. Skips where there is none, saying what is missing."""
    options = {"device": "opencl:portable", "timeout_ms": int(AMPLE_S * 1000)}
    keeper = OpenclBackend(**options)
    try:
        keeper.open()
    except BackendError as exc:
        keeper.close()
        pytest.skip(str(exc))
    yield options
    keeper.close()


@pytest.fixture(scope="session")
def saved(real_device, tmp_path_factory):
    """The real kernels for blocks of 4 KiB, as a child process saved them."""
    path = tmp_path_factory.mktemp("saved") / "deflate.bin"
    save_in_child(DeviceConfig(real_device.selector, block_bytes=4096), path)
    return path


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of it to spoil."""
    path = tmp_path / "deflate.bin"
    shutil.copy(saved, path)
    shutil.copy(f"{saved}.json", f"{path}.json")
    return path


@pytest.fixture
def no_driver(monkeypatch):
    """Whoever asks a driver fails the test."""
    pyopencl = pytest.importorskip("pyopencl")

    def asked(*_, **__):
        pytest.fail("a driver was asked")

    for name in ("get_platforms", "Context", "Program"):
        monkeypatch.setattr(pyopencl, name, asked)
