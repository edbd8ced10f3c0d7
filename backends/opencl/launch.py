"""What goes into a launch and what is known of it afterwards. Parent and worker both speak of it; no device is needed."""

from __future__ import annotations

import mmap
from dataclasses import dataclass

from backends.opencl.contract import LAST as FINAL_BLOCK
from backends.opencl.contract import Geometry

__all__ = ["FINAL_BLOCK", "Launch", "SlotLayout"]


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Where a slot's shared memory has its parts: input at 0, ``input_bytes`` long, output at ``output_offset``.

    Both begin on pages, as devices that work in place or by DMA want.
    """

    input_bytes: int
    output_offset: int
    output_bytes: int

    @classmethod
    def of(cls, input_bytes: int, block_bytes: int) -> SlotLayout:
        """Room for batches of up to ``input_bytes``, and for the longest stream that one can become."""
        return cls(input_bytes, _pages(input_bytes), _pages(Geometry(block_bytes).joined_bound_bytes(input_bytes)))

    @property
    def memory_bytes(self) -> int:
        """The size of the shared memory."""
        return self.output_offset + self.output_bytes


@dataclass(frozen=True, slots=True)
class Launch:
    """One batch on the device. ``joined_bytes`` counts the whole stream, final block included.

    Times are the device's own, by its events, and do not overlap: of the transfers to it and back, of its kernels, and
    of commands that waited in the queue although nothing of this slot ran before them.
    """

    joined_bytes: int
    blocks: int
    zero_blocks: int
    stored_blocks: int
    host_to_device_s: float
    kernel_s: float
    device_to_host_s: float
    queue_s: float


def _pages(length_bytes: int) -> int:
    return -(-max(length_bytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
