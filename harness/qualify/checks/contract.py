"""The rules of ``backends.conformance`` as checks, and two more about the output's size and what of the input is in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from backends.api import MAX_BATCH_BYTES
from backends.conformance import RULES, Rig, Rule, Unjudged, Violation, sample
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, Value, check

CHECKS: list[Check] = []

_REASONS: Mapping[str, str] = {
    "identity": "what a backend says of itself decides batch sizes, threads and levels",
    "round-trip": "a guest whose memory comes back different is lost",
    "buffers": "batches lie where QEMU's stream put them, at any alignment",
    "ownership": "a batch's buffer is used again as soon as the call is over",
    "levels": "an operator chooses a level, and an error must be told before the migration",
    "options": "a misspelt option must not be ignored",
    "plain-receiver": "the destination knows nothing of the source's settings, and need not have the card",
    "deterministic": "where output is said to be repeatable, reports and golden files rely on it",
    "order": "several threads restore batches in any order",
    "hold": "with a history, several threads have work only while nobody waits for each batch",
    "format": "a standard format is what lets any host restore",
    "lifecycle": "a sender counts what a backend did, and closes it",
}
_WBITS = {"deflate": -15, "zlib": 15, "gzip": 31}


def rule_check(checks: list[Check], check_id: str, rule_id: str, reason: str) -> None:
    """Make a conformance rule a check."""
    rule = RULES[rule_id]
    checks.append(Check(check_id, rule.text, reason, _runner(rule), limit_s=90))


def _runner(rule: Rule) -> Callable[[Bench], Found]:
    def run(bench: Bench) -> Found:
        with bench.rig() as rig:
            try:
                return Found(rule.run(rig))
            except Violation as exc:
                raise Failed(str(exc)) from exc
            except Unjudged as exc:
                raise NotApplicable(str(exc)) from exc

    return run


for _rule_id, _reason in _REASONS.items():
    rule_check(CHECKS, f"contract.{_rule_id}", _rule_id, _reason)


@check(
    CHECKS,
    "contract.bound",
    "no output is larger than info.bound_bytes says",
    "buffers for a card are made before the batch is known; what does not fit is lost or written over something else",
)
def _bound(bench: Bench) -> Found:
    sizes = (0, 1, 100, 4095, 4096, 65536, bench.info.batch_bytes, MAX_BATCH_BYTES)
    worst, where = 0.0, ""
    with bench.rig() as rig:
        for size in sizes:
            for kind in ("random", "packed", "skewed", "zero"):
                packed_bytes, bound_bytes = len(rig.pack(sample(kind, size))), bench.info.bound_bytes(size)
                if packed_bytes > bound_bytes:
                    raise Failed(f"{size} bytes of {kind} gave {packed_bytes}, more than the {bound_bytes} declared")
                if size >= 65536 and packed_bytes / size > worst:
                    worst, where = packed_bytes / size, f"{size} bytes of {kind}"
    return Found(
        f"{len(sizes)} sizes of four kinds; the largest share of its input: {worst:.4f}, {where}",
        (Value("largest_output_share", worst, ""),),
    )


@check(
    CHECKS,
    "contract.consumed",
    "output holds every byte that was given, at every size up to the largest",
    "cards have been seen to report success with input left over (intel/QATzip#104)",
)
def _consumed(bench: Bench) -> Found:
    sizes = sorted({
        size
        for power in range(10, MAX_BATCH_BYTES.bit_length())
        for size in ((1 << power) - 1, 1 << power, (1 << power) + 1, 3 << (power - 1))
        if size <= MAX_BATCH_BYTES
    })  # fmt: skip
    with bench.rig() as rig:
        for size in sizes:
            data = sample("text", size)
            held = _held_bytes(rig, rig.pack(data), size)
            if held != size:
                raise Failed(f"of {size} bytes given, {held} are in the output, and the call succeeded")
    return Found(f"{len(sizes)} sizes from {sizes[0]} to {sizes[-1]} bytes")


def _held_bytes(rig: Rig, packed: bytes, size: int) -> int | str:
    """Counted by zlib where it knows the format, otherwise by the backend itself."""
    wbits = _WBITS.get(rig.info.format or "")
    if wbits is not None:
        try:
            return len(zlib.decompressobj(wbits).decompress(packed, MAX_BATCH_BYTES + 1))
        except zlib.error as exc:
            return f"an unknown number ({exc})"
    try:
        return len(rig.unpack(packed, size))
    except Exception as exc:
        return f"another number ({' '.join(str(exc).split())})"
