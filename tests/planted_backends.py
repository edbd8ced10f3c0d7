"""Backends that are each broken in one place, and the check of a qualification that must find it. Run by their tests.

No decoder that delivers wrong pages is among them: the frame's digest stands behind every decoder, so ``hostile.pages`` catches
a codec that crashes, hangs or raises what it must not, and nothing of a codec's making reaches a guest wrong.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backends.api import Backend, BackendError, BackendInfo, Buffer

__all__ = ["PLANTED", "Fault", "Good", "install"]

_EMPTY_BLOCK = b"\0\0\0\xff\xff"
"""A stored block of DEFLATE without bytes, and others behind it."""


class Good(Backend):
    """What a third party writes: raw DEFLATE by zlib. The broken ones differ from it in one place."""

    info = BackendInfo(name="good", levels=(1, 9), default_level=1, format="deflate")

    @classmethod
    def probe(cls):
        return "planted 1"

    def compress(self, data: Buffer) -> Buffer:
        return zlib.compress(data, self.level, -15)

    def decompress(self, data: Buffer, raw_bytes: int) -> Buffer:
        self._checked_raw_bytes(raw_bytes)
        inflater = zlib.decompressobj(-15)
        try:
            raw = inflater.decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes or not inflater.eof or inflater.unused_data:
            raise self._error(f"{len(data)} bytes are not a batch of {raw_bytes}")
        return raw


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken class, the id of the check that must find it, the words of its evidence, and whose thresholds it is held to."""

    cls: type[Backend]
    check_id: str
    words: str
    backend_class: str = "software"


PLANTED: dict[str, Fault] = {}


def _planted(name: str, check_id: str, words: str, **info: object) -> Callable[[type[Good]], type[Good]]:
    """Name the class below, and list it. One with a device is an accelerator."""

    def add(cls: type[Good]) -> type[Good]:
        cls.info = replace(Good.info, name=name, **info)
        PLANTED[name] = Fault(cls, check_id, words, "accelerator" if "device" in info else "software")
        return cls

    return add


def install(folder: Path) -> Path:
    """Write what pip leaves of a distribution with all of them. ``folder`` belongs on PYTHONPATH and on ``sys.path``."""
    folder.mkdir()
    # Not this file's own folder, in which others have the names of our packages.
    (folder / "planted_backends.py").symlink_to(Path(__file__).resolve())
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    classes = [Good, *(fault.cls for fault in PLANTED.values())]
    lines = [f"{cls.info.name} = planted_backends:{cls.__name__}\n" for cls in classes]
    (info / "entry_points.txt").write_text("[pageferry.backends]\n" + "".join(lines))
    return folder


def _flipped(data: Buffer, at: int = 0) -> bytes:
    """``data`` with one bit of byte ``at`` another."""
    flipped = bytearray(data)
    if at < len(flipped):
        flipped[at] ^= 1
    return bytes(flipped)


# Wrong output.


@_planted("short-output", "contract.round-trip", "1 bytes of zero: BackendError")
class ShortOutput(Good):
    """Its output lacks the tail."""

    def compress(self, data):
        return super().compress(data)[:-1] if len(data) else super().compress(data)


@_planted(
    "leaves-input", "contract.consumed", "of 2097153 bytes given, 2097152 are in the output, and the call succeeded"
)
class LeavesInput(Good):
    """Takes no more than 2 MiB, and reports success."""

    def compress(self, data):
        return super().compress(memoryview(data)[: 2 << 20])


@_planted("flips-a-bit", "contract.round-trip", "gave 4095 bytes for 4095, different from byte 2000 on")
class FlipsABit(Good):
    """Changes one bit of its input on the way in."""

    def compress(self, data):
        return super().compress(_flipped(data, 2000))


@_planted("wrong-when-large", "contract.round-trip", "1048577 bytes of zero: gave 1048577 bytes for 1048577")
class WrongWhenLarge(Good):
    """Right up to 1 MiB."""

    def compress(self, data):
        return super().compress(_flipped(data) if len(data) > 1 << 20 else data)


@_planted("over-bound", "contract.bound", "more than the 1024 declared")
class OverBound(Good):
    """Puts 10 kB of padding before each batch, as the format allows."""

    def compress(self, data):
        return 2000 * _EMPTY_BLOCK + super().compress(data)


@_planted("not-deterministic", "contract.deterministic", "to two different outputs")
class NotDeterministic(Good):
    """Pads every other batch, and declares equal output."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return self.calls % 2 * _EMPTY_BLOCK + super().compress(data)


@_planted("only-itself", "crossing.encode", "restored by zlib")
class OnlyItself(Good):
    """Names a standard format, and puts a byte of its own before it."""

    def compress(self, data):
        return b"\x06" + super().compress(data)

    def decompress(self, data, raw_bytes):
        return super().decompress(memoryview(data)[1:], raw_bytes)


@_planted("no-fixed-codes", "crossing.decode", "fixed codes: backend 'no-fixed-codes': cannot restore fixed codes")
class NoFixedCodes(Good):
    """Restores what zlib level 1 writes: of more than 1000 bytes, never a first block of fixed codes."""

    def decompress(self, data, raw_bytes):
        if len(data) > 1000 and data[0] >> 1 & 3 == 1:
            raise self._error("cannot restore fixed codes")
        return super().decompress(data, raw_bytes)


@_planted("rarely-wrong", "endurance.rare", "batch 5000, of")
class RarelyWrong(Good):
    """Wrong once in 5000 calls of an instance."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return super().compress(data if self.calls % 5000 else _flipped(data))


# Broken contract.


@_planted("keeps-input", "contract.ownership", "compress, text: the input is still held after the call")
class KeepsInput(Good):
    """Holds a batch's buffer after the call."""

    def compress(self, data):
        self.kept = memoryview(data)
        return super().compress(data)


@_planted("takes-any-level", "contract.levels", "level 0 is accepted")
class TakesAnyLevel(Good):
    """Looks at no level."""

    @classmethod
    def _checked_level(cls, level):
        return 1


@_planted("crashes-on-nothing", "contract.round-trip", "killed by SIGSEGV")
class CrashesOnNothing(Good):
    """Reads through a null pointer where a batch is empty."""

    def compress(self, data):
        return super().compress(data) if len(data) else ctypes.string_at(0)


@_planted("stalls", "contract.deterministic", "planted_backends.py")
class Stalls(Good):
    """Never returns from a batch of 60,000 bytes."""

    def compress(self, data):
        if len(data) == 60_000:
            time.sleep(3600)
        return super().compress(data)


# Hostile input.


@_planted("accepts-truncated", "hostile.truncated", "accepted, and gave")
class AcceptsTruncated(Good):
    """Asks for no end of a batch."""

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            raw = zlib.decompressobj(-15).decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes:
            raise self._error(f"{len(raw)} bytes, not {raw_bytes}")
        return raw


@_planted("accepts-trailing", "hostile.trailing", "with a zero behind: accepted")
class AcceptsTrailing(Good):
    """Does not look behind the end of a batch."""

    def decompress(self, data, raw_bytes):
        inflater = zlib.decompressobj(-15)
        try:
            inflater.decompress(data, raw_bytes + 1)
        except (zlib.error, ValueError, OverflowError):
            return super().decompress(data, raw_bytes)
        return super().decompress(data[: len(data) - len(inflater.unused_data)], raw_bytes)


@_planted("exits-on-damage", "hostile.damaged", "the process that ran it ended: exit status 3")
class ExitsOnDamage(Good):
    """Ends the process where a batch is damaged."""

    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError:
            os._exit(3)


@_planted("raises-its-own", "hostile.wrong-size", "ValueError instead of BackendError")
class RaisesItsOwn(Good):
    """Lets its library's exception through."""

    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError as exc:
            raise ValueError(str(exc)) from exc


@_planted("allocates-first", "hostile.absurd-size", "bytes of memory to refuse")
class AllocatesFirst(Good):
    """Takes the memory that a peer says it needs, up to 64 MiB."""

    def decompress(self, data, raw_bytes):
        bytearray(max(0, min(raw_bytes, 64 << 20)))
        return super().decompress(data, raw_bytes)


@_planted("expands-bombs", "hostile.bomb", "bytes of memory to refuse")
class ExpandsBombs(Good):
    """Restores a batch whole before it looks at its size."""

    def decompress(self, data, raw_bytes):
        try:
            zlib.decompressobj(-15).decompress(data)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        return super().decompress(data, raw_bytes)


@_planted("sticks", "hostile.recovery", "backend 'sticks': sticks in an error")
class Sticks(Good):
    """Refuses everything after its first refusal."""

    refused = False

    def decompress(self, data, raw_bytes):
        if self.refused:
            raise self._error("sticks in an error")
        self.refused = True
        raw = super().decompress(data, raw_bytes)
        self.refused = False
        return raw


# In company.


@_planted("shared-scratch", "concurrency.threads", "thread ")
class SharedScratch(Good):
    """One buffer for the input of all instances."""

    scratch = bytearray(8 << 20)

    def compress(self, data):
        self.scratch[: len(data)] = data
        time.sleep(0.0005)  # lets the others run
        return super().compress(self.scratch[: len(data)])


@_planted("four-queues", "concurrency.threads", "all 4 queues are taken")
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


@_planted("one-process", "concurrency.processes", "came back different")
class OneProcess(Good):
    """Hands its input over in a file that all processes of the host share. Its threads wait for one another."""

    threads = threading.Lock()

    def compress(self, data):
        with self.threads, (Path(tempfile.gettempdir()) / "planted-one-process").open("a+b", buffering=0) as file:
            os.pwrite(file.fileno(), bytes(data), 0) if not file.truncate(len(data)) else None
            time.sleep(0.0005)  # lets the others run
            return super().compress(os.pread(file.fileno(), len(data), 0).ljust(len(data), b"\0"))


@_planted("wrong-after-fork", "concurrency.fork", "in the child of a fork, new instances restored other data")
class WrongAfterFork(Good):
    """Its handle belongs to the process that used it first."""

    owner = None

    def compress(self, data):
        WrongAfterFork.owner = self.owner or os.getpid()
        return super().compress(data if self.owner == os.getpid() else _flipped(data))


@_planted("hangs-after-fork", "concurrency.fork", "no end within")
class HangsAfterFork(Good):
    """Waits in a fork for a thread that only its parent has."""

    owner = None

    def compress(self, data):
        HangsAfterFork.owner = self.owner or os.getpid()
        if self.owner != os.getpid():
            time.sleep(3600)
        return super().compress(data)


@_planted("sulks-in-company", "endurance.noisy-neighbour", "noisy_failures is")
class SulksInCompany(Good):
    """Gives up where a batch waited 5 ms for a core."""

    def compress(self, data):
        began_s = time.monotonic() - time.thread_time()
        packed = super().compress(data)
        if time.monotonic() - time.thread_time() - began_s > 0.005:
            raise self._error("the batch waited too long")
        return packed


# Slow.


@_planted("slow-restore", "speed.surface", "decompress_mb_per_s is")
class SlowRestore(Good):
    """Restores 10 MB/s, whatever the threads."""

    device = threading.Lock()

    def decompress(self, data, raw_bytes):
        with self.device:
            time.sleep(max(0, raw_bytes) / 10e6)
        return super().decompress(data, raw_bytes)


@_planted("slow-card", "speed.surface", "compress_mb_per_s is", device="card0")
class SlowCard(Good):
    """A card of 100 MB/s: of no use beside a CPU."""

    device = threading.Lock()

    def compress(self, data):
        with self.device:
            time.sleep(len(data) / 100e6)
        return super().compress(data)


@_planted("slow-tail", "speed.latency", "latency_p999_ms is")
class SlowTail(Good):
    """One call in 200 takes 250 ms longer."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        if self.calls % 200 == 0:
            time.sleep(0.25)
        return super().compress(data)


@_planted("tires", "endurance.soak", "soak_drift is")
class Tires(Good):
    """Takes 50 ms longer for each of the first three seconds since its first batch."""

    began_s = None

    def compress(self, data):
        Tires.began_s = self.began_s or time.monotonic()
        time.sleep(min(3, time.monotonic() - self.began_s) * 0.05)
        return super().compress(data)


# What it costs.


@_planted("silent-fallback", "cost.offload-real", "host_busy_share is", device="card0")
class SilentFallback(Good):
    """Says that a card does the work, which zlib does."""


@_planted("polls", "cost.cpu", "cpu_vs_isal_1 is", device="card0")
class Polls(Good):
    """Keeps a core busy for 20 ms while it waits for its card."""

    def compress(self, data):
        deadline_s = time.thread_time() + 0.02
        while time.thread_time() < deadline_s:
            pass
        return super().compress(data)


@_planted("miscounts", "cost.offload", "batches were given to it, and it counted")
class Miscounts(Good):
    """Counts every other batch."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return super().compress(data)

    def counters(self):
        return {"offload_batches": self.calls // 2, "offload_kernel_s": 0.001}


@_planted("counts-too-long", "cost.offload", "its parts add up to")
class CountsTooLong(Miscounts):
    """Counts milliseconds as seconds."""

    def counters(self):
        return {"offload_batches": self.calls, "offload_kernel_s": float(self.calls)}


# What it does not give back.


@_planted("leaks-memory", "endurance.leaks", "leak_bytes_per_call is")
class LeaksMemory(Good):
    """Keeps 8 KiB of each batch."""

    kept: list[bytes] = []  # noqa: RUF012 - shared is the fault

    def compress(self, data):
        self.kept.append(bytes(data[:8192]))
        return super().compress(data)


@_planted("leaks-files", "endurance.leaks", "leaked_descriptors is")
class LeaksFiles(Good):
    """Opens a pipe, and does not close it."""

    def open(self):
        os.pipe()


@_planted("leaks-threads", "endurance.leaks", "leaked_threads is")
class LeaksThreads(Good):
    """Starts a thread that outlives it."""

    def open(self):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()


@_planted("leaks-processes", "endurance.leaks", "leaked_processes is")
class LeaksProcesses(Good):
    """Starts a process that outlives it."""

    def open(self):
        subprocess.Popen(["sleep", "30"])


# Faults of its device.


class _Injected(Good):
    """Remembers what was injected."""

    injected: str | None = None

    def inject(self, fault):
        self.injected = fault


@_planted("unnoticed-death", "faults.death", "nothing noticed it", faults=("death",))
class UnnoticedDeath(_Injected):
    """Works on by other means where its device has died, and tells nobody."""


@_planted("wrong-after-death", "faults.death", "refused by the receiver", faults=("death",))
class WrongAfterDeath(_Injected):
    """Gives what was in the output's buffer where its device has died."""

    def compress(self, data):
        return super().compress(_flipped(data) if self.injected else data)


@_planted("late-detection", "faults.stall", "fallback_ms is", faults=("stall",))
class LateDetection(_Injected):
    """Gives its device a second before it gives up."""

    def compress(self, data):
        if self.injected:
            self.injected = None
            time.sleep(1)
            raise self._error("no answer within 1 s")
        return super().compress(data)
