"""Runs the DEFLATE kernels in this process, as the contract says, and shows all that they wrote."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pyopencl as cl

from backends.opencl import contract
from backends.opencl.contract import Geometry

CANARY = 0xC5


class Kernels:
    """A program of one style and block on one device."""

    def __init__(self, device: cl.Device, block_bytes: int, style: str, *, cpu_builtins: bool = False) -> None:
        self.geometry = Geometry(block_bytes)
        self._context = cl.Context([device])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = contract.build_options(block_bytes, style, cpu_builtins=cpu_builtins)
            program = cl.Program(self._context, contract.source()).build(options)
        self._deflate, self._gather, self._info = (cl.Kernel(program, name) for name in contract.KERNELS)
        self._queue = cl.CommandQueue(self._context)
        words = np.zeros(8, np.uint32)
        self._launch(self._info, ((1,), (1,)) if style != "wg" else ((64,), (64,)), words)
        self.info = [int(word) for word in words]
        self._style, self._width, self._scratch_bytes = style, self.info[5], max(64, self.info[6])

    def _launch(self, kernel, shape, *arguments) -> None:
        """Arrays go in and come back whole."""
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        buffers = [cl.Buffer(self._context, flags, hostbuf=a) if isinstance(a, np.ndarray) else a for a in arguments]
        kernel.set_args(*buffers)
        cl.enqueue_nd_range_kernel(self._queue, kernel, *shape)
        for array, buffer in zip(arguments, buffers, strict=True):
            if isinstance(array, np.ndarray):
                cl.enqueue_copy(self._queue, array, buffer)
        self._queue.finish()

    def _shape(self, blocks: int):
        return {
            "wi": ((blocks,), (1,)),
            "wg": ((blocks * self._width,), (self._width,)),
            "task": ((1,), (1,)),
        }[self._style]

    def deflate(self, data: bytes, behind: int = 0) -> tuple[list[bytes], list[int]]:
        """Each block's fragment, and its status. ``behind`` fills the memory that follows the batch."""
        geometry, blocks = self.geometry, self.geometry.blocks(len(data))
        stride = geometry.slot_stride_bytes
        given = np.full(len(data) + 4096, behind, np.uint8)
        given[: len(data)] = np.frombuffer(data, np.uint8)
        slots = np.full(blocks * stride + 64, CANARY, np.uint8)
        results = np.full((blocks + 1, 2), 0xFFFFFFFF, np.uint32)
        scratch = np.zeros(blocks * self._scratch_bytes, np.uint8)
        self._launch(
            self._deflate, self._shape(blocks), given, slots, results, np.uint32(len(data)), np.uint32(stride), scratch
        )
        assert (results[blocks] == 0xFFFFFFFF).all(), "more results than blocks"
        assert (slots[blocks * stride :] == CANARY).all(), "written behind the last slot"
        assert (results[:blocks, 1] >> 24 == 0xD5).all(), "a result without its tag"
        lengths = results[:blocks, 0]
        for block, length in enumerate(lengths):
            beyond = slots[block * stride + int(length) + 8 : (block + 1) * stride]
            assert (beyond == CANARY).all(), f"block {block} wrote more than 8 bytes beyond its {length}"
        fragments = [slots[b * stride : b * stride + int(length)].tobytes() for b, length in enumerate(lengths)]
        self._last = (slots[: blocks * stride], results[:blocks])
        return fragments, [int(word) & 0xFF for word in results[:blocks, 1]]

    def prepared(self, data: bytes) -> tuple[Callable[[], None], int]:
        """A launch over ``data``, which is on the device from now on, and the joined stream's bytes."""
        fragments, _ = self.deflate(data)
        blocks, flags = len(fragments), cl.mem_flags
        buffers = [
            cl.Buffer(self._context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=np.frombuffer(data, np.uint8)),
            cl.Buffer(self._context, flags.READ_WRITE, self.geometry.slots_bytes(len(data))),
            cl.Buffer(self._context, flags.READ_WRITE, 8 * blocks),
            np.uint32(len(data)),
            np.uint32(self.geometry.slot_stride_bytes),
            cl.Buffer(self._context, flags.READ_WRITE, blocks * self._scratch_bytes),
        ]

        def launch() -> None:
            self._deflate.set_args(*buffers)
            cl.enqueue_nd_range_kernel(self._queue, self._deflate, *self._shape(blocks))
            self._queue.finish()

        return launch, sum(map(len, fragments)) + len(contract.LAST)

    def gather(self, offsets: list[int], joined_bytes: int) -> bytes:
        """The last batch's fragments at these places; elsewhere the canary."""
        slots, results = self._last
        joined = np.full(joined_bytes, CANARY, np.uint8)
        self._launch(
            self._gather,
            self._shape(len(offsets)),
            slots.copy(),
            results.copy(),
            np.array(offsets, np.uint32),
            joined,
            np.uint32(len(offsets)),
            np.uint32(self.geometry.slot_stride_bytes),
        )
        return joined.tobytes()
