"""An ``Offload`` on the fake device, and what its tests ask of it."""

from __future__ import annotations

import contextlib
import itertools
import time
import zlib

import fake_opencl
import psutil
import pytest

from backends.api import BackendError
from backends.conformance.samples import sample
from backends.opencl.counters import COUNTERS
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError
from backends.opencl.offload import OffloadConfig

AMPLE_S = 200.0
"""The time limit of a device that answers, however busy the machine is. A test that waits for it has found a device that does not,
and sees another error than the one it is about."""

serial = itertools.count()
PAGES = memoryview(sample("text", 100_000))


def config(name=None, *, slots=2, limit_s=AMPLE_S, verify_every=64):
    # A name of its own: quarantine lasts as long as this process.
    device = DeviceConfig(device=name or f"fake {next(serial)}")
    return OffloadConfig(device, slots, limit_s, verify_every, fake_opencl.FACTORY)


def fault(text, size=50_000):
    return memoryview(f"!{text}".encode().ljust(size, b"\0"))


def counts():
    return dict.fromkeys(COUNTERS, 0)


def restored(packed):
    return zlib.decompress(packed, -15)


def fails(offload, data, counted=None):
    """The error's text."""
    with pytest.raises(OpenclError) as caught:
        offload.compress(data, counted if counted is not None else counts())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def recovers(offload, data=PAGES, counted=None):
    """Compress as a sender does, batch after batch, until the device is back."""

    def restores():
        try:
            packed = offload.compress(data, counts() if counted is None else counted)
        except OpenclError:
            return False
        assert restored(packed) == data
        return True

    until(restores)


def compressed(backend, data):
    """None: not by this device, not now."""
    with contextlib.suppress(BackendError):
        return backend.compress(data)


def until(condition, within_s=120.0):
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "it did not come true"
        time.sleep(0.01)
    return found


def worker_pids(offload):
    """By the device's name, which stands in the command line: those of this process."""
    name = f'"{offload.config.device.device}"'
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
