"""A program on a device: built from the source, or loaded from a saved binary; and what it says of itself.

The device's own answer (the kernel ``deflate_info``) decides sizes and launch shapes, so that a vendor's program with the same
kernels runs as ours does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyopencl as cl

from backends.opencl import contract
from backends.opencl.contract import Geometry
from backends.opencl.devices import POCL, DeviceRow
from backends.opencl.errors import OpenclError, OpenclMissing, one_line

_INFO_WORDS = 8
_LARGEST_SCRATCH_BYTES = 1 << 20
_LARGEST_WORK_GROUP = 1 << 16


@dataclass(frozen=True, slots=True)
class Program:
    """``built`` is pyopencl's. The rest is from ``deflate_info``, and within bounds."""

    built: cl.Program
    name: str
    geometry: Geometry
    style: str
    work_group: int
    scratch_bytes_per_block: int

    def shape(self, blocks: int) -> tuple[tuple[int], tuple[int]]:
        """Global and local size of a launch over ``blocks``."""
        match self.style:
            case "wi":
                return (blocks,), (1,)
            case "wg":
                return (blocks * self.work_group,), (self.work_group,)
            case _:
                return (1,), (1,)

    def binary(self) -> bytes:
        """As the driver saves it."""
        binaries = cast("list[bytes]", self.built.get_info(cl.program_info.BINARIES))
        return bytes(binaries[0])

    def __str__(self) -> str:
        """For messages: the device, and the binary if there is one."""
        return self.name


def build(context: cl.Context, row: DeviceRow, source: str, *, block_bytes: int, style: str) -> Program:
    """From ``source``. :raises OpenclError: the driver's compiler refuses it, or it is not what was asked for."""
    clang_for_cpu = row.type == "CPU" and (row.platform == POCL or "Intel" in row.platform)
    options = contract.build_options(block_bytes, style, cpu_builtins=clang_for_cpu)
    with warnings.catch_warnings():
        # Compilers chatter beside success. And pyopencl warns that asking before building defeats its own cache, which is
        # what we want: it would hand a damaged file to the driver.
        warnings.simplefilter("ignore")
        program = cl.Program(context, source)
        try:
            program.get_info(cl.program_info.NUM_DEVICES)
            program.build(options)
        except cl.Error as exc:
            raise _refusal(row, str(exc)) from exc
    return _described(context, program, str(row), block_bytes, style)


def _refusal(row: DeviceRow, words: str) -> OpenclError:
    if "unknown target CPU" in words:
        # PoCL 3.0, the newest that PyPI has, is of 2022, and knows no processor that is younger (AMD's Zen 5, for one).
        missing = f"{row}: PoCL {row.driver} cannot compile for this processor, which its LLVM does not know"
        return OpenclMissing(missing, "apt install pocl-opencl-icd, or another newer PoCL")
    return OpenclError(f"{row}: its compiler refuses the kernels: {one_line(words)}")


def load(context: cl.Context, row: DeviceRow, binary: bytes, path: str, *, block_bytes: int, style: str) -> Program:
    """From a saved program that was checked. :raises OpenclError: the driver refuses it, or it is not what its manifest says."""
    name = f"{row}, {path}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = cl.Program(context, context.devices, [binary])
            # Without options, which a binary must not have (Intel 683846, section 6.6.4): pyopencl's build adds some.
            program._get_prg().build(b"", context.devices)
        except cl.Error as exc:
            raise OpenclError(f"{name}: the driver refuses this binary: {one_line(exc)}") from exc
    return _described(context, program, name, block_bytes, style)


def _described(context: cl.Context, program: cl.Program, name: str, block_bytes: int, style: str) -> Program:
    """:raises OpenclError: it lacks a kernel, does not speak our ABI, or has other blocks or another style."""
    magic, abi, block, stride, style_number, work_group, scratch, _ = _info(context, program, name)
    if (magic, abi) != (contract.MAGIC, contract.ABI):
        raise OpenclError(
            f"{name}: deflate_info gives {magic:#x}, ABI {abi}; needed is {contract.MAGIC:#x}, ABI {contract.ABI}"
        )
    if (block, style_number) != (block_bytes, contract.STYLES.index(style)):
        asked = f"{block_bytes} and {contract.STYLES.index(style)} ({style})"
        raise OpenclError(f"{name}: has blocks of {block} bytes and style {style_number}, asked for are {asked}")
    geometry = Geometry(block_bytes)
    sane = stride == geometry.slot_stride_bytes and 1 <= work_group <= _LARGEST_WORK_GROUP
    if not sane or scratch > _LARGEST_SCRATCH_BYTES:
        raise OpenclError(
            f"{name}: deflate_info gives a stride of {stride}, work-groups of {work_group} and {scratch} bytes of scratch; "
            f"needed are {geometry.slot_stride_bytes}, 1..{_LARGEST_WORK_GROUP} and up to {_LARGEST_SCRATCH_BYTES}"
        )
    return Program(program, name, geometry, style, work_group, max(scratch, 64))


def _info(context: cl.Context, program: cl.Program, name: str) -> list[int]:
    for kernel in contract.KERNELS:
        try:
            cl.Kernel(program, kernel)
        except cl.Error as exc:
            raise OpenclError(f"{name}: lacks the kernel {kernel} ({one_line(exc)})") from exc
    info = np.zeros(_INFO_WORDS, np.uint32)
    try:
        queue = cl.CommandQueue(context)
        buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=info)
        tell = cl.Kernel(program, "deflate_info")
        tell.set_args(buffer)
        cl.enqueue_nd_range_kernel(queue, tell, (1,), (1,))
        cl.enqueue_copy(queue, info, buffer)
    except cl.Error as exc:
        raise OpenclError(f"{name}: deflate_info failed: {one_line(exc)}") from exc
    return [int(word) for word in info]
