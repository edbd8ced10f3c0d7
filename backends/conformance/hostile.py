"""Rules about input that no honest peer sends: it must be refused, with a BackendError, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc
import zlib

from backends.api import MAX_BATCH_BYTES
from backends.conformance.rig import Rig, Rule, Violation, rule
from backends.conformance.samples import sample

__all__ = ["RULES"]

RULES: list[Rule] = []

_BLOCKS = (("text", 0), ("text", 1), ("text", 4096), ("random", 4096), ("runs", 5000), ("zero", 65536))
_BOMB_BYTES = 64 << 20
_ALLOWED_BYTES = 1 << 20
"""On top of a copy of the input, which zlib's own binding keeps of what it did not use."""
_WBITS = {"deflate": -15, "zlib": 15, "gzip": 31}


@rule(RULES, "truncated", "a batch cut short anywhere is refused")
def _truncated(rig: Rig) -> str:
    cuts = 0
    for kind, size in _BLOCKS:
        packed = rig.pack(sample(kind, size))
        for kept in _cut_points(len(packed)):
            rig.refuses(packed[:kept], size, f"{size} bytes of {kind}, cut to {kept} of {len(packed)}")
            cuts += 1
    return f"{cuts} cuts through {len(_BLOCKS)} batches"


def _cut_points(length: int) -> list[int]:
    ends = {*range(min(length, 64)), *range(max(0, length - 64), length)}
    return sorted(ends | set(range(0, length, length // 100 + 1)))


@rule(RULES, "trailing", "bytes behind a batch's end are refused")
def _trailing(rig: Rig) -> str:
    for kind, size in _BLOCKS:
        packed = rig.pack(sample(kind, size))
        tails = {"a zero": b"\0", "0xff": b"\xff", "eight zeros": bytes(8), "a random page": sample("random", 4096)}
        for what, tail in tails.items():
            rig.refuses(packed + tail, size, f"{size} bytes of {kind} with {what} behind")
        if packed:
            rig.refuses(packed * 2, size, f"{size} bytes of {kind}, twice")
    return f"five tails behind {len(_BLOCKS)} batches"


@rule(RULES, "damaged", "damage is refused, or gives wrong data of the right size: never more, never another exception")
def _damaged(rig: Rig) -> str:
    data = sample("text", 600)
    packed = rig.pack(data)
    undetected = 0
    for bit in range(8 * len(packed)):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        undetected += _survives(rig, bytes(flipped), len(data), f"bit {bit} flipped")
    rng = random.Random(7)  # noqa: S311 - test data, not secrets
    for number in range(300):
        _survives(rig, rng.randbytes(rng.randrange(200)), len(data), f"garbage {number}")
    return f"{8 * len(packed)} flipped bits ({undetected} gave {len(data)} bytes), 300 pieces of garbage"


def _survives(rig: Rig, packed: bytes, raw_bytes: int, what: str) -> bool:
    raw = rig.outcome(packed, raw_bytes, what)
    if raw is not None and len(raw) != raw_bytes:
        raise Violation(f"{what}: gave {len(raw)} bytes where {raw_bytes} were asked for")
    return raw is not None


@rule(RULES, "wrong-size", "a batch that holds more or fewer bytes than asked for is refused")
def _wrong_size(rig: Rig) -> str:
    asked = 0
    for kind, size in _BLOCKS:
        packed = rig.pack(sample(kind, size))
        for raw_bytes in {0, 1, size // 2, size - 1, size + 1, 2 * size, 4096 + size, MAX_BATCH_BYTES} - {size, -1}:
            rig.refuses(packed, raw_bytes, f"{size} bytes of {kind}, asked for as {raw_bytes}")
            asked += 1
    return f"{asked} wrong sizes of {len(_BLOCKS)} batches"


@rule(RULES, "absurd-size", "a size that no batch has is refused before anything is allocated for it")
def _absurd_size(rig: Rig) -> str:
    packed = rig.pack(sample("text", 4096))
    sizes = (-1, -4096, rig.info.most_restored_bytes + 1, 1 << 31, (1 << 32) + 4096, 1 << 40, 1 << 70)
    for raw_bytes in sizes:
        what = f"a batch asked for as {raw_bytes} bytes"
        _require_modest(_peak_bytes(rig, packed, raw_bytes, what), packed, what)
    return f"{len(sizes)} sizes from -4096 to 2**70"


@rule(RULES, "bomb", "a small batch that expands hugely is refused, in bounded memory")
def _bomb(rig: Rig) -> str:
    bombs = {f"{MAX_BATCH_BYTES} zeros of its own": rig.pack(bytes(MAX_BATCH_BYTES))}
    wbits = _WBITS.get(rig.info.format or "")
    if wbits is not None:
        packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
        bombs[f"{_BOMB_BYTES} zeros by zlib"] = packer.compress(bytes(_BOMB_BYTES)) + packer.flush()
    peaks = {what: _peak_bytes(rig, bomb, 4096, what) for what, bomb in bombs.items()}
    for what, peak_bytes in peaks.items():
        _require_modest(peak_bytes, bombs[what], f"{what}, asked for as 4096 bytes")
    return "; ".join(f"{what}: {peak_bytes} bytes at the peak" for what, peak_bytes in peaks.items())


def _require_modest(peak_bytes: int, packed: bytes, what: str) -> None:
    if peak_bytes > _ALLOWED_BYTES + len(packed):
        raise Violation(f"{what}: took {peak_bytes} bytes of memory to refuse")


def _peak_bytes(rig: Rig, packed: bytes, raw_bytes: int, what: str) -> int:
    """Memory that a refusal took: Python's allocator only, which the output of every binding comes from."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        rig.refuses(packed, raw_bytes, what)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


@rule(RULES, "recovery", "an instance works on after it refused something")
def _recovery(rig: Rig) -> str:
    if rig.info.stateful:
        return "it keeps state: damage ends its stream"
    data = sample("text", 30_000)
    packed = rig.pack(data)
    bad = {"half of it": packed[: len(packed) // 2], "nothing": b"", "noise": sample("random", len(packed))}
    for what, piece in bad.items():
        instance = rig.make()
        try:
            instance.decompress(piece, len(data))
        except Exception as exc:
            refusal = type(exc).__name__
        else:
            refusal = "no error"
        if bytes(instance.decompress(packed, len(data))) != data:
            raise Violation(f"after {what} ({refusal}) a good batch came back wrong")
        if bytes(instance.decompress(instance.compress(data), len(data))) != data:
            raise Violation(f"after {what} ({refusal}) compressing went wrong")
    return f"{len(bad)} refusals, each with a good batch behind it"
