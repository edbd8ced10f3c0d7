"""Measures cells in turn: every round takes each cell once, so that what the machine does meanwhile meets all of them alike.

A cell is a codec and level, a unit's size and a number of threads. Each thread has an instance of its own and a stretch of the
input; the clock runs from their common start to the end of the last. A codec that keeps history is one instance, as in a migration,
with so many threads of its own, and holds units while it may. Before the first round every cell restores what it
compressed, and that is compared with the input.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from backends.api import MOST_HELD_BYTES, Backend, BackendError, BackendUnavailable, Buffer
from harness.bench.codecs import MEMCPY, made
from harness.bench.pages import Pages
from harness.errors import CodecError, MissingError
from harness.hosts.cputime import tree_cpu_s
from harness.hosts.signals import raise_if_arrived
from harness.migrator.spec import Spec
from harness.results.bench import BenchCell

_LEAST_S = 0.05
"""So long a value takes at least: a faster cell goes over its input several times."""
_MOST_LOOPS = 64

Call = Callable[[Backend, int], Buffer]
Group = list[memoryview]
OnProgress = Callable[[int, int, "Cell"], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured at once."""

    spec: Spec
    unit_bytes: int
    threads: int


@dataclass(slots=True)
class _Taken:
    """Of one cell so far: seconds for the whole input, one of each a round; ``loops`` passes over it make a value."""

    packed_bytes: int = 0
    loops: int = 1
    compress_s: tuple[float, ...] = ()
    decompress_s: tuple[float, ...] = ()
    cpu_s: tuple[float, ...] = ()


def cells_of(specs: Sequence[Spec], unit_sizes: Sequence[int], threads: Sequence[int]) -> list[Cell]:
    """Every codec with every unit and every number of threads, memcpy first."""
    return [Cell(spec, unit, many) for many in threads for unit in unit_sizes for spec in (MEMCPY, *specs)]


def measure(pages: Pages, cells: Sequence[Cell], values: int, on_progress: OnProgress) -> tuple[BenchCell, ...]:
    """``values`` of each cell, after a round that counts for nothing.

    :raises CodecError: a codec failed, or gave other bytes than it was given. :raises MissingError: it cannot be opened.
    """
    taken = {cell: _Taken() for cell in cells}
    steps = (values + 1) * len(cells)
    for number in range(values + 1):
        for place, cell in enumerate(cells if number % 2 else reversed(cells)):
            raise_if_arrived()
            on_progress(number * len(cells) + place, steps, cell)
            try:
                _round(pages, cell, taken[cell], warm_up=not number)
            except BackendUnavailable as exc:
                raise MissingError(str(exc)) from exc
            except BackendError as exc:
                raise CodecError(f"{cell.spec}: {exc}") from exc
    return tuple(_told(cell, taken[cell]) for cell in cells)


def _told(cell: Cell, taken: _Taken) -> BenchCell:
    return BenchCell(
        codec=str(cell.spec),
        backend=cell.spec.backend,
        level=cell.spec.level,
        unit_bytes=cell.unit_bytes,
        threads=cell.threads,
        packed_bytes=taken.packed_bytes,
        loops=taken.loops,
        compress_s=taken.compress_s,
        decompress_s=taken.decompress_s,
        compress_cpu_s=taken.cpu_s,
    )


def _round(pages: Pages, cell: Cell, taken: _Taken, *, warm_up: bool) -> None:
    with ExitStack() as stack:
        packing, opening = (_made(stack, cell) for _ in range(2))
        units = _groups(pages.units(cell.unit_bytes), packing[0])
        for each in packing:
            each.open()
        for each in opening:
            each.open_decoder()
        if not packing[0].info.stateful:  # what it makes at its first batch is not the others' cost
            for each in packing:
                each.compress(units[0][0])
        packed: list[Buffer] = [b""] * len(units)

        def pack(backend: Backend, at: int) -> Buffer:
            *held, last = units[at]
            packed[at] = (
                b"".join((*map(backend.hold, held), backend.compress(last))) if held else backend.compress(last)
            )
            return packed[at]

        def restore(backend: Backend, at: int) -> Buffer:
            return backend.decompress(packed[at], sum(map(len, units[at])))

        compress_s, cpu_s = _timed(packing, len(units), pack, taken.loops)
        if warm_up:
            taken.packed_bytes = sum(map(len, packed))
            if not packing[0].info.stateful:
                taken.loops = min(_MOST_LOOPS, max(1, round(_LEAST_S / compress_s)))
            _check(cell, opening, units, restore)
            return
        decompress_s, _ = _timed(opening, len(units), restore, taken.loops)
    taken.compress_s += (compress_s,)
    taken.decompress_s += (decompress_s,)
    taken.cpu_s += (cpu_s,)


def _made(stack: ExitStack, cell: Cell) -> list[Backend]:
    """One for each thread, or one with so many threads."""
    first = made(cell.spec)
    found = [first, *(made(cell.spec) for _ in range(cell.threads - 1) if not first.info.stateful)]
    if first.info.stateful:
        first.threads = cell.threads
    for backend in found:
        stack.callback(backend.close)
    return found


def _groups(units: Sequence[memoryview], backend: Backend) -> list[Group]:
    """What one piece of output is for: a unit, or as many as may be held and one more."""
    most = 1 + MOST_HELD_BYTES // len(units[0]) if backend.info.stateful else 1
    return [[*units[at : at + most]] for at in range(0, len(units), most)]


def _stretch(number: int, of: int, units: int) -> range:
    return range(number * units // of, (number + 1) * units // of)


def _check(cell: Cell, backends: Sequence[Backend], units: Sequence[Group], restore: Call) -> None:
    for number, backend in enumerate(backends):
        for at in _stretch(number, len(backends), len(units)):
            whole = b"".join(units[at])
            if restore(backend, at) != whole:
                size = len(whole)
                raise CodecError(
                    f"{cell.spec}: unit {at} of {size} bytes came back different; qualify it: its speed says nothing"
                )


def _timed(backends: Sequence[Backend], units: int, call: Call, loops: int) -> tuple[float, float]:
    """Seconds for one pass over all units, and CPU seconds of this process and what it started."""
    barrier = threading.Barrier(len(backends) + 1)
    faults: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait()
        try:
            for _ in range(loops):
                for at in _stretch(number, len(backends), units):
                    call(backends[number], at)
        except BaseException as exc:
            faults.append(exc)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(backends))]
    for thread in threads:
        thread.start()
    cpu_before_s = _cpu_s()
    barrier.wait()
    began_s = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began_s
    if faults:
        raise faults[0]
    return elapsed_s / loops, (_cpu_s() - cpu_before_s) / loops


def _cpu_s() -> float:
    """Of this process, finer than the kernel's ticks, and of a device's worker processes."""
    return time.process_time() + sum(tree_cpu_s(child.pid) for child in psutil.Process().children())
