"""The rule about other Python threads: they run while a batch is at work, because the work is done without the GIL.

A second thread notes the time, over and over, while the first one compresses batch after batch. Where a call holds the GIL, there
are no notes. Python itself takes the GIL from nobody meanwhile (its switch interval is set longer), so that short calls in a row
are one long silence. A busy machine leaves silences too; the kernel says how much of one the second thread was ready to run and
had no core, and that is taken off.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.api import MAX_BATCH_BYTES, Buffer
from backends.conformance.rig import Rig, Rule, Unjudged, Violation, rule
from backends.conformance.samples import sample

__all__ = ["RULES", "thread_queued_s"]

RULES: list[Rule] = []

_LEAST_CALL_S = 0.001
"""Whoever waits so long for the GIL has waited a fifth of Python's own switch interval. No shorter silence counts."""
_LONG_CALL_S = 0.02
_BATCHES, _BLOCK_BYTES, _ROUNDS = 9, 192 << 10, 3
_TICK_S, _SWITCH_S = 0.0001, 1.0
_MOST_SILENT = 0.5
"""Beside four busy processes (2-core Intel Xeon, 2026-11-28, n=5 rounds each): ours up to 0.39 (lz4 copies what it restored with
the GIL held), calls that hold the GIL throughout 0.51 once, else from 0.73 on."""


@dataclass(frozen=True, slots=True)
class _Spell:
    """Calls in a row: how many, how long together, and how much of that the other thread stood still."""

    calls: int
    duration_s: float
    silent_s: float

    @property
    def silent_share(self) -> float:
        return self.silent_s / self.duration_s

    @property
    def call_s(self) -> float:
        return self.duration_s / self.calls

    @property
    def short(self) -> bool:
        return self.call_s < _LEAST_CALL_S


def thread_queued_s() -> float:
    """How long the calling thread has been ready to run without a core so far: ``/proc/thread-self/schedstat``, its second number
    (Linux, Documentation/scheduler/sched-stats.rst). 0 for ever where the kernel does not count it.
    """
    with contextlib.suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_bytes().split()[1]) / 1e9
    return 0.0


@rule(RULES, "gil", "other Python threads run for most of the time that compressing takes, and that restoring takes")
def _gil(rig: Rig) -> str:
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise Unjudged("this Python has no GIL")
    size_bytes = _size_bytes(rig)
    spells = _round(rig, size_bytes)
    for _ in range(_ROUNDS - 1):  # the machine itself may have stood still
        if all(spell.short or spell.silent_share <= _MOST_SILENT for spell in spells):
            break
        spells = [
            min(pair, key=lambda spell: spell.silent_share)
            for pair in zip(spells, _round(rig, size_bytes), strict=True)
        ]
    words = [f"{direction} {_told(spell)}" for direction, spell in zip(("compress", "decompress"), spells, strict=True)]
    for said, spell in zip(words, spells, strict=True):
        if not spell.short and spell.silent_share > _MOST_SILENT:
            raise Violation(f"{said}: work that takes so long must release the GIL")
    if all(spell.short for spell in spells):
        raise Unjudged(f"{'; '.join(words)} of {size_bytes} bytes")
    return f"batches of {size_bytes} bytes: {'; '.join(words)}"


def _told(spell: _Spell) -> str:
    if spell.short:
        return f"takes {spell.call_s * 1e3:.2f} ms, too short to keep another thread waiting"
    return (
        f"takes {spell.call_s * 1e3:.2f} ms, in {spell.silent_share * 100:.0f} % of which another thread stands still"
    )


def _size_bytes(rig: Rig) -> int:
    """Of a batch: the backend's own where that takes long enough, otherwise the largest."""
    own_bytes = rig.info.batch_bytes
    writer = rig.make()
    writer.open()
    data = _batch(own_bytes, seed=0)
    began_s = time.monotonic()
    writer.compress(data)
    return own_bytes if time.monotonic() - began_s >= _LONG_CALL_S else MAX_BATCH_BYTES


def _batch(size_bytes: int, seed: int) -> bytes:
    """Text of which nothing stands in a batch with another seed: history must not shorten a call."""
    rng = random.Random(seed)  # noqa: S311 - test data, not secrets
    block = sample("text", _BLOCK_BYTES)
    count = size_bytes // _BLOCK_BYTES + 1
    return b"".join(block.translate(bytes(rng.sample(range(256), 256))) for _ in range(count))[:size_bytes]


def _round(rig: Rig, size_bytes: int) -> list[_Spell]:
    """Of ``compress`` and of ``decompress``, by new instances. The first call of each is not watched."""
    rig.close()
    writer, reader = rig.make(), rig.make()
    writer.open()
    reader.open_decoder()
    packed: list[Buffer] = []
    batches = [_batch(size_bytes, seed) for seed in range(_BATCHES)]
    return [
        _watched(lambda data: packed.append(writer.compress(data)), batches),
        _watched(lambda data: reader.decompress(data, size_bytes), packed),
    ]


def _watched(work: Callable[[Buffer], object], batches: Sequence[Buffer]) -> _Spell:
    work(batches[0])
    with _other_thread() as notes:
        began_s = time.monotonic()
        for data in batches[1:]:
            work(data)
        ended_s = time.monotonic()
    return _Spell(len(batches) - 1, ended_s - began_s, _silent_s(notes, began_s, ended_s))


def _silent_s(notes: Sequence[tuple[float, float]], began_s: float, ended_s: float) -> float:
    """The silences from ``began_s`` to ``ended_s`` without the time in which there was no core for the other thread."""
    silent_s = 0.0
    for (before_s, queued_before_s), (after_s, queued_after_s) in itertools.pairwise(notes):
        within_s = min(after_s, ended_s) - max(before_s, began_s)
        silence_s = within_s - (queued_after_s - queued_before_s)
        silent_s += silence_s if silence_s > _LEAST_CALL_S else 0.0
    return silent_s


@contextlib.contextmanager
def _other_thread() -> Iterator[list[tuple[float, float]]]:
    """Its notes: the time, and how long it had waited for a core by then. There is one before the block, and one after."""
    over, notes = threading.Event(), list[tuple[float, float]]()
    started = threading.Event()

    def tick() -> None:
        while not over.is_set():
            notes.append((time.monotonic(), thread_queued_s()))
            started.set()
            time.sleep(_TICK_S)
        notes.append((time.monotonic(), thread_queued_s()))

    other = threading.Thread(target=tick, name="conformance-other", daemon=True)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        other.start()
        started.wait()
        yield notes
    finally:
        over.set()
        other.join()
        sys.setswitchinterval(interval_s)
