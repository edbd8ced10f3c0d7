"""A device that does what its batches tell it to, for tests of those who ask it. ``open_device`` runs in the worker process.

A batch that begins with ``!`` and a fault's name brings that fault about; any other is compressed by zlib. The configured
device's name may be a fault of the start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from backends.opencl.contract import Geometry
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.launch import FINAL_BLOCK, Launch

FACTORY = "fake_opencl:open_device"
AGES_S = 3600


@dataclass(frozen=True)
class Identity:
    device: str
    block_bytes: int


def open_device(config):
    name = config.device or ""
    if name.startswith("missing"):
        raise OpenclMissing("no card in slot 7", "plug one in")
    if name.startswith("refuses"):
        raise OpenclError("the driver refuses\nthe program")
    if name.startswith("dies-at-start"):
        die(signal.SIGABRT)
    if name.startswith("raises"):
        raise ZeroDivisionError("in the driver")
    what, _, flag = name.partition("-while ")
    if what == "dies" and Path(flag).exists():
        die(signal.SIGSEGV)
    while what == "waits" and Path(flag).exists():
        time.sleep(0.01)
    return Device(config)


def die(number):
    print("on stdout: nobody may see this")
    print("driver: the card fell out", file=sys.stderr, flush=True)
    os.kill(os.getpid(), number)
    time.sleep(AGES_S)


class Device:
    def __init__(self, config):
        self.name = config.device or ""
        self.identity = Identity(self.name, config.block_bytes)

    def slot(self, memory, layout):
        return Slot(self, memory, layout)

    def close(self):
        pass


class Slot:
    def __init__(self, device, memory, layout):
        self.device, self.memory, self.layout = device, memory, layout

    def compress(self, raw_bytes):
        data = self.memory[:raw_bytes]
        if self.device.name.startswith("wrong-self-test"):
            return self.write(pack(bytes(raw_bytes)), raw_bytes)
        if not data.startswith(b"!"):
            return self.write(pack(data), raw_bytes)
        name, _, argument = data[1:40].split(b"\0")[0].partition(b" ")
        return getattr(self, name.decode())(data, argument.decode())

    def write(self, packed, raw_bytes):
        start = self.layout.output_offset
        self.memory[start : start + len(packed)] = packed
        blocks = Geometry(self.device.identity.block_bytes).blocks(raw_bytes)
        return Launch(len(packed), blocks, 0, 0, 0.001, 0.002, 0.003, 0.004)

    def dies(self, _data, number):
        die(int(number))

    def hangs(self, _data, _argument):
        time.sleep(AGES_S)

    def hangs_with_the_interpreter(self, _data, _argument):
        ctypes.PyDLL(None).sleep(AGES_S)  # PyDLL keeps the GIL, as a driver's callback might

    def stops(self, _data, _argument):
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(AGES_S)  # another thread may be the one that takes the signal: this one goes on for a moment

    def out_of_memory(self, _data, _argument):
        raise MemoryError("clEnqueueNDRangeKernel failed: MEM_OBJECT_ALLOCATION_FAILURE")

    def busy(self, _data, _argument):
        raise OpenclError("the device is busy with\nanother process")

    def talks(self, _data, _argument):
        raise RuntimeError("word " * 100_000)

    def wrong(self, data, _argument):
        return self.write(pack(data[:-1] + bytes([data[-1] ^ 1])), len(data))

    def short(self, data, _argument):
        return self.write(pack(data)[:-2], len(data))

    def junk(self, data, _argument):
        return self.write(os.urandom(100) + FINAL_BLOCK, len(data))

    def nothing(self, data, _argument):
        return self.write(bytes(50), len(data))

    def too_long(self, data, _argument):
        return replace(self.write(pack(data), len(data)), joined_bytes=self.layout.output_bytes + 1)

    def too_many_blocks(self, data, _argument):
        return replace(self.write(pack(data), len(data)), zero_blocks=1000)

    def no_time(self, data, _argument):
        return replace(self.write(pack(data), len(data)), kernel_s=float("nan"))

    def negative_time(self, data, _argument):
        return replace(self.write(pack(data), len(data)), queue_s=-1.0)


def pack(data):
    """One stream, stored where that is shorter, as the contract's bound wants it."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    parts = [data[at : at + 65535] for at in range(0, len(data), 65535)]
    stored = b"".join(struct.pack("<BHH", 0, len(part), 0xFFFF ^ len(part)) + part for part in parts)
    return min(packed, stored, key=len) + FINAL_BLOCK
