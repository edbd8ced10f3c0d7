"""Which OpenCL devices there are, and which of them a configuration means.

``list_devices`` loads the drivers into this process, which may abort, crash or hang; whoever must live on asks
``probe.probe_in_child``. Nothing is loaded by import.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.library import pip_install
from backends.opencl.errors import OpenclError, OpenclMissing, one_line

if TYPE_CHECKING:
    import pyopencl

ENVIRONMENT = "PAGEFERRY_OPENCL_DEVICE"
"""Names the device, as ``DeviceConfig.device`` does, where that is None."""

POCL = "Portable Computing Language"
"""The platform name of PoCL, the portable implementation on the host's own processor."""

_INSTALL = f"{pip_install('opencl')}, which brings PoCL, or the driver of the card"
_UNKNOWN_PROCESSOR = "x86_64-unknown-linux-gnu-generic"
"""How the version of a PoCL ends that cannot compile, as its LLVM does not know the processor."""

_TYPES = ("GPU", "ACCELERATOR", "CPU", "CUSTOM")


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """What a scenario says about the device and its program. Made of JSON's types.

    ``device`` is ``opencl:PLATFORM:DEVICE`` (each an index or a part of the name, in any case; DEVICE may be left out), or
    ``gpu``, ``accelerator`` or ``cpu`` for any of that type; None leaves it to ``PAGEFERRY_OPENCL_DEVICE`` and the rule of
    ``choose``. ``binary`` is a saved program with its manifest beside it. ``style`` is "wi", "wg", "task" or None: by type.
    ``cpu_allowed``: a CPU may be chosen although none was named.
    """

    device: str | None = None
    binary: str | None = None
    block_bytes: int = 65536
    style: str | None = None
    cpu_allowed: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device. ``selector`` is its ``opencl:PLATFORM:DEVICE`` by index; ``type`` is one of OpenCL's, in capitals."""

    selector: str
    platform: str
    name: str
    type: str
    driver: str
    version: str
    compute_units: int
    global_memory_bytes: int
    local_memory_bytes: int
    unified_memory: bool
    chosen: bool = False

    def __str__(self) -> str:
        """For messages."""
        return f"{self.selector} {self.platform} / {self.name} ({self.type})"


def choose(rows: Sequence[DeviceRow], config: DeviceConfig, *, built_for: tuple[str, str] | None = None) -> DeviceRow:
    """The device that ``config`` means: the named one, else a GPU, else an accelerator, a CPU only if allowed.

    A binary goes to the device that it is ``built_for`` (platform, name), and to an accelerator before others. Of several
    that fit alike, the first.
    :raises OpenclMissing: none fits; the message names those that are here. :raises OpenclError: the name has no sense.
    """
    named = config.device or os.environ.get(ENVIRONMENT) or None
    if named is not None:
        check_name(named)
    order = _TYPES
    fitting = [row for row in rows if named is None or _fits(row, named)]
    if built_for is not None:
        order = ("ACCELERATOR", "GPU", "CPU", "CUSTOM")
        fitting = [row for row in fitting if (row.platform, row.name) == built_for]
    elif named is None:
        fitting = [
            row for row in fitting if row.type in {"GPU", "ACCELERATOR"} or (row.type == "CPU" and config.cpu_allowed)
        ]
    if fitting:
        return min(fitting, key=lambda row: (order.index(row.type), row.version.endswith(_UNKNOWN_PROCESSOR)))
    here = ", ".join(str(row) for row in rows) or "none"
    if built_for is not None:
        wanted = f"no OpenCL device {built_for[0]} / {built_for[1]}, for which {config.binary} was built"
        wanted += f", fits {named!r}" if named else ""
        raise OpenclMissing(f"{wanted} (here: {here})", "build the binary for a device that is here, or name another")
    if named is not None:
        raise OpenclMissing(
            f"no OpenCL device fits {named!r} (here: {here})", "write opencl:PLATFORM:DEVICE of one that is here"
        )
    raise OpenclMissing(
        f"no OpenCL GPU or accelerator (here: {here})", "install the card's driver, or name a device, such as cpu"
    )


def check_name(named: str) -> None:
    """:raises OpenclError: ``named`` is not of a device name's form."""
    scheme, _, rest = named.partition(":")
    if named.upper() not in _TYPES and (scheme.lower() != "opencl" or not rest.partition(":")[0]):
        form = "opencl:PLATFORM:DEVICE (each an index or a part of the name), gpu, accelerator or cpu"
        raise OpenclError(f"{named!r} names no OpenCL device; write {form}")


def _fits(row: DeviceRow, named: str) -> bool:
    if named.upper() in _TYPES:
        return row.type == named.upper()
    _, _, rest = named.partition(":")
    platform, _, device = rest.partition(":")
    _, platform_index, device_index = row.selector.split(":")
    return _means(platform, platform_index, row.platform) and (not device or _means(device, device_index, row.name))


def _means(text: str, index: str, name: str) -> bool:
    return int(text) == int(index) if text.isdecimal() else text.lower() in name.lower()


def list_devices() -> list[tuple[DeviceRow, pyopencl.Device]]:
    """Every device of every platform, in the drivers' order. :raises OpenclMissing: there is none, and why."""
    try:
        import pyopencl as cl  # noqa: PLC0415 - loads every driver of this machine
    except ImportError as exc:
        problem = "pyopencl is not installed" if isinstance(exc, ModuleNotFoundError) else one_line(exc)
        raise OpenclMissing(problem, pip_install("opencl")) from exc
    if not _can_write(_caches()):
        raise OpenclMissing(
            f"PyOpenCL keeps what it made in {_caches()}, which cannot be written",
            "set XDG_CACHE_HOME to a folder that can be written to",
        )
    try:
        platforms = cl.get_platforms()
        found = [
            (_row(device, f"opencl:{p}:{d}"), device)
            for p, platform in enumerate(platforms)
            for d, device in enumerate(platform.get_devices())
        ]
    except cl.Error as exc:
        raise OpenclMissing(f"no OpenCL platform: {one_line(exc)}", _INSTALL) from exc
    if not found:
        raise _nothing([platform.name for platform in platforms])
    return found


def _row(device: pyopencl.Device, selector: str) -> DeviceRow:
    import pyopencl as cl  # noqa: PLC0415

    types = [name for name in _TYPES if device.type & getattr(cl.device_type, name)]
    return DeviceRow(
        selector,
        device.platform.name.strip(),
        device.name.strip(),
        types[0] if types else "CUSTOM",
        device.driver_version.strip(),
        device.version.strip(),
        device.max_compute_units,
        device.global_mem_size,
        device.local_mem_size,
        bool(device.host_unified_memory),
    )


def _nothing(platforms: Sequence[str]) -> OpenclMissing:
    if POCL in platforms:
        cache = pocl_cache()
        if not _can_write(cache):
            return OpenclMissing(
                f"PoCL shows no device, as it cannot write to its cache {cache}",
                "set POCL_CACHE_DIR to a folder that can be written to",
            )
    return OpenclMissing(f"no OpenCL device (platforms: {', '.join(platforms) or 'none'})", _INSTALL)


def pocl_cache() -> Path:
    """Where PoCL keeps what it compiled."""
    if folder := os.environ.get("POCL_CACHE_DIR"):
        return Path(folder)
    return _caches() / "pocl"


def _caches() -> Path:
    """Where libraries keep what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
