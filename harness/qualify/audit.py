"""What a certificate may claim: its verdict made anew from its values, by the shipped checks and limits, whatever it says itself.

A certificate is a file, and anybody can edit one. This cannot tell that a value was invented; it tells every check that was left
out, limit that was moved, status that does not follow, and value that its own rows contradict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from harness.qualify.catalogue import CHECKS
from harness.qualify.identity import CLASSES
from harness.qualify.thresholds import Limits, load_thresholds
from harness.results.certificate import Certificate, CheckResult, Measurement, verdict_of

# Checks that some backends or machines have nothing for; every other one applies to all.
_MAY_NOT_APPLY = ("concurrency.fork", "cost.", "crossing.", "faults.", "hostile.pages", "migration.", "speed.")
# What a check that passed has measured, as far as any class holds it to a limit; by id, or group with a dot.
_MEASURES: Mapping[str, tuple[str, ...]] = {
    "speed.surface": ("compress_mib_per_s", "decompress_mib_per_s"),
    "speed.latency": ("latency_p99_ms", "latency_p999_ms"),
    "cost.offload-real": ("host_busy_share",),
    "faults.": ("fallback_ms", "pages_lost"),
    "endurance.leaks": (
        "leak_bytes_per_call", "leak_kib_per_instance", "leaked_descriptors", "leaked_threads", "leaked_processes",
    ),
    "endurance.noisy-neighbour": ("noisy_share", "noisy_failures"),
    "endurance.soak": ("soak_drift", "soak_growth_mib", "soak_failures"),
    "migration.throttled": ("migration_unverified", "migration_fallback_share"),
}  # fmt: skip

_OF_ROWS = frozenset({
    "compress_mib_per_s", "decompress_mib_per_s", "latency_p99_ms", "latency_p999_ms", "fallback_ms", "pages_lost",
})  # fmt: skip
"""Values for which ``_raw`` has rows."""


def audit(certificate: Certificate) -> tuple[str, ...]:
    """A sentence for everything that is not as shipped, or does not follow from what is under it. None: it may be believed as
    far as its values may."""
    if certificate.backend_class not in CLASSES:
        return (f"class {certificate.backend_class!r} is none of {', '.join(CLASSES)}: no limits are known for it",)
    limits = load_thresholds(None, certificate.backend_class)
    found = [*_identity(certificate), *_limits(certificate.thresholds, limits), *_catalogue(certificate)]
    for check in certificate.checks:
        found += (f"{check.id}: {words}" for words in _check(check, limits))
    verdict = verdict_of(certificate.checks)
    if certificate.verdict != verdict:
        found.append(f"the verdict says {certificate.verdict}; by its checks it is {verdict}")
    return tuple(found)


def _identity(certificate: Certificate) -> Iterator[str]:
    identity = certificate.identity
    cpu, stand_in = identity.get("device") == "this host's CPU", identity.get("type") == "CPU"
    belongs = "software" if cpu else "stand-in" if stand_in else "accelerator"
    if belongs != certificate.backend_class:
        yield f"held to the limits of class {certificate.backend_class}; by its device it is of class {belongs}"


def _limits(own: Limits, shipped: Limits) -> Iterator[str]:
    for name in {**shipped, **own}:
        if own.get(name, {}) != shipped.get(name, {}):
            yield f"threshold {name}: {_words(own.get(name, {}))}; shipped: {_words(shipped.get(name, {}))}"


def _words(limit: Mapping[str, float]) -> str:
    words = [f"at {side} {value:g}" for side, value in limit.items()]
    return " and ".join(words) or "no limit"


def _catalogue(certificate: Certificate) -> Iterator[str]:
    ids = [check.id for check in certificate.checks]
    if missing := [check_id for check_id in CHECKS if check_id not in ids]:
        how = "partial" if certificate.partial else "left out, though it does not say that it is partial"
        yield f"{len(missing)} of {len(CHECKS)} checks are not in it ({how}): {', '.join(missing)}"
    if strange := sorted({check_id for check_id in ids if check_id not in CHECKS or ids.count(check_id) > 1}):
        yield f"checks that are unknown, or there twice: {', '.join(strange)}"


def _check(check: CheckResult, limits: Limits) -> Iterator[str]:
    if check.status == "n/a":
        if not check.id.startswith(_MAY_NOT_APPLY):
            yield "said not to apply, but it applies to every backend"
        if check.measurements or check.data:
            yield "said not to apply, but it measured something"
    elif check.status == "pass":
        values = {each.name: each for each in check.measurements}
        for key, names in _MEASURES.items():
            for name in names if check.id.startswith(key) else ():
                if name not in values and limits.get(name):
                    yield f"passed without {name}, which is held to {_words(limits[name])}"
    raw = _raw(check)
    for each in check.measurements:
        yield from _measurement(each, limits.get(each.name, {}), passed=check.status == "pass")
        if each.name in _OF_ROWS and each.name not in raw:
            yield f"{each.name} is said to be {each.value:g}; the rows that bear it out are left out"
        elif each.name in raw and not math.isclose(each.value, raw[each.name], rel_tol=1e-3, abs_tol=0.01):
            yield f"{each.name} is said to be {each.value:g}; its rows say {raw[each.name]:g}"


def _measurement(each: Measurement, limit: Mapping[str, float], *, passed: bool) -> Iterator[str]:
    own = {side: value for side in ("least", "most") if (value := getattr(each, side)) is not None}
    if own != limit:
        yield f"{each.name} is held to {_words(own)}; shipped: {_words(limit)}"
    if passed and not limit.get("least", -math.inf) <= each.value <= limit.get("most", math.inf):
        yield f"said to pass, but {each.name} is {each.value:g}, and the shipped limit is {_words(limit)}"


def _raw(check: CheckResult) -> dict[str, float]:
    """Values that the check's own rows give again, by name."""
    found: dict[str, object] = {}
    surface = check.data.get("surface", [])
    for row in surface:
        name = f"{row.get('direction')}_mib_per_s"
        if row.get("level") == surface[0].get("level"):
            found[name] = max(_number(found.get(name)), _number(row.get("mib_per_s")))
    for row in check.data.get("percentiles", []):
        if (row.get("unit_bytes"), row.get("direction")) == (65536, "compress"):
            found |= {f"latency_{name}_ms": row.get(f"{name}_ms") for name in ("p50", "p95", "p99", "p999")}
    for row in check.data.get("faults", []):
        found |= {"fallback_ms": row.get("detected_ms"), "pages_lost": row.get("pages_lost")}
    return {name: _number(value) for name, value in found.items()}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
