"""Opens an OpenCL device with its program, and makes slots on it that compress batches.

For the worker process: a driver that fails may take its process along. Importing this module loads no driver.
"""

from __future__ import annotations

import mmap
import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.opencl import contract
from backends.opencl.devices import DeviceConfig, DeviceRow, choose, list_devices
from backends.opencl.errors import OpenclError, one_line
from backends.opencl.launch import SlotLayout
from backends.opencl.manifest import Manifest, check_config, check_device, read_binary

if TYPE_CHECKING:
    import pyopencl

    from backends.opencl.program import Program
    from backends.opencl.slot import Slot

STYLE_OF_TYPE = {"CPU": "wi", "GPU": "wg", "ACCELERATOR": "task", "CUSTOM": "task"}
"""How each type of device likes its work: a thread per block, a group of threads per block, one pipeline over all."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is needed to know again with what a result was made. ``driver`` and ``version`` are the device's own words."""

    platform: str
    device: str
    type: str
    driver: str
    version: str
    style: str
    block_bytes: int
    unified_memory: bool
    binary_sha256: str | None


class Device:
    """A device with its program built and warm. Slots may be used by a thread each; opening and closing is one thread's."""

    def __init__(
        self, context: pyopencl.Context, row: DeviceRow, program: Program, sha256: str | None, *, in_place: bool
    ) -> None:
        self._context = context
        self._program = program
        self._in_place = in_place
        self._slots: list[Slot] = []
        self.row = row
        self.identity = Identity(
            row.platform, row.name, row.type, row.driver, row.version, program.style, program.geometry.block_bytes,
            row.unified_memory, sha256,
        )  # fmt: skip

    def slot(self, memory: mmap.mmap | memoryview, layout: SlotLayout) -> Slot:
        """A slot over ``memory``, which stays until ``close``.

        :raises ValueError: ``memory`` is not writable, too small, or not on a page. :raises OpenclError: the device refuses.
        """
        import pyopencl as cl  # noqa: PLC0415 - loads the drivers

        from backends.opencl.slot import Slot  # noqa: PLC0415

        try:
            slot = Slot(self._context, self._program, memory, layout, in_place=self._in_place)
        except cl.Error as exc:
            raise OpenclError(
                f"{self.row}: no slot for batches of {layout.input_bytes} bytes: {one_line(exc)}"
            ) from exc
        self._slots.append(slot)
        return slot

    def program_binary(self) -> bytes:
        """The program as its driver saves it. After a first launch, PoCL's holds linked code."""
        return self._program.binary()

    def close(self) -> None:
        """Close all slots. No launch may be under way."""
        while self._slots:
            self._slots.pop().close()


def open_device(config: DeviceConfig, *, source: str | None = None, in_place: bool | None = None) -> Device:
    """The device that ``config`` means, with its program built or loaded, and warm: a first launch has been made.

    ``source`` stands in for the kernels of this package. ``in_place`` overrules what the device says of its memory.
    :raises OpenclMissing: no OpenCL, or no such device. :raises OpenclError: its driver refuses the program, or it fails.
    """
    saved = None if config.binary is None else read_binary(config.binary)
    if saved is not None:
        check_config(saved[0], config)
    found = list_devices()
    row = choose([row for row, _ in found], config, built_for=saved and (saved[0].platform, saved[0].device))
    if saved is not None:
        check_device(saved[0], row, str(config.binary))
    context = _context(row, next(handle for other, handle in found if other is row))
    program = _program(context, row, config, source, saved)
    shared = row.unified_memory if in_place is None else in_place
    device = Device(context, row, program, saved[0].sha256 if saved else None, in_place=shared)
    # PoCL compiles a kernel's code at its first launch.
    _compressed(device, bytes(config.block_bytes))
    return device


def _context(row: DeviceRow, handle: pyopencl.Device) -> pyopencl.Context:
    import pyopencl as cl  # noqa: PLC0415

    try:
        return cl.Context([handle])
    except cl.Error as exc:
        raise OpenclError(f"{row}: cannot be opened: {one_line(exc)}; does another process use it?") from exc


def _program(
    context: pyopencl.Context,
    row: DeviceRow,
    config: DeviceConfig,
    source: str | None,
    saved: tuple[Manifest, bytes] | None,
) -> Program:
    from backends.opencl import program  # noqa: PLC0415

    if saved is not None:
        manifest, binary = saved
        return program.load(
            context, row, binary, str(config.binary), block_bytes=manifest.block_bytes, style=manifest.style
        )
    style = config.style or STYLE_OF_TYPE[row.type]
    return program.build(context, row, source or contract.source(), block_bytes=config.block_bytes, style=style)


def self_test(device: Device) -> None:
    """Compress a few blocks of several kinds, and let zlib restore them. :raises OpenclError: the device fails, or is wrong."""
    block_bytes = device.identity.block_bytes
    noise = random.Random(1).randbytes(block_bytes)  # noqa: S311 - the same each time
    text = b"".join(b"page %d of the guest, " % n for n in range(block_bytes // 8))[:block_bytes]
    data = bytes(block_bytes) + text + noise + text[: block_bytes // 3] + noise[:1000]
    found = _compressed(device, data)
    try:
        right = zlib.decompress(found, -zlib.MAX_WBITS) == data
    except zlib.error as exc:
        raise OpenclError(f"{device.row}: its output in the self-test is no DEFLATE: {one_line(exc)}") from exc
    if not right:
        raise OpenclError(f"{device.row}: its output in the self-test restores to other bytes")


def _compressed(device: Device, data: bytes) -> bytes:
    """One batch through a slot of its own."""
    layout = SlotLayout.of(len(data), device.identity.block_bytes)
    memory = mmap.mmap(-1, layout.memory_bytes)
    memory[: len(data)] = data
    slot = device.slot(memory, layout)
    try:
        launch = slot.compress(len(data))
        return memory[layout.output_offset : layout.output_offset + launch.joined_bytes]
    finally:
        slot.close()
