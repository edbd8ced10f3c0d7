"""One queue of a device, with its own kernels and buffers: a batch in shared memory becomes one raw DEFLATE stream there.

A launch compresses blocks into slots of a fixed stride, the host checks what the device says of each, and a second launch
gathers the fragments. Nothing that the device wrote is believed before it was checked.

Gathering took 106 us for 1 MiB in 16 blocks, 115 us in 256, and 177 us for 4 MiB in 1024; joining slices in Python took 23,
52 and 185 us (PoCL 3.1, 2-core AMD EPYC, 2026-11-24, n=60). The device's way keeps the interpreter free, a second slot's
kernel runs meanwhile, and a card returns no more than what was compressed; so it is the only way.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from backends.opencl import contract
from backends.opencl.errors import OpenclError, one_line
from backends.opencl.launch import FINAL_BLOCK, Launch, SlotLayout
from backends.opencl.memory import Bytes, Copied, Mapped, Shared

if TYPE_CHECKING:
    from backends.opencl.program import Program

_RESULT_BYTES = 8
_OFFSET_BYTES = 4
_POISON = 0xFF
_UNWRITTEN = 0xFFFFFFFF
_QUEUED_START_END = (cl.profiling_info.QUEUED, cl.profiling_info.START, cl.profiling_info.END)
_FINAL_BLOCK = np.frombuffer(FINAL_BLOCK, np.uint8)


class Slot:
    """Used by one thread at a time, closed by whoever made it. ``memory`` must stay until then."""

    def __init__(
        self,
        context: cl.Context,
        program: Program,
        memory: mmap.mmap | memoryview,
        layout: SlotLayout,
        *,
        in_place: bool,
    ) -> None:
        """:raises ValueError: ``memory`` is too small or not page-aligned."""
        whole = np.frombuffer(memory, np.uint8)
        if len(whole) < layout.memory_bytes or whole.ctypes.data % mmap.PAGESIZE:
            raise ValueError(f"a slot needs {layout.memory_bytes} bytes from a page's begin on, not {len(whole)}")
        self._layout = layout
        self._program = program
        self._queue = cl.CommandQueue(context, properties=cl.command_queue_properties.PROFILING_ENABLE)
        blocks = program.geometry.blocks(layout.input_bytes)
        kind: Callable[..., Shared] = Mapped if in_place else Copied
        output = whole[layout.output_offset : layout.memory_bytes]
        self._input = kind(self._queue, whole[: max(layout.input_bytes, 1)], read_only=True)
        self._output = kind(self._queue, output)
        self._results = kind(self._queue, _page_aligned(blocks * _RESULT_BYTES))
        self._offsets = kind(self._queue, _page_aligned(blocks * _OFFSET_BYTES), read_only=True)
        self._slots = _private(context, blocks * program.geometry.slot_stride_bytes)
        self._scratch = _private(context, blocks * program.scratch_bytes_per_block)
        self._shared: tuple[Shared, ...] = (self._input, self._output, self._results, self._offsets)
        self._set_kernels()
        self._queue.finish()

    def _set_kernels(self) -> None:
        """Arguments that stay are set once; a launch sets its sizes alone."""
        self._deflate = cl.Kernel(self._program.built, "deflate_blocks")
        self._deflate.set_args(
            self._input.buffer, self._slots, self._results.buffer,
            np.uint32(0), np.uint32(self._program.geometry.slot_stride_bytes), self._scratch,
        )  # fmt: skip
        self._gather = cl.Kernel(self._program.built, "gather_blocks")
        self._gather.set_args(
            self._slots, self._results.buffer, self._offsets.buffer, self._output.buffer,
            np.uint32(0), np.uint32(self._program.geometry.slot_stride_bytes),
        )  # fmt: skip

    def compress(self, raw_bytes: int) -> Launch:
        """``memory[:raw_bytes]`` as one raw DEFLATE stream at the layout's output offset.

        :raises OpenclError: the device failed, or said of a block what cannot be. The slot can be used again.
        """
        if not 0 <= raw_bytes <= self._layout.input_bytes:
            raise OpenclError(f"cannot compress {raw_bytes} bytes in a slot for 0..{self._layout.input_bytes}")
        if not raw_bytes:
            return self._finished(0, np.empty(0, np.uint32), _Timing())
        timing = _Timing()
        try:
            results = self._compress_blocks(raw_bytes, timing)
            joined_bytes = self._join(results[:, 0], timing)
            return self._finished(joined_bytes, results[:, 1], timing)
        except cl.Error as exc:
            raise OpenclError(f"{self._program}: a batch of {raw_bytes} bytes failed: {one_line(exc)}") from exc
        finally:
            self._reclaim()

    def _compress_blocks(self, raw_bytes: int, timing: _Timing) -> npt.NDArray[np.uint32]:
        """Each block into its slot. What the device says of them, checked: [n] of (length, tagged status)."""
        blocks = self._program.geometry.blocks(raw_bytes)
        results_bytes = blocks * _RESULT_BYTES
        self._results.host[:results_bytes] = _POISON
        timing.to_device(self._input.give(raw_bytes))
        timing.to_device(self._results.give(results_bytes))
        self._deflate.set_arg(3, np.uint32(raw_bytes))
        timing.kernel(cl.enqueue_nd_range_kernel(self._queue, self._deflate, *self._program.shape(blocks)))
        timing.to_host(self._results.take(results_bytes))
        timing.to_host(self._input.reclaim())
        self._queue.finish()
        results = self._results.host[:results_bytes].view(np.uint32).reshape(blocks, 2).copy()
        _check(results, raw_bytes, self._program)
        return results

    def _join(self, lengths: npt.NDArray[np.uint32], timing: _Timing) -> int:
        """All fragments one behind the other into the output; their total length."""
        blocks = len(lengths)
        ends = np.cumsum(lengths, dtype=np.uint32)
        joined_bytes = int(ends[-1])
        self._offsets.host[: blocks * _OFFSET_BYTES].view(np.uint32)[:] = ends - lengths
        timing.to_device(self._offsets.give(blocks * _OFFSET_BYTES))
        self._results.give(0)
        self._output.give(0)
        self._gather.set_arg(4, np.uint32(blocks))
        timing.kernel(cl.enqueue_nd_range_kernel(self._queue, self._gather, *self._program.shape(blocks)))
        timing.to_host(self._output.take(joined_bytes + len(FINAL_BLOCK)))
        timing.to_host(self._offsets.reclaim())
        timing.to_host(self._results.reclaim())
        self._queue.finish()
        return joined_bytes

    def _finished(self, joined_bytes: int, statuses: npt.NDArray[np.uint32], timing: _Timing) -> Launch:
        end = joined_bytes + len(FINAL_BLOCK)
        self._output.host[joined_bytes:end] = _FINAL_BLOCK
        zero_blocks = int(np.count_nonzero(statuses == contract.TAG | contract.ZERO))
        stored_blocks = int(np.count_nonzero(statuses == contract.TAG | contract.STORED))
        return Launch(end, len(statuses), zero_blocks, stored_blocks, *timing.seconds())

    def _reclaim(self) -> None:
        """After a failure the host must have all of it again. A device that cannot even do that fails the next launch."""
        with contextlib.suppress(cl.Error):
            for shared in self._shared:
                shared.reclaim()
            self._queue.finish()

    def close(self) -> None:
        """Give back the device's memory, and let go of the shared memory. Once closed it is of no use."""
        shared, self._shared = self._shared, ()
        with contextlib.suppress(cl.Error):
            for region in shared:
                region.give(0)
            self._queue.finish()
        for region in shared:
            region.release()


class _Timing:
    """The events of one in-order queue, in their order, and what each was for."""

    def __init__(self) -> None:
        self._events: list[tuple[cl.Event, int]] = []

    def to_device(self, event: cl.Event | None) -> None:
        if event is not None:
            self._events.append((event, 0))

    def kernel(self, event: cl.Event) -> None:
        self._events.append((event, 1))

    def to_host(self, event: cl.Event | None) -> None:
        if event is not None:
            self._events.append((event, 2))

    def seconds(self) -> tuple[float, float, float, float]:
        """To the device, in kernels, to the host; and waiting: queued, with nothing of this queue before it."""
        sums_ns, waited_ns, before_ns = [0, 0, 0], 0, 0
        for event, purpose in self._events:
            queued_ns, start_ns, end_ns = (cast("int", event.get_profiling_info(what)) for what in _QUEUED_START_END)
            sums_ns[purpose] += end_ns - start_ns
            waited_ns += max(0, start_ns - max(queued_ns, before_ns))
            before_ns = end_ns
        to_device_s, kernel_s, to_host_s = (ns * 1e-9 for ns in sums_ns)
        return to_device_s, kernel_s, to_host_s, waited_ns * 1e-9


def _check(results: npt.NDArray[np.uint32], raw_bytes: int, program: Program) -> None:
    """:raises OpenclError: the device did not answer for a block, gave it up, or claims a length that cannot be."""
    lengths, statuses = results[:, 0], results[:, 1]
    longest_bytes = program.geometry.longest_fragment_bytes
    # Unsigned: a length of 0 becomes the largest of all, as does a status below the tag.
    bad = (statuses - np.uint32(contract.TAG) > contract.ZERO) | (lengths - np.uint32(1) >= np.uint32(longest_bytes))
    if bad.any():
        block = int(bad.argmax())
        problem = _problem(int(lengths[block]), int(statuses[block]), longest_bytes)
        raise OpenclError(f"{program}: block {block} of {len(results)} {problem} ({np.count_nonzero(bad)} such)")
    joined_bytes = int(lengths.sum()) + len(FINAL_BLOCK)
    if joined_bytes > (bound_bytes := program.geometry.joined_bound_bytes(raw_bytes)):
        claim = f"fragments of {joined_bytes} bytes in all for a batch of {raw_bytes}"
        raise OpenclError(f"{program}: {claim}, possible are {bound_bytes}")


def _problem(length_bytes: int, status: int, longest_bytes: int) -> str:
    if length_bytes == status == _UNWRITTEN:
        return "was not written by the device"
    if status == contract.TAG | contract.ERROR:
        return "was given up by the device"
    if status - contract.TAG not in range(contract.ZERO + 1):
        return f"has status {status:#010x}"
    return f"has a fragment of {length_bytes} bytes, possible are 1..{longest_bytes}"


def _page_aligned(length_bytes: int) -> Bytes:
    return np.frombuffer(mmap.mmap(-1, max(length_bytes, 1)), np.uint8)


def _private(context: cl.Context, length_bytes: int) -> cl.Buffer:
    """Memory that the host never sees."""
    flags = cl.mem_flags
    return cl.Buffer(context, flags.READ_WRITE | flags.HOST_NO_ACCESS, size=max(length_bytes, 1))
