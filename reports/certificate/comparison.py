"""Two certificates side by side: every check's status and every measurement, with its change. Knows no HTML.

One measurement stands against one: there are no statistics here, and a change is not called better or worse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.results.certificate import Certificate, CheckResult, Measurement
from reports.certificate.view import (
    STATUS_WORDS,
    Pairs,
    counts_text,
    fact_text,
    facts,
    limits,
    name_text,
    value_text,
    warnings,
)
from reports.numbers import percent
from reports.table import Table

_NONE = "-"
_MUST_AGREE = (("backend_class", "class"), ("profile", "profile"), ("level", "level"))


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measurement of one check in both certificates; of a check without measurements, its status only.

    ``a`` and ``b`` are texts with their unit, ``-`` where there is none.
    """

    check: str
    name: str
    unit: str
    a: str
    b: str
    change: str
    status_a: str
    status_b: str

    @property
    def differs(self) -> bool:
        """The check's status is not the same."""
        return self.status_a != self.status_b


@dataclass(frozen=True, slots=True)
class SideView:
    """One of the two, in short."""

    label: str
    backend: str
    passed: bool
    counts: str
    facts: Pairs
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The page. ``changed`` are the rows of checks whose status differs, ``rows`` all others; ``differences`` of all else."""

    sides: tuple[SideView, SideView]
    warnings: tuple[str, ...]
    changed: tuple[ComparisonRow, ...]
    rows: tuple[ComparisonRow, ...]
    differences: tuple[Table, ...]


def _named(check: CheckResult | None) -> dict[tuple[str, str], Measurement]:
    return {} if check is None else {(each.name, each.unit): each for each in check.measurements}


def _text(measurement: Measurement | None) -> str:
    return _NONE if measurement is None else value_text(measurement)


def _status(check: CheckResult | None) -> str:
    return _NONE if check is None else STATUS_WORDS[check.status]


def _change(a: Measurement | None, b: Measurement | None) -> str:
    if a is None or b is None or not (math.isfinite(a.value) and math.isfinite(b.value)):
        return _NONE
    if a.value == b.value:
        return percent(0)
    return percent((b.value - a.value) / abs(a.value) * 100) if a.value else _NONE


def _check_rows(check_id: str, a: CheckResult | None, b: CheckResult | None) -> Iterator[ComparisonRow]:
    mine, other = _named(a), _named(b)
    for name, unit in {**mine, **other}.keys() or [("", "")]:
        left, right = mine.get((name, unit)), other.get((name, unit))
        yield ComparisonRow(
            check_id, name, unit, _text(left), _text(right), _change(left, right), _status(a), _status(b)
        )


def comparison_rows(a: Certificate, b: Certificate) -> list[ComparisonRow]:
    """Every measurement of both: checks whose status differs first, else in the order of ``a``, then of ``b``."""
    left, right = ({check.id: check for check in each.checks} for each in (a, b))
    rows = [row for key in {**left, **right} for row in _check_rows(key, left.get(key), right.get(key))]
    return sorted(rows, key=lambda row: not row.differs)


def _side(label: str, certificate: Certificate) -> SideView:
    return SideView(
        label,
        certificate.backend,
        certificate.verdict == "pass",
        counts_text(certificate.checks),
        facts(certificate),
        warnings(certificate),
    )


def _table(title: str, labels: tuple[str, str], rows: Iterable[tuple[str, str, str]], missing: str) -> Table:
    return Table(title, ("What", *labels), tuple(rows), words=(0, 1, 2), missing=missing)


def _differences(a: Certificate, b: Certificate, labels: tuple[str, str]) -> tuple[Table, ...]:
    """Every fact of both devices, the same or not: a reader must see what was compared. Of all else what differs."""
    devices = [key for key in {**a.identity, **b.identity} if key not in ("backend", "version")]
    hosts = [k for k in {**a.environment, **b.environment} if a.environment.get(k) != b.environment.get(k)]
    mine, other = limits(a), limits(b)
    held = [key for key in {**mine, **other} if mine.get(key) != other.get(key)]
    return (
        _table("Devices", labels, _facts(devices, a.identity, b.identity), "Neither says anything about a device."),
        _table("Environment, where it differs", labels, _facts(hosts, a.environment, b.environment), "No difference."),
        _table(
            "Thresholds, where they differ",
            labels,
            ((key, mine.get(key) or _NONE, other.get(key) or _NONE) for key in held),
            "No difference.",
        ),
    )


def _facts(keys: Iterable[str], a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    return ((name_text(key), fact_text(key, a.get(key)), fact_text(key, b.get(key))) for key in keys)


def _doubts(a: Certificate, b: Certificate) -> Iterator[str]:
    for field, word in _MUST_AGREE:
        if getattr(a, field) != getattr(b, field):
            yield f"The {word} is not the same: their figures answer different questions."
    if a.environment.get("cpu_model") != b.environment.get("cpu_model"):
        yield "The hosts are not the same: a change may be the host's."
    if limits(a) != limits(b):
        yield "The thresholds are not the same: a status may differ though the figures do not."


def compare_certificates(a: Certificate, b: Certificate, labels: tuple[str, str]) -> ComparisonView:
    """Everything on the page that compares ``b`` with ``a``."""
    rows = comparison_rows(a, b)
    return ComparisonView(
        sides=(_side(labels[0], a), _side(labels[1], b)),
        warnings=tuple(_doubts(a, b)),
        changed=tuple(row for row in rows if row.differs),
        rows=tuple(row for row in rows if not row.differs),
        differences=_differences(a, b, labels),
    )
