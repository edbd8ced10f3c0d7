"""What exactly is being qualified: asked of the backend itself, its device open."""

from __future__ import annotations

from typing import Any

from harness.qualify.check import Bench

__all__ = ["CLASSES", "identify"]

CLASSES = ("software", "accelerator", "stand-in")
"""A codec on the host's CPU; a device; a device's whole path with a CPU in place of the device."""


def identify(bench: Bench) -> dict[str, Any]:
    """Version, device, what it says of itself, and the class that this makes it.

    :raises BackendUnavailable: it cannot work here. :raises BackendError: its device fails.
    """
    version = bench.cls.probe()
    with bench.opened() as instance:
        told = {str(key): str(value) for key, value in instance.identity().items()}
    device_class = "stand-in" if told.get("type") == "CPU" else "accelerator"
    backend_class = "software" if bench.info.device == "cpu" else device_class
    return {"version": version, "device": bench.info.device, "told": told, "class": backend_class}
