"""The contract of a backend: it compresses and decompresses batches of guest pages, and knows nothing else.

A backend is one class in one file and one line in ``backends/registry.py`` (or one entry point in the group
``pageferry.backends``). ``backends.conformance.check(cls)`` says whether it keeps the contract:

* ``decompress(compress(data), len(data)) == data`` for every ``data`` of 0 bytes up to ``MAX_BATCH_BYTES``.
* Input is any C-contiguous buffer of bytes and is not kept after the call; output is ``bytes`` (or a buffer of bytes
  that the caller owns from then on).
* ``decompress`` never produces more than ``raw_bytes`` and raises ``BackendError`` on short, trailing or damaged input.
* Native work releases the GIL: for most of a long call other Python threads run. One instance serves one thread; several
  instances work side by side.
* A backend never falls back to another by itself: falling back is the caller's decision, configured and counted.
* An error is one ``BackendError`` of one line that names the backend and the values. The instance works on after it.
* ``compress`` may return more bytes than it was given (a stored frame is the caller's business).
* What is ``stateful`` is one stream: its batches are restored in their order, by one instance. ``hold`` takes a batch in and
  gives whatever has come out by then; the next ``compress`` gives the rest. What ``hold`` gave, one piece behind the other,
  and the ``compress`` behind them, is what ``decompress`` restores at once.
* A setting beyond the level is an option: named in ``info.options``, given as a keyword, found in ``self.options``.
  ``decompress`` needs none: the receiver constructs ``cls()``.
* Import and construction open no device (construction may load the library); ``probe`` and ``open`` do.
* Restoring may need less than compressing (a card deflates, any host inflates): ``probe_decoder`` answers for it alone.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "FRAMING_BYTES",
    "MAX_BATCH_BYTES",
    "MOST_HELD_BYTES",
    "Backend",
    "BackendError",
    "BackendInfo",
    "BackendUnavailable",
    "Buffer",
]

Buffer = bytes | bytearray | memoryview

MAX_BATCH_BYTES = 4 << 20
"""No batch is larger than this many bytes of pages."""

MOST_HELD_BYTES = 8 << 20
"""No more than this is given to ``hold`` between two calls of ``compress``. Each of these waits for all threads of a stream that
has some: 8 MiB at once were compressed at 850 MB/s, 1 MiB at 574, all at 950 (zstd-long, 2-core AMD EPYC, 2026-11-27, n=1)."""

FRAMING_BYTES = 1024
"""What a container and its padding may take on top, however small the batch."""


class BackendError(Exception):
    """A call failed: damaged input, wrong size, a device's error. The message names the backend, the place and the value."""


class BackendUnavailable(BackendError):  # noqa: N818 - a state of the machine, told like one
    """This backend cannot work on this machine. ``missing`` names the piece, ``remedy`` what to do about it."""

    def __init__(self, name: str, missing: str, remedy: str) -> None:
        super().__init__(f"backend {name!r} is not available: {missing}; {remedy}")
        self.name = name
        self.missing = missing
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend says of itself.

    ``levels`` is inclusive, or None where there are none. ``batch_bytes`` is the batch size it likes best;
    the sender takes smaller ones where the link is slow. Through the pair, 256 KiB, 1 MiB and 2 MiB gave 591, 953 and 847 MB/s
    with none, 375, 399, 428 with lz4 and 234, 290, 354 with zstd 1 (2-core AMD EPYC, 2026-11-22, n=1): it is the hand-overs
    between threads that cost.
    ``decompress_share`` is how many decompression threads it needs per compression thread (measured; zlib's classic
    4:1 rule is 0.25). ``stateful``: it keeps history between batches, so that they must be decoded in order; it has ``hold``.
    ``wants_pages``: ``compress`` gets whole pages only, contiguous, as a device with page-sized blocks needs them. Without it
    a batch comes with the 8-byte words that stand between its pages in QEMU's stream, which spares two copies on each side:
    a third less CPU around the codec, at ratios within 2 % (lz4, zstd 1, isal 1; 2-core AMD EPYC, 2026-11-22, n=4).
    ``format`` names a standard container ("zlib", "deflate", "gzip", "lz4-block", "zstd") or None.
    ``needs`` is the distribution to install, ``extra`` the pageferry extra that brings it. ``options`` are the names of
    the keywords that the constructor takes besides ``level``.
    ``most_expansion``: what does not compress grows by at most this share, and ``FRAMING_BYTES`` more. ``survives_fork``: in a
    fork of a process that used it, new instances work. ``faults`` are those that ``inject`` can cause: of "death", "stall",
    "wrong-data", "queue-full".
    """

    name: str
    device: str = "cpu"
    levels: tuple[int, int] | None = None
    default_level: int | None = None
    batch_bytes: int = 1 << 20
    decompress_share: float = 1.0
    stateful: bool = False
    wants_pages: bool = False
    deterministic: bool = True
    format: str | None = None
    needs: str | None = None
    extra: str | None = None
    options: tuple[str, ...] = ()
    most_expansion: float = 0.01
    survives_fork: bool = True
    faults: tuple[str, ...] = ()

    def checked_level(self, level: int | None) -> int | None:
        """``level``, or for None that by default. :raises BackendError: there is no such level."""
        if level is None:
            return self.default_level
        if self.levels is None:
            raise BackendError(f"backend {self.name!r}: has no levels, but level {level} was asked for")
        low, high = self.levels
        if not low <= level <= high:
            raise BackendError(f"backend {self.name!r}: level {level} is outside {low}..{high}")
        return level

    def bound_bytes(self, raw_bytes: int) -> int:
        """The most that ``compress`` gives for ``raw_bytes``."""
        return raw_bytes + int(raw_bytes * self.most_expansion) + FRAMING_BYTES

    @property
    def most_restored_bytes(self) -> int:
        """The most that one ``decompress`` is asked for."""
        return MAX_BATCH_BYTES + (MOST_HELD_BYTES if self.stateful else 0)


class Backend(abc.ABC):
    """One codec instance, owned by one thread. ``threads``: how many of its own it may use to compress where it is stateful, as
    nothing else works beside it then; set before its first use."""

    info: ClassVar[BackendInfo]
    threads: int = 1

    def __init__(self, level: int | None = None, **options: object) -> None:
        """:raises BackendError: ``level`` is outside ``info.levels``, or an option is not in ``info.options``."""
        self.level = self._checked_level(level)
        self.options = self._checked_options(options)

    @classmethod
    @abc.abstractmethod
    def probe(cls) -> str:
        """The version of the library or driver behind this backend. :raises BackendUnavailable: it cannot work here."""

    @classmethod
    def probe_decoder(cls) -> str:
        """As ``probe``, for ``decompress`` alone: what a receiver needs."""
        return cls.probe()

    def open(self) -> None:  # noqa: B027 - most backends open nothing
        """Open what ``compress`` needs, so that no batch waits for it. Called before a migration, and not by every caller.

        :raises BackendUnavailable: it cannot work here. :raises BackendError: it can, but fails now.
        """

    def open_decoder(self) -> None:  # noqa: B027 - most backends need nothing
        """As ``open``, for ``decompress``. Raises the same."""

    @abc.abstractmethod
    def compress(self, data: Buffer) -> Buffer:
        """Compress one batch. :raises BackendError: a device failed; nothing of ``data`` is lost."""

    def hold(self, data: Buffer) -> Buffer:  # noqa: ARG002 - for those that do
        """Take one batch in, and give what has come out so far, if anything: see above. :raises BackendError: as ``compress``."""
        raise self._error("it keeps no history, in which a batch could be held")

    @abc.abstractmethod
    def decompress(self, data: Buffer, raw_bytes: int) -> Buffer:
        """Exactly ``raw_bytes`` bytes. :raises BackendError: the data is damaged, short, or has bytes behind its end."""

    @property
    def history_bytes(self) -> int:
        """Memory that an instance keeps from batch to batch because it is ``stateful``, once ``decompress`` is in use."""
        return 0

    @property
    def threads_cpu_s(self) -> float:
        """CPU seconds of its own ``threads`` so far, which are not the calling thread's."""
        return 0.0

    def counters(self) -> Mapping[str, int | float]:
        """What this instance counted; summed over threads into the run's counters."""
        return {}

    def identity(self) -> Mapping[str, str]:
        """What a certificate names, of an open device: its name, ``type`` ("CPU" for a stand-in), driver, firmware, PCIe."""
        return {}

    def inject(self, fault: str) -> None:
        """Cause one of ``info.faults`` in the open device, for a qualification. :raises BackendError: it cannot."""
        raise self._error(f"cannot inject {fault!r}")

    def close(self) -> None:  # noqa: B027 - most backends open nothing
        """Give back what ``open``, ``compress`` or ``decompress`` opened. Called once, by the owning thread."""

    @classmethod
    def _checked_level(cls, level: int | None) -> int | None:
        return cls.info.checked_level(level)

    @classmethod
    def _checked_options(cls, options: Mapping[str, object]) -> Mapping[str, object]:
        for name in options:
            if name not in cls.info.options:
                known = ", ".join(cls.info.options) or "none"
                raise cls._error(f"unknown option {name!r}; known: {known}")
        return options

    @classmethod
    def _checked_raw_bytes(cls, raw_bytes: int) -> int:
        """Call it before anything is allocated for ``raw_bytes``. :raises BackendError: no batch has this size."""
        most_bytes = cls.info.most_restored_bytes
        if not 0 <= raw_bytes <= most_bytes:
            raise cls._error(f"cannot restore {raw_bytes} bytes: must be 0..{most_bytes}")
        return raw_bytes

    @classmethod
    def _error(cls, problem: str) -> BackendError:
        """The one line of an error: this backend's name, then the problem with its values."""
        return BackendError(f"backend {cls.info.name!r}: {problem}")
