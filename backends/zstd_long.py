"""Zstandard with a long memory (binding: ``zstandard``): all batches of a migration are one stream.

A window of some hundred MiB is history, deduplication and delta at once: a page that was sent before, here or elsewhere in
memory, whole or nearly so, is a reference to it. Both sides keep the window in memory, and batches must be restored in
their order. A stream that wants a larger window than was agreed on is refused before it has one. ``open`` and
``open_decoder`` touch the window's memory, so that no batch pays for the kernel's clearing it.

Several threads share the one history: zstd's own workers take turns at the stream, 1 MiB each, and only what looks for old places
passes over all of it in order. ``compress`` waits for all of them, ``hold`` does not.

Format: what one Zstandard frame (RFC 8878) that never ends grows by, up to a block's end, then the size of all that was put in
since the last such end (u32, little endian). The size is needed because the decoder keeps what it was not asked for until it is
fed again.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from backends.api import Backend, BackendError, BackendInfo, Buffer
from backends.library import load_library

_WINDOWS = {f"{1 << (log - 20)}MiB" if log < 30 else "1GiB": log for log in range(20, 31)}
_DEFAULT_WINDOW = "128MiB"
_SIZE_BYTES = 4

_BLOCK_BYTES = 128 << 10
_MAGIC, _UNKNOWN_SIZE, _RUN, _LAST = b"\x28\xb5\x2f\xfd", b"\0", 1 << 1, 1

_JOB_BYTES = 1 << 20
"""What one of several threads compresses at a time. Twice as much is faster only where nobody waits for the end of it."""

_BUCKET_LOG = 1
"""Of old places with one hash, two are looked at. Against zstd's own choice: 294 instead of 233 MB/s, and 82.0 instead of 80.8 MB
for 380 MB of a live guest's stream in two histories (2-core Intel Xeon, 2026-11-25, n=1)."""

_CPU_CLOCK_OF_THREAD = 6
"""The kernel's number of a thread's CPU clock is its id inverted, and these bits (Linux, include/linux/posix-timers_types.h)."""


_NUMBERS = itertools.count()


class ZstdLongBackend(Backend):
    """Levels 1 to 12. Option: ``window``, a power of two from 1MiB to 1GiB, which both sides keep in memory. With several
    threads the sender keeps some 10 MiB more (8 threads 150 MiB, one 140; zstd 1.5.7, 2026-11-28)."""

    info = BackendInfo(
        name="zstd-long",
        levels=(1, 12),
        default_level=1,
        decompress_share=1.0,
        stateful=True,
        needs="zstandard",
        extra="zstd",
        options=("window",),
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        """:raises BackendError: a level or a window that there is not."""
        super().__init__(level, **options)
        self._zstd = load_library(self.info, "zstandard")
        self._window_log = self._window()
        self._compressor: Any = None
        self._decompressor: Any = None
        self._writer: Any = None
        self._reader: Any = None
        self._source = _Source()
        self._held_bytes = 0
        self._workers: tuple[int, ...] = ()
        self._broken: str | None = None

    @classmethod
    def probe(cls) -> str:
        """The binding's and the library's versions."""
        zstandard = load_library(cls.info, "zstandard")
        return f"zstandard {zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})"

    @property
    def history_bytes(self) -> int:
        """Its window."""
        return 1 << self._window_log

    def open(self) -> None:
        """Fill a window with zeros, and forget them.

        Cold, 95 MB of a live guest's stream took 0.38 to 0.47 s to compress and 0.09 to 0.13 to restore; warm 0.31 and 0.06
        (2-core Intel Xeon, 2026-11-26, n=3)."""
        zeros = bytes(_BLOCK_BYTES)
        try:
            writer = self._stream()
            for _ in range((1 << self._window_log) // _BLOCK_BYTES):
                self._fed(writer, zeros)
            writer.flush()
        except (self._zstd.ZstdError, MemoryError) as exc:
            raise self._error(self._no_memory(exc)) from exc

    def open_decoder(self) -> None:
        """Likewise."""
        piece = memoryview(bytearray(_BLOCK_BYTES))
        try:
            reader = self._restorer().stream_reader(_zeros(self._window_log))
            while reader.readinto(piece):
                pass
        except (self._zstd.ZstdError, MemoryError) as exc:
            raise self._error(self._no_memory(exc)) from exc

    def compress(self, data: Buffer) -> bytes:
        """The stream's next part, with all that was held."""
        if len(data) == 0 and self._held_bytes == 0:
            return b""
        parts = (self._taken(data), self._writer.flush(self._zstd.COMPRESSOBJ_FLUSH_BLOCK))
        size_bytes, self._held_bytes = self._held_bytes, 0
        return b"".join((*parts, size_bytes.to_bytes(_SIZE_BYTES, "little")))

    def hold(self, data: Buffer) -> bytes:
        """What the threads were ready with."""
        return self._taken(data)

    @property
    def threads_cpu_s(self) -> float:
        """Of zstd's workers."""
        total_s = 0.0
        for worker in self._workers:
            with suppress(OSError):
                total_s += time.clock_gettime(~worker << 3 | _CPU_CLOCK_OF_THREAD)
        return total_s

    def decompress(self, data: Buffer, raw_bytes: int) -> Buffer:
        """The stream's next part back. After damage nothing more can be restored."""
        self._checked_raw_bytes(raw_bytes)
        if self._broken is not None:
            raise self._error(f"its stream ended with an earlier error: {self._broken}")
        try:
            return self._next(memoryview(data).cast("B"), raw_bytes)
        except (BackendError, self._zstd.ZstdError, MemoryError) as exc:
            self._broken = " ".join(str(exc).split())
            self._reader = None
            raise self._error(f"{len(data)} bytes for {raw_bytes}: {self._broken}") from exc

    def close(self) -> None:
        """Give the windows' memory back now, whoever still knows this object."""
        self._writer = self._compressor = self._reader = self._decompressor = None
        self._workers = ()

    def _next(self, data: memoryview, raw_bytes: int) -> Buffer:
        if raw_bytes == 0:
            if len(data):
                raise BackendError("they hold something")
            return b""
        data, size = data[:-_SIZE_BYTES], data[-_SIZE_BYTES:]
        announced = int.from_bytes(size, "little")
        if announced != raw_bytes:
            raise BackendError(f"they announce {announced}")
        if self._reader is None:
            self._reader = self._restorer().stream_reader(self._source, read_size=1 << 30)
        self._source.give(data)
        raw = np.empty(raw_bytes, dtype=np.uint8)
        try:
            restored = self._reader.readinto(raw.data)
        except _DryError as exc:
            raise BackendError("they end too early") from exc
        if restored != raw_bytes or not self._source.is_dry:
            raise BackendError("there are bytes behind their end")
        return raw.data

    def _taken(self, data: Buffer) -> bytes:
        if self._writer is None:
            self._writer = self._stream()
        self._held_bytes += len(data)
        return self._fed(self._writer, data)

    def _fed(self, writer: Any, data: Buffer) -> bytes:  # noqa: ANN401 - the library has no types
        """What comes out. zstd starts its workers with the first bytes."""
        if self._workers or self.threads == 1:
            return bytes(writer.compress(data))
        with _children() as found:
            packed = bytes(writer.compress(data))
            self._workers = found()
        return packed

    def _stream(self) -> Any:  # noqa: ANN401 - the library has no types
        """A new one, in the memory of the last."""
        if self._compressor is None:
            several = {"threads": self.threads, "job_size": _JOB_BYTES} if self.threads > 1 else {}
            parameters = self._zstd.ZstdCompressionParameters.from_level(
                self.level, window_log=self._window_log, enable_ldm=True, ldm_bucket_size_log=_BUCKET_LOG, **several
            )
            self._compressor = self._zstd.ZstdCompressor(compression_params=parameters)
        return self._compressor.compressobj()

    def _restorer(self) -> Any:  # noqa: ANN401 - the library has no types
        if self._decompressor is None:
            self._decompressor = self._zstd.ZstdDecompressor(max_window_size=self.history_bytes)
        return self._decompressor

    def _no_memory(self, error: Exception) -> str:
        window = next(name for name, log in _WINDOWS.items() if log == self._window_log)
        return f"no memory for a window of {window} ({str(error) or type(error).__name__}); choose a smaller one"

    def _window(self) -> int:
        window = self.options.get("window", _DEFAULT_WINDOW)
        if not isinstance(window, str) or window not in _WINDOWS:
            raise self._error(f"option window = {window!r}: must be one of {', '.join(_WINDOWS)}")
        return _WINDOWS[window]


def _zeros(window_log: int) -> bytes:
    """A frame (RFC 8878, 3.1.1) that restores to a window's size of zeros: one block is a run of them."""
    descriptor = ((window_log - 10) << 3).to_bytes(1, "little")
    blocks = (1 << window_log) // _BLOCK_BYTES
    run = (_RUN | _BLOCK_BYTES << 3).to_bytes(3, "little") + b"\0"
    last = (_RUN | _LAST | _BLOCK_BYTES << 3).to_bytes(3, "little") + b"\0"
    return _MAGIC + _UNKNOWN_SIZE + descriptor + run * (blocks - 1) + last


@contextmanager
def _children() -> Iterator[Callable[[], tuple[int, ...]]]:
    """Gives the ids of the threads that the calling thread has started within: they begin with its name (Linux, pthread_create(3)
    and PR_SET_NAME), which is one that no other has meanwhile."""
    own, tasks = Path("/proc/thread-self/comm"), Path("/proc/self/task")
    name = f"zstd-{next(_NUMBERS):x}"

    def found() -> tuple[int, ...]:
        named = []
        for task in os.listdir(tasks):  # noqa: PTH208 - names are enough
            with suppress(OSError):  # it has ended
                if (tasks / task / "comm").read_text().strip() == name:
                    named.append(int(task))
        return tuple(each for each in named if each != threading.get_native_id())

    try:
        before = own.read_text().strip()
        own.write_text(name)
    except OSError:  # /proc is read-only here: nobody can be told apart
        yield tuple
        return
    try:
        yield found
    finally:
        own.write_text(before)


class _DryError(Exception):
    """The decoder asked for more than the batch has."""


class _Source:
    """What the decoder reads from. The last byte is a read of its own: only who needs it takes it, so that bytes behind a
    batch's end show themselves. It never says that the stream ended, as the decoder would believe it for ever."""

    def __init__(self) -> None:
        self._parts: list[memoryview] = []

    def give(self, data: memoryview) -> None:
        """The next batch."""
        self._parts = [part for part in (data[:-1], data[-1:]) if len(part)]

    @property
    def is_dry(self) -> bool:
        """All of it was read."""
        return not self._parts

    def read(self, _: int = -1) -> memoryview:
        """The next part. :raises _DryError: there is none."""
        if not self._parts:
            raise _DryError
        return self._parts.pop(0)
