"""Whether OpenCL works on this machine, asked in a child process, which a driver may take along."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from typing import Any

from backends.opencl import host
from backends.opencl.child import call_in_child
from backends.opencl.devices import DeviceConfig, DeviceRow, list_devices
from backends.opencl.errors import OpenclError, one_line


def probe_in_child(config: DeviceConfig | None = None, timeout_s: float = 60.0) -> list[DeviceRow]:
    """The devices of this machine, asked in a child process. With ``config``, the one that it means (``chosen``) has also
    compressed a few blocks, and zlib restored them.

    :raises OpenclMissing: no device, or none that fits; or a piece that its driver needs.
    :raises OpenclError: the driver failed, died or did not answer within ``timeout_s``.
    """
    arguments = None if config is None else asdict(config)
    rows = call_in_child("backends.opencl.probe:_probe", arguments, timeout_s)
    if not isinstance(rows, list):
        raise OpenclError(f"OpenCL's probe answered {one_line(rows)}")
    return [DeviceRow(**row) for row in rows]


def _probe(arguments: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The child's part of ``probe_in_child``."""
    rows = [row for row, _ in list_devices()]
    if arguments is not None:
        with contextlib.closing(host.open_device(DeviceConfig(**arguments))) as device:
            host.self_test(device)
            rows = [replace(row, chosen=row.selector == device.row.selector) for row in rows]
    return [asdict(row) for row in rows]
