"""The device fails in the middle of a migration: how soon the fallback has the batch, and that no page is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backends import registry
from backends.api import BackendError, BackendUnavailable, Buffer
from harness.errors import PageferryError
from harness.migrator.carry.codec import Decoder, Encoder, Job
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, Value, check
from harness.qualify.load import slices
from harness.wire.batch import PageBatch

CHECKS: list[Check] = []

_FALLBACK = ("isal", 1)
_UNIT_BYTES = 1 << 20
_BEFORE, _AFTER = 8, 70
_PAGE_BYTES = 4096
_RECOVERY_S = 5.0


@dataclass(slots=True)
class _Course:
    """What became of the batches."""

    slowest_before_ms: float = 0.0
    slowest_after_ms: float = 0.0
    lost_pages: int = 0
    refused: int = 0
    fallbacks: int = 0
    detected_at: int | None = None
    recovered_s: float | None = None


@check(
    CHECKS,
    "faults.error",
    "a batch that it refuses (queue full, no memory) is compressed by the fallback, and none is lost",
    "a busy card refuses; the migration must go on",
)
def _error(bench: Bench) -> Found:
    def fail_once(encoder: Encoder) -> None:
        def refuse(_: Buffer) -> Buffer:
            del encoder.backend.compress  # the class's own again
            raise BackendError(f"backend {bench.job.backend!r}: injected: queue full")

        encoder.backend.compress = refuse  # type: ignore[method-assign, assignment]

    return _judged("error", _course(bench, fail_once))


def _injected(fault: str, what: str, reason: str) -> None:
    @check(CHECKS, f"faults.{fault}", what, reason, limit_s=90, alone=True)
    def _run(bench: Bench) -> Found:
        if fault not in bench.info.faults:
            raise NotApplicable(f"it offers no way to inject this: {fault!r} is not in info.faults")
        return _judged(fault, _course(bench, lambda encoder: encoder.backend.inject(fault)))


_injected(
    "death",
    "its driver or device dies: the fallback has the batch in time",
    "a driver that crashes must not take the guest along",
)
_injected("stall", "its device hangs: the time limit ends it", "a batch that never comes back stops the migration")
_injected(
    "wrong-data",
    "its device gives wrong data: it is noticed, and none reaches the guest",
    "the worst that a card can do",
)
_injected("queue-full", "its device takes no more: the fallback does", "other guests use the card too")


def _judged(fault: str, course: _Course) -> Found:
    if not course.fallbacks and not course.refused:
        raise Failed(f"{fault} was injected, and nothing noticed it: no fallback, no refusal")
    if course.refused and fault != "wrong-data":
        raise Failed(
            f"after {fault} {course.refused} batches were refused by the receiver: the migration would have failed"
        )
    row = {
        "fault": fault,
        "detected_ms": round(course.slowest_after_ms, 2),
        "fallback_ms": round(max(0.0, course.slowest_after_ms - course.slowest_before_ms), 2),
        "pages_lost": course.lost_pages,
    }
    back = "never" if course.recovered_s is None else f"after {course.recovered_s:.2f} s"
    refused = f", {course.refused} refused by the receiver" if course.refused else ""
    evidence = (
        f"noticed at batch {course.detected_at} after it; {course.fallbacks} batches fell back{refused}; the slowest took "
        f"{course.slowest_after_ms:.1f} ms, before the fault {course.slowest_before_ms:.1f} ms; it compressed again {back}"
    )
    values = (
        Value("fallback_ms", row["detected_ms"], "ms"),  # type: ignore[arg-type]
        Value("pages_lost", course.lost_pages, "pages"),
    )
    return Found(evidence, values, {"faults": [row]})


def _course(bench: Bench, inject: Callable[[Encoder], None]) -> _Course:
    """Batches one after another through our own encoder, a fault among them, each frame restored and compared."""
    course = _Course()
    encoder, decoder = _pair(bench)
    units = slices(_UNIT_BYTES)
    try:
        encoder.backend.open()
        for number in range(_BEFORE):
            course.slowest_before_ms = max(
                course.slowest_before_ms, _one(encoder, decoder, units[number], number, course)
            )
        if encoder.fallbacks or course.refused:
            raise Failed(f"before any fault: {encoder.fallback_reason or 'a frame was refused'}")
        inject(encoder)
        injected_s = time.monotonic()
        for number in range(_BEFORE, _BEFORE + _AFTER):
            known = encoder.fallbacks + course.refused
            took_ms = _one(encoder, decoder, units[number % len(units)], number, course)
            course.slowest_after_ms = max(course.slowest_after_ms, took_ms)
            if course.detected_at is None and (encoder.fallbacks or course.refused):
                course.detected_at = number - _BEFORE + 1
            elif course.detected_at is not None and course.recovered_s is None and _unharmed(encoder, course, known):
                course.recovered_s = time.monotonic() - injected_s
        _await_recovery(encoder, decoder, units[0], course, injected_s)
        course.fallbacks = encoder.fallbacks
    finally:
        encoder.close()
        decoder.close()
    return course


def _await_recovery(encoder: Encoder, decoder: Decoder, unit: memoryview, course: _Course, injected_s: float) -> None:
    while course.recovered_s is None and time.monotonic() < injected_s + _RECOVERY_S:
        known = encoder.fallbacks + course.refused
        _one(encoder, decoder, unit, 0, course)
        if _unharmed(encoder, course, known):
            course.recovered_s = time.monotonic() - injected_s
        time.sleep(0.05)


def _unharmed(encoder: Encoder, course: _Course, known: int) -> bool:
    """The device compressed the last batch, and right."""
    return encoder.fallbacks + course.refused == known


def _pair(bench: Bench) -> tuple[Encoder, Decoder]:
    name, level = ("zlib", 1) if bench.job.backend == _FALLBACK[0] else _FALLBACK
    cls = registry.load(name)
    try:
        cls.probe()
    except BackendUnavailable as exc:
        raise NotApplicable(f"the fallback is missing: {exc}") from exc
    return Encoder(bench.make(), cls(level)), Decoder((lambda: registry.create("none"), bench.cls, cls))


def _one(encoder: Encoder, decoder: Decoder, unit: memoryview, number: int, course: _Course) -> float:
    """Milliseconds to a frame. What a guest would get is compared with what entered."""
    began_s = time.perf_counter()
    packed = encoder.encode(Job(number, PageBatch(unit)))
    took_ms = (time.perf_counter() - began_s) * 1e3
    try:
        delivered = decoder.decode((packed.message.joined(),))[0].raw
    except PageferryError:
        course.refused += 1  # the migration would fail here, and the source guest run on
    else:
        course.lost_pages += (
            sum(
                delivered[at : at + _PAGE_BYTES] != unit[at : at + _PAGE_BYTES]
                for at in range(0, len(unit), _PAGE_BYTES)
            )
            if delivered != unit
            else 0
        )
    return took_ms
