"""Saves a device's program, so that it runs again without the device's compiler; and describes one that a vendor's tools made."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backends.opencl import contract
from backends.opencl.child import call_in_child
from backends.opencl.devices import DeviceConfig, choose
from backends.opencl.errors import OpenclError
from backends.opencl.host import open_device, self_test
from backends.opencl.manifest import (
    MAX_BINARY_BYTES,
    Manifest,
    check_binary,
    check_claims,
    describe,
    load_manifest,
    read_bounded,
    write_manifest,
    write_whole,
)
from backends.opencl.probe import probe_in_child

__all__ = ["Manifest", "check_binary", "describe_binary", "load_manifest", "save_binary", "save_in_child"]

BUILD_TIMEOUT_S = 600.0
"""Compilers for graphics cards take seconds; none that may run here takes hours, as those for FPGAs do."""


def save_binary(config: DeviceConfig, out: str | Path, *, source: str | None = None) -> Manifest:
    """Build for the device that ``config`` means, test it, and save the program as ``out`` with its manifest beside it.

    It is saved after it ran: PoCL's program holds linked code from then on, and needs no linker where it is loaded.
    ``source`` stands in for the kernels of this package, and is not tested.
    :raises OpenclMissing: no device. :raises OpenclError: the device fails, or a file cannot be written.
    """
    if config.binary is not None:
        raise OpenclError(f"{config.binary}: is a binary already; leave it out to build one from the source")
    with contextlib.closing(open_device(config, source=source)) as device:
        if source is None:
            self_test(device)
        program = device.program_binary()
        row, style = device.row, device.identity.style
    if not program:
        raise OpenclError(f"{row}: its driver gives no binary of a program; use it without one")
    write_whole(Path(out), program)
    made_with = f"pageferry {version('pageferry')}"
    manifest = describe(program, row, block_bytes=config.block_bytes, style=style, made_with=made_with)
    write_manifest(manifest, out)
    return check_binary(out)


def save_in_child(config: DeviceConfig, out: str | Path, timeout_s: float = BUILD_TIMEOUT_S) -> Manifest:
    """``save_binary`` in a child process. :raises OpenclError: as there, or the driver died or hangs."""
    call_in_child("backends.opencl.binary:_save", asdict(config) | {"out": str(Path(out).absolute())}, timeout_s)
    return check_binary(out)


def _save(arguments: dict[str, Any]) -> None:
    out = arguments.pop("out")
    save_binary(DeviceConfig(**arguments), out)


def describe_binary(config: DeviceConfig, kernels: Sequence[str] = contract.KERNELS) -> Manifest:
    """Write the manifest of ``config.binary``, a file that another's tools made for the device that ``config`` means.

    :raises OpenclMissing: no such device. :raises OpenclError: the file is not to be read, or would be refused when loaded.
    """
    binary, style = config.binary, config.style
    if binary is None or style is None:
        raise ValueError("a binary and its style are needed")
    program = read_bounded(Path(binary), MAX_BINARY_BYTES)
    row = choose(probe_in_child(), replace(config, binary=None, cpu_allowed=True))
    made_with = "the device's own tools"
    manifest = describe(program, row, block_bytes=config.block_bytes, style=style, kernels=kernels, made_with=made_with)
    check_claims(manifest, binary)
    write_manifest(manifest, binary)
    return manifest
