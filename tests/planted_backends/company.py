"""Backends that are broken in what they do in company."""

from __future__ import annotations

import ctypes
import os
import struct
import tempfile
import threading
import time
from pathlib import Path

import psutil

from planted_backends.base import Good, flipped, planted


@planted("shared-scratch", "concurrency.threads", "thread ")
class SharedScratch(Good):
    """One buffer for the input of all instances."""

    scratch = bytearray(8 << 20)

    def compress(self, data):
        self.scratch[: len(data)] = data
        time.sleep(0.0005)  # lets the others run
        return super().compress(self.scratch[: len(data)])


@planted("four-queues", "concurrency.threads", "all 4 queues are taken")
class FourQueues(Good):
    """Serves four instances, and refuses the fifth."""

    queues = threading.BoundedSemaphore(4)
    taken = False

    def compress(self, data):
        if not self.taken and not self.queues.acquire(blocking=False):
            raise self._error("all 4 queues are taken")
        self.taken = True
        return super().compress(data)

    def close(self):
        if self.taken:
            self.queues.release()


@planted("keeps-the-gil", "concurrency.gil", "work that takes so long must release the GIL")
class KeepsTheGil(Good):
    """Waits for its card through a binding that holds the GIL; nor is there a moment without it before or after, which a busy
    machine could stretch: its blocks are stored ones (RFC 1951, section 3.2.4), put together in Python.
    """

    def compress(self, data):
        ctypes.PyDLL(None).usleep(len(data) // 40)
        stored, rest = bytearray(), memoryview(data).cast("B")
        while True:
            block, rest = rest[:0xFFFF], rest[0xFFFF:]
            stored += struct.pack("<BHH", not rest, len(block), len(block) ^ 0xFFFF)
            stored += block
            if not rest:
                return bytes(stored)


@planted("keeps-the-gil-restoring", "concurrency.gil", "work that takes so long must release the GIL")
class KeepsTheGilRestoring(Good):
    """Adds up what it restored, in native calls that hold the GIL."""

    def decompress(self, data, raw_bytes):
        raw = super().decompress(data, raw_bytes)
        for _ in range(8):
            sum(raw)
        return raw


@planted("one-process", "concurrency.processes", "came back different")
class OneProcess(Good):
    """Hands its input over in a file that all processes of the host share. Its threads wait for one another."""

    turns = threading.Lock()

    def compress(self, data):
        with self.turns, (Path(tempfile.gettempdir()) / "planted-one-process").open("a+b", buffering=0) as file:
            os.pwrite(file.fileno(), bytes(data), 0) if not file.truncate(len(data)) else None
            time.sleep(0.0005)  # lets the others run
            return super().compress(os.pread(file.fileno(), len(data), 0).ljust(len(data), b"\0"))


@planted("wrong-after-fork", "concurrency.fork", "in the child of a fork, new instances restored other data")
class WrongAfterFork(Good):
    """Its handle belongs to the process that used it first."""

    owner = None

    def compress(self, data):
        WrongAfterFork.owner = self.owner or os.getpid()
        return super().compress(data if self.owner == os.getpid() else flipped(data))


@planted("hangs-after-fork", "concurrency.fork", "no end within")
class HangsAfterFork(Good):
    """Waits in a fork for a thread that only its parent has."""

    owner = None

    def compress(self, data):
        HangsAfterFork.owner = self.owner or os.getpid()
        if self.owner != os.getpid():
            time.sleep(3600)
        return super().compress(data)


@planted("sulks-in-company", "endurance.noisy-neighbour", "noisy_failures is")
class SulksInCompany(Good):
    """Gives up every other batch where its process has more children than it once had: the check's busy ones. How long a batch
    waited for a core would also tell of what else the machine does."""

    fewest = 1 << 30
    batches = 0

    def compress(self, data):
        children = len(psutil.Process().children())
        SulksInCompany.fewest = min(self.fewest, children)
        self.batches += 1
        if children > self.fewest and self.batches % 2:
            raise self._error("too many beside it")
        return super().compress(data)
