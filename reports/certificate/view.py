"""What a certificate's page says, as data: pure functions from a certificate to text. No HTML, no files, no charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.results.certificate import Certificate, CheckResult, Measurement, Status
from harness.results.stats import machine_doubts
from harness.units import format_bytes
from reports.certificate.rows import every_table
from reports.facts import minute_text
from reports.numbers import amount, figure_text, plural
from reports.table import Table

STATUS_WORDS: Mapping[Status, str] = {"pass": "passed", "fail": "failed", "n/a": "not applicable"}
_MARKS: Mapping[Status, str] = {"pass": "yes", "fail": "no", "n/a": "unknown"}
_HOST = ("host", "cpu_model", "cores", "memory_bytes", "os", "kernel", "virtualised", "qemu", "python", "pageferry")
_NAMES = {
    "host": "Host",
    "cpu_model": "CPU",
    "os": "System",
    "qemu": "QEMU",
    "python": "Python",
    "pageferry": "pageferry",
    "pcie": "PCIe",
    "pci": "PCI",
    "smt": "SMT",
    "kvm": "KVM",
    "virtualised": "Virtual machine",
    "memory_bytes": "Memory",
}
_STAND_IN = (
    "A CPU stood in for the card. This certifies the path to a device, through driver, queues and faults; "
    "it does not certify that a card pays."
)
_PARTIAL = "Partial: only some of the checks were asked for. What was not asked for is not certified."
_ONCE = (
    "Speeds and CPU times were measured in one qualification (n = 1): nothing is known of how much they vary from one to the next. "
    "Qualify again, and see with `pageferry qualify --compare A B`."
)
_NOTHING = "No check passed and none failed: nothing is certified."


@dataclass(frozen=True, slots=True)
class Line:
    """A measurement for a reader."""

    name: str
    value: str
    limit: str
    ok: bool


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check for a reader. ``mark`` is a class of the style sheet, beside ``status`` in words."""

    id: str
    title: str
    mark: str
    status: str
    lines: tuple[Line, ...]
    duration: str
    reason: str
    evidence: str
    command: str
    tables: tuple[Table, ...]

    @property
    def failed(self) -> bool:
        """It failed."""
        return self.mark == "no"


@dataclass(frozen=True, slots=True)
class GroupView:
    """Checks of one group, with how many of them have which status."""

    title: str
    counts: str
    checks: tuple[CheckView, ...]


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PageView:
    """A certificate's page without its charts."""

    backend: str
    passed: bool
    summary: str
    warnings: tuple[str, ...]
    facts: Pairs
    device: Pairs
    host: Pairs
    findings: tuple[str, ...]
    groups: tuple[GroupView, ...]
    failures: tuple[CheckView, ...]
    thresholds: Table
    thresholds_from: str
    environment: Table
    schema: str


def value_text(measurement: Measurement) -> str:
    """``3.214 ms``: with its unit, and with as many digits as tell it from a limit that it is not equal to."""
    text = figure_text(measurement.value)
    limits = [limit for limit in (measurement.least, measurement.most) if limit is not None]
    if any(figure_text(limit) == text and limit != measurement.value for limit in limits):
        text = repr(measurement.value)
    return f"{text}\u00a0{measurement.unit}" if measurement.unit else text


def limit_text(least: float | None, most: float | None) -> str:
    """``at least 500``, ``at most 50``, ``0.9 to 1.1``; nothing without limits."""
    if least is not None and most is not None:
        return f"{figure_text(least)} to {figure_text(most)}"
    if least is not None:
        return f"at least {figure_text(least)}"
    return "" if most is None else f"at most {figure_text(most)}"


def limits(certificate: Certificate) -> dict[str, str]:
    """What each value was held to; empty for no limit."""
    return {name: limit_text(held.get("least"), held.get("most")) for name, held in certificate.thresholds.items()}


def measurement_text(measurement: Measurement) -> str:
    """``latency_p99_ms: 3.214 ms, at most 50``, and that it is outside where it is."""
    words = [value_text(measurement), limit_text(measurement.least, measurement.most)]
    words += [] if measurement.ok else ["outside its limit"]
    return f"{measurement.name}: {', '.join(filter(None, words))}"


def _line(each: Measurement) -> Line:
    return Line(each.name, value_text(each), limit_text(each.least, each.most), each.ok)


def _duration(seconds: float) -> str:
    return f"{amount(seconds, 0 if seconds >= 10 else 1)} s"


def _check(check: CheckResult) -> CheckView:
    return CheckView(
        id=check.id,
        title=_sentence(check.title),
        mark=_MARKS[check.status],
        status=STATUS_WORDS[check.status],
        lines=tuple(map(_line, check.measurements)),
        duration=_duration(check.duration_s),
        reason=_sentence(check.reason),
        evidence=check.evidence,
        command=check.command,
        tables=every_table(check),
    )


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name out of a program."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def counts_text(checks: Sequence[CheckResult]) -> str:
    """``10 passed, 0 failed, 2 not applicable``."""
    count = {status: sum(check.status == status for check in checks) for status in STATUS_WORDS}
    return f"{count['pass']} passed, {count['fail']} failed, {count['n/a']} not applicable"


def _groups(checks: Sequence[CheckResult]) -> tuple[GroupView, ...]:
    by_group: dict[str, list[CheckResult]] = {}
    for check in checks:
        by_group.setdefault(check.group, []).append(check)
    return tuple(
        GroupView(_sentence(name), counts_text(members), tuple(map(_check, members)))
        for name, members in by_group.items()
    )


def name_text(key: str) -> str:
    """A fact's name for a reader."""
    return _NAMES.get(key) or _sentence(key.replace("_", " "))


def fact_text(key: str, value: object) -> str:
    """A fact's value for a reader; sizes in binary units."""
    if key.endswith("_bytes") and isinstance(value, int | float):
        return format_bytes(value)
    return figure_text(value)


def _pairs(facts: Mapping[str, Any]) -> Pairs:
    return tuple((name_text(key), fact_text(key, value)) for key, value in facts.items())


def facts(certificate: Certificate) -> Pairs:
    """What was qualified, as what, when."""
    options = ", ".join(f"{key}={figure_text(value)}" for key, value in certificate.options.items())
    level = "" if certificate.level is None else str(certificate.level)
    entries = (
        ("Version", certificate.version),
        ("Class", certificate.backend_class),
        ("Profile", certificate.profile + (", partial" if certificate.partial else "")),
        ("Level", level),
        ("Options", options),
        ("Thresholds", "as shipped" if certificate.thresholds_from == "shipped" else certificate.thresholds_from),
        ("Started", minute_text(certificate.started_at)),
        ("Took", _duration(certificate.duration_s)),
    )
    return tuple((name, text) for name, text in entries if text)


def warnings(certificate: Certificate) -> tuple[str, ...]:
    """What a reader of the verdict must know with it."""
    statuses = {check.status for check in certificate.checks}
    said = (
        (certificate.backend_class == "stand-in", _STAND_IN),
        (certificate.partial, _PARTIAL),
        (not statuses & {"pass", "fail"}, _NOTHING),
    )
    return (*(sentence for applies, sentence in said if applies), *doubts(certificate))


def doubts(certificate: Certificate) -> tuple[str, ...]:
    """What makes its figures less sure than they look: who else ran, and that each was measured once."""
    loaded = tuple(doubt.sentence for doubt in machine_doubts(certificate.environment))
    timed = any(
        each.unit for check in certificate.checks for each in check.measurements
    )  # what has none is a count or a share
    return (*loaded, _ONCE) if timed else loaded


def page(certificate: Certificate, unlike: Sequence[str] = ()) -> PageView:
    """Everything on a certificate's page but its charts. ``unlike``: what is not as shipped; it stands among its warnings."""
    known = {key: certificate.environment[key] for key in _HOST if certificate.environment.get(key) is not None}
    device = {key: v for key, v in certificate.identity.items() if key not in ("backend", "version")}
    return PageView(
        backend=certificate.backend,
        passed=certificate.verdict == "pass",
        summary=f"{plural(len(certificate.checks), 'check')}: {counts_text(certificate.checks)}",
        warnings=(*warnings(certificate), *(f"Not as shipped: {sentence}." for sentence in unlike)),
        facts=facts(certificate),
        device=_pairs(device),
        host=_pairs(known),
        findings=certificate.findings,
        groups=_groups(certificate.checks),
        failures=tuple(_check(check) for check in certificate.checks if check.status == "fail"),
        thresholds=Table(
            "Thresholds",
            ("Value", "Limit"),
            tuple((name, limit or "no limit") for name, limit in limits(certificate).items()),
            words=(0, 1),
            missing="No value was held to a limit.",
        ),
        thresholds_from=certificate.thresholds_from,
        environment=Table(
            "Environment",
            ("What", "Value"),
            _pairs(certificate.environment),
            words=(0, 1),
            missing="This certificate holds no environment.",
        ),
        schema=str(certificate.schema),
    )
