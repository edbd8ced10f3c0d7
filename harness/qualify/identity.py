"""What exactly is being qualified: asked of the backend itself, its device open."""

from __future__ import annotations

from backends.api import BackendUnavailable
from harness.qualify.check import Bench, Check, Found, NotApplicable

CLASSES = ("software", "accelerator", "stand-in")
"""A codec on the host's CPU; a device; a device's whole path with a CPU in place of the device."""


def _identify(bench: Bench) -> Found:
    try:
        version = bench.cls.probe()
        with bench.opened() as instance:
            told = {str(key): str(value) for key, value in instance.identity().items()}
    except BackendUnavailable as exc:
        raise NotApplicable(str(exc)) from exc
    device_class = "stand-in" if told.get("type") == "CPU" else "accelerator"
    backend_class = "software" if bench.info.device == "cpu" else device_class
    data = {"version": version, "device": bench.info.device, "told": told, "class": backend_class}
    return Found("it told", data=data)


IDENTITY = Check("identity", "it says who it is", "a certificate names what it certifies", _identify, 90.0)
"""Not of the catalogue: the others need what it finds. Its ``data``: version, device, what the backend says of itself, and the
class that this makes it."""
