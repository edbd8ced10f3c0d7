"""Rules about input that a migration brings every day: it must come back, from any buffer, in any thread."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from backends.api import MAX_BATCH_BYTES, Backend, BackendError, Buffer
from backends.conformance.rig import Rig, Rule, Violation, require_equal, rule
from backends.conformance.samples import KINDS, sample

__all__ = ["RULES"]

RULES: list[Rule] = []

_SIZES = (0, 1, 15, 4095, 4096, 4097, 65535, 65536, 65537, 256 << 10, MAX_BATCH_BYTES - 1, MAX_BATCH_BYTES)
_THREADS, _ROUNDS, _PATIENCE_S = 8, 50, 120
_WBITS = {"deflate": -15, "zlib": 15, "gzip": 31}
_MOST_LEVELS = 16
_OWN_THREADS = (1, 2, 3)
_GROUPS = ((1, 1), (70_000, 0, 4096, 9), (5000,), (*[1 << 20] * 8, MAX_BATCH_BYTES), (4 << 20, 4 << 20, 1), (0, 4096))


@rule(RULES, "identity", "info is complete and consistent, and probe answers with one line")
def _identity(rig: Rig) -> str:
    info = rig.info
    low, high = info.levels or (0, 0)
    default = info.default_level
    faults = {
        f"name {info.name!r} is not lower-case letters, digits, dots and dashes": not re.fullmatch(
            r"[a-z0-9][a-z0-9._-]*", info.name
        ),
        f"levels {info.levels} descend": low > high,
        f"default level {default} is not among levels {info.levels}": (info.levels is None) != (default is None)
        or (default is not None and not low <= default <= high),
        f"batch_bytes {info.batch_bytes} is not whole 4 KiB pages up to {MAX_BATCH_BYTES}": info.batch_bytes % 4096 != 0
        or not 4096 <= info.batch_bytes <= MAX_BATCH_BYTES,
        f"decompress_share {info.decompress_share} is outside 0.01..16": not 0.01 <= info.decompress_share <= 16,
    }
    version = rig.cls.probe()
    faults[f"probe answers {version!r}"] = not version or "\n" in version
    for fault, found in faults.items():
        if found:
            raise Violation(fault)
    return version


@rule(RULES, "round-trip", "every size of every kind of data comes back byte for byte")
def _round_trip(rig: Rig) -> str:
    own = rig.info.batch_bytes
    sizes = sorted({*_SIZES, own - 1, own, min(own + 1, MAX_BATCH_BYTES)})
    cases = [(kind, size) for size in sizes for kind in KINDS]
    for kind, size in cases:
        data = sample(kind, size)
        rig.restores(rig.pack(data), data, f"{size} bytes of {kind}")
    return f"{len(cases)} batches of 0..{MAX_BATCH_BYTES} bytes"


@rule(RULES, "buffers", "input may be any C-contiguous buffer of bytes, at any alignment, read-only or not")
def _buffers(rig: Rig) -> str:
    data = sample("text", 20_000)
    packed = rig.pack(data)
    for (what, given), (_, back) in zip(_buffers_of(data), _buffers_of(packed), strict=True):
        rig.restores(rig.pack(given), data, f"compressed from {what}")
        rig.restores(back, data, f"decompressed from {what}")
    return ", ".join(what for what, _ in _buffers_of(data))


def _buffers_of(data: bytes) -> Iterator[tuple[str, Buffer]]:
    array = np.frombuffer(b"\0" + data, dtype=np.uint8).copy()
    yield "bytes", data
    yield "bytearray", bytearray(data)
    yield "memoryview", memoryview(bytearray(data))
    yield "read-only memoryview", memoryview(data)
    yield "an odd slice of a memoryview", memoryview(b"\0" + data + b"\0")[1:-1]
    yield "ndarray.data", array[1:].data
    array.flags.writeable = False
    yield "read-only ndarray.data", array[1:].data


@rule(RULES, "ownership", "input is left as it was and not kept; output changes with no later write to it")
def _ownership(rig: Rig) -> str:
    for kind in ("text", "random"):
        data = sample(kind, 10_000)
        given = bytearray(data)
        packed = rig.make().compress(given)
        _scribble(given, data, f"compress, {kind}")
        kept = bytes(packed)
        again = bytearray(kept)
        raw = rig.make().decompress(again, len(data))
        _scribble(again, kept, f"decompress, {kind}")
        require_equal(raw, data, f"{kind}, after its input was overwritten")
        rig.restores(packed, data, f"{kind}, compressed, after its input was overwritten")
    return "inputs overwritten and resized after each call"


def _scribble(given: bytearray, before: bytes, what: str) -> None:
    if given != before:
        raise Violation(f"{what}: the input was changed")
    given[:] = b"\xa5" * len(given)
    try:
        given.append(0)
    except BufferError as exc:
        raise Violation(f"{what}: the input is still held after the call") from exc


@rule(RULES, "levels", "each level works, and one outside info.levels is a BackendError")
def _levels(rig: Rig) -> str:
    data = sample("text", 30_000)
    low, high = rig.info.levels or (0, -1)
    levels = range(low, high + 1)
    tried = sorted({low, -1, 0, 1, rig.info.default_level or 0, high} & set(levels))
    for level in levels if len(levels) <= _MOST_LEVELS else tried:
        instance = rig.cls(level, **rig.options)
        packed = bytes(instance.compress(data))
        instance.close()
        rig.restores(packed, data, f"level {level}")
    outside = (low - 1, high + 1, -(10**9), 10**9) if rig.info.levels else (0, 1)
    for level in outside:
        _refuses_construction(rig, f"level {level}", level, {})
    return f"levels {rig.info.levels}" if rig.info.levels else "it has no levels"


@rule(RULES, "options", "an option that is not in info.options is a BackendError")
def _options(rig: Rig) -> str:
    _refuses_construction(rig, "an unknown option", None, {"no_such_option": 1})
    return ", ".join(rig.info.options) or "it has no options"


def _refuses_construction(rig: Rig, what: str, level: int | None, options: dict[str, object]) -> None:
    try:
        rig.cls(level, **options).close()
    except BackendError as exc:
        rig.well_formed(exc, what)
    except Exception as exc:
        raise Violation(f"{what}: {type(exc).__name__} instead of BackendError: {exc}") from exc
    else:
        raise Violation(f"{what} is accepted")


@rule(RULES, "plain-receiver", "an instance made without level and options restores what any other wrote")
def _plain_receiver(rig: Rig) -> str:
    data = sample("text", 50_000)
    packed = rig.pack(data)
    receiver = rig.cls()
    raw = bytes(receiver.decompress(packed, len(data)))
    receiver.close()
    require_equal(raw, data, "a receiver without settings")
    return f"written with level {rig.level}, options {rig.options}"


@rule(RULES, "threads", "several instances work side by side, one per thread")
def _threads(rig: Rig) -> str:
    faults: list[str] = []
    instances = [rig.make() for _ in range(_THREADS)]
    # Made beforehand: Python code between the calls would keep the threads from meeting inside the backend.
    supplies = [[sample(kind, 70_000, seed=number) for kind in KINDS] for number in range(_THREADS)]
    start = threading.Barrier(_THREADS)

    def work(number: int) -> None:
        start.wait()
        try:
            for turn in range(_ROUNDS):
                data = supplies[number][turn % len(KINDS)][turn : 20_000 + 501 * number + 797 * turn]
                raw = instances[number].decompress(instances[number].compress(data), len(data))
                require_equal(raw, data, f"thread {number}, round {turn}")
        except Exception as exc:
            faults.append(f"{type(exc).__name__}: {exc}")

    threads = [threading.Thread(target=work, args=(n,), name=f"conformance-{n}", daemon=True) for n in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE_S)
        if thread.is_alive():
            raise Violation(f"{thread.name} is still at work after {_PATIENCE_S} s")
    if faults:
        raise Violation(faults[0])
    return f"{_THREADS} threads x {_ROUNDS} rounds of distinct data"


@rule(RULES, "deterministic", "equal input gives equal output, where info.deterministic says so")
def _deterministic(rig: Rig) -> str:
    if not rig.info.deterministic:
        return "not declared"
    data, other = sample("text", 60_000), sample("runs", 70_000)
    first = rig.pack(data)
    rig.pack(other)
    if any(rig.pack(data) != first for _ in range(2)):  # two: buffers that take turns differ by turns
        raise Violation("one instance compressed the same 60000 bytes to two different outputs")
    if bytes(rig.make().compress(bytearray(data))) != first:
        raise Violation("two instances compressed the same 60000 bytes to two different outputs")
    return f"60000 bytes gave the same {len(first)} four times"


@rule(RULES, "order", "a stateless backend's batches decode in any order, a stateful one's in theirs")
def _order(rig: Rig) -> str:
    writer, reader = rig.make(), rig.make()
    batches = [sample("text", 9000 + n, seed=n % 3) for n in range(12)]
    packed = [bytes(writer.compress(data)) for data in batches]
    order = list(range(len(batches)))
    if not rig.info.stateful:
        order.reverse()
    for number in order:
        raw = reader.decompress(packed[number], len(batches[number]))
        require_equal(raw, batches[number], f"batch {number} of {len(batches)}")
    return "in theirs" if rig.info.stateful else "backwards"


@rule(
    RULES,
    "hold",
    "what a stateful backend holds comes back with the batch behind it, for any number of threads of its own",
)
def _hold(rig: Rig) -> str:
    if not rig.info.stateful:
        return "it keeps no history"
    cases = [(threads, sizes) for threads in _OWN_THREADS for sizes in _GROUPS]
    for threads in _OWN_THREADS:
        writer, reader = rig.make(), rig.make()
        writer.threads = threads
        for sizes in _GROUPS:
            batches = [sample(KINDS[(number + 2) % len(KINDS)], size, number) for number, size in enumerate(sizes)]
            packed = [_given(writer.hold, data) for data in batches[:-1]] + [_given(writer.compress, batches[-1])]
            raw = reader.decompress(b"".join(packed), sum(sizes))
            require_equal(raw, b"".join(batches), f"batches of {', '.join(map(str, sizes))} bytes, {threads} threads")
        rig.close()
    return (
        f"{len(cases)} groups of up to {max(map(sum, _GROUPS))} bytes, with {', '.join(map(str, _OWN_THREADS))} threads"
    )


def _given(take: Callable[[Buffer], Buffer], data: bytes) -> bytes:
    """What comes out for a buffer that is then overwritten."""
    given = bytearray(data)
    packed = bytes(take(given))
    _scribble(given, data, take.__name__)
    return packed


@rule(RULES, "format", "output in a format that Python's zlib knows is decoded by it")
def _format(rig: Rig) -> str:
    wbits = _WBITS.get(rig.info.format or "")
    if wbits is None:
        return f"format {rig.info.format} is not one of {', '.join(_WBITS)}"
    for kind in KINDS:
        data = sample(kind, 100_000)
        decoder = zlib.decompressobj(wbits)
        try:
            raw = decoder.decompress(rig.pack(data))
        except zlib.error as exc:
            raise Violation(f"{kind}: zlib says {exc}") from exc
        if not decoder.eof or decoder.unused_data:
            raise Violation(f"{kind}: zlib finds no end, or bytes behind it")
        require_equal(raw, data, f"{kind}, decoded by zlib")
    return f"{rig.info.format}, {len(KINDS)} kinds"


@rule(RULES, "lifecycle", "counters are numbers, and an instance closes whether it was used or not")
def _lifecycle(rig: Rig) -> str:
    used, unused = rig.cls(rig.level, **rig.options), rig.cls(rig.level, **rig.options)
    used.decompress(used.compress(bytes(4096)), 4096)
    counters = _counters(used)
    used.close()
    unused.close()
    shown = (
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in counters.items()
    )
    return ", ".join(shown) or "it counts nothing"


def _counters(backend: Backend) -> dict[str, int | float]:
    counters = dict(backend.counters())
    for name, value in counters.items():
        if not isinstance(name, str) or not isinstance(value, int | float):
            raise Violation(f"counter {name!r} is {value!r}, not a number")
    return counters
