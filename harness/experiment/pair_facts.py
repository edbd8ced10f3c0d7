"""What a run's result keeps of the reports of both halves, by the halves' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.migrator.document import to_document
from harness.migrator.report import ReceiverReport, SenderReport, SteeringReport
from harness.results.doubt import Doubt

Reports = Mapping[str, SenderReport | ReceiverReport]
"""None where no pair stood between the QEMUs."""


def _sender(reports: Reports) -> SenderReport | None:
    return next((report for report in reports.values() if isinstance(report, SenderReport)), None)


def pair_parameters(reports: Reports) -> dict[str, Any]:
    """``sender.backend`` and so on: what the halves report that they used."""
    keys = ("backend", "level", "threads", "fallback")
    return {
        f"{name}.{key}": getattr(report, key)
        for name, report in reports.items()
        for key in keys
        if hasattr(report, key)
    }


def pair_counters(reports: Reports) -> dict[str, int | float]:
    """What the halves counted, flat; ``fallbacks`` always."""
    sender = _sender(reports)
    counters: dict[str, int | float] = {"fallbacks": 0 if sender is None else sender.fallbacks}
    for name, report in reports.items():
        told = to_document(report)
        told |= (told.get("counters") or {}) | (told.get("steering") or {}) | (told.get("tls") or {})
        counters |= {f"{name}_{key}": value for key, value in told.items() if type(value) in (int, float)}
    if sender is not None and sender.policy is not None:
        counters |= {f"sender_share_{choice}": share for choice, share in sender.policy.shares.items()}
    return counters


def pair_decisions(reports: Reports) -> tuple[dict[str, Any], ...]:
    """What the policy of ``auto`` chose, and why."""
    sender = _sender(reports)
    return () if sender is None or sender.policy is None else tuple(map(to_document, sender.policy.decisions))


def pair_steering(reports: Reports, alone: SteeringReport | None = None) -> tuple[dict[str, Any], ...]:
    """What the source QEMU was told to believe, and why, by the sender or, where it migrated ``alone``, by the lab."""
    sender = _sender(reports)
    report = alone if sender is None else sender.steering
    return () if report is None else tuple(map(to_document, report.decisions))


def pair_doubts(reports: Reports) -> Iterator[Doubt]:
    """Whatever makes the halves' figures other than they seem."""
    sender = _sender(reports)
    return iter(()) if sender is None else sender.doubts()
