"""The OpenCL device that the tests of this folder run on: the named one, a card, or a CPU."""

import pytest

from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError
from backends.opencl.probe import probe_in_child


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
