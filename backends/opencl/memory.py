"""Buffers that the host and a device use in turns. Between launches the host has them.

A device that shares the host's memory works in place: handing over is unmapping, taking back is mapping. One with memory of
its own gets and returns exactly the bytes that are needed, by copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pyopencl as cl

Bytes = npt.NDArray[np.uint8]


class Shared(Protocol):
    """``host`` is page-aligned. Each call enqueues, and returns the event of a transfer, or None where there is none."""

    host: Bytes
    buffer: cl.Buffer

    def give(self, length_bytes: int) -> cl.Event | None:
        """From here on the device has it, with the first ``length_bytes`` of ``host`` if it is for the device to read."""

    def take(self, length_bytes: int) -> cl.Event | None:
        """When this is complete the host has it, with the device's first ``length_bytes``."""

    def reclaim(self) -> cl.Event | None:
        """When this is complete the host has it, whatever is in it. Nothing happens if the host has it already."""

    def release(self) -> None:
        """Give the buffer back, and let go of ``host``."""


class Mapped:
    """In place."""

    def __init__(self, queue: cl.CommandQueue, host: Bytes, *, read_only: bool = False) -> None:
        self.host = host
        self._queue = queue
        access = cl.mem_flags.READ_ONLY if read_only else cl.mem_flags.READ_WRITE
        self.buffer = cl.Buffer(queue.context, access | cl.mem_flags.USE_HOST_PTR, hostbuf=host)
        self._map: cl.MemoryMap | None = None
        self.reclaim()

    def give(self, length_bytes: int) -> cl.Event | None:  # noqa: ARG002 - what is in place goes as a whole
        """Unmap."""
        if self._map is None:
            return None
        mapped, self._map = self._map, None
        return mapped.release(self._queue)

    def take(self, length_bytes: int) -> cl.Event | None:
        """Map, with what the device wrote."""
        return self._mapped(cl.map_flags.READ | cl.map_flags.WRITE, length_bytes)

    def reclaim(self) -> cl.Event | None:
        """Map, if it is not mapped."""
        return None if self._map is not None else self._mapped(cl.map_flags.WRITE_INVALIDATE_REGION, len(self.host))

    def release(self) -> None:
        """As ``Shared``."""
        self.buffer.release()
        del self.buffer, self.host

    def _mapped(self, flags: int, length_bytes: int) -> cl.Event:
        # pyopencl's own stub forgets the event.
        enqueue = cast("Callable[..., tuple[Bytes, cl.Event]]", cl.enqueue_map_buffer)
        array, event = enqueue(self._queue, self.buffer, flags, 0, (length_bytes,), np.uint8, is_blocking=False)
        self._map = cast("cl.MemoryMap", array.base)
        return event


class Copied:
    """A buffer in the device's memory."""

    def __init__(self, queue: cl.CommandQueue, host: Bytes, *, read_only: bool = False) -> None:
        self.host = host
        self._queue = queue
        access = cl.mem_flags.READ_ONLY if read_only else cl.mem_flags.READ_WRITE
        self.buffer = cl.Buffer(queue.context, access, size=len(host))

    def give(self, length_bytes: int) -> cl.Event | None:
        """Copy to the device, if it is to read anything."""
        if not length_bytes:
            return None
        return cl.enqueue_copy(self._queue, self.buffer, self.host[:length_bytes], is_blocking=False)

    def take(self, length_bytes: int) -> cl.Event | None:
        """Copy from the device."""
        return cl.enqueue_copy(self._queue, self.host[:length_bytes], self.buffer, is_blocking=False)

    def reclaim(self) -> cl.Event | None:
        """Nothing: the host always has its own copy."""
        return None

    def release(self) -> None:
        """As ``Shared``."""
        self.buffer.release()
        del self.buffer, self.host
