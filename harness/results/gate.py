"""What makes a comparison fail: ``worse``, or ``worse:total_time,downtime:5%``. Pure: changes in, reasons out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import UserError
from harness.names import unknown
from harness.results.inference import fewest_runs
from harness.results.metrics import METRICS
from harness.results.verdicts import Change, share_text
from harness.units import parse_share

_NAMES = {key.removesuffix("_s"): key for key, metric in METRICS.items() if metric.primary}
_FORM = f"write worse, or worse:METRIC[:PERCENT%],... with METRIC one of {', '.join(_NAMES)}"


@dataclass(frozen=True, slots=True)
class Gate:
    """``limits``: by metric, the share by which it may be worse."""

    limits: Mapping[str, float]

    def broken(self, changes: Iterable[tuple[str, Change]]) -> list[str]:
        """A reason for each method and metric that is worse by more than its limit."""
        return [
            f"{method}: {change.metric.words} is worse by {share_text(abs(change.ratio - 1))}"
            for method, change in changes
            if change.word == "worse" and abs(change.ratio - 1) > self.limits.get(change.metric.key, float("inf"))
        ]

    def check_can_fail(self, changes: Iterable[tuple[str, Change]]) -> None:
        """:raises UserError: of so few runs, or of no such figures, nothing could come out as worse."""
        watched = [change for _, change in changes if change.metric.key in self.limits]
        if not watched:
            raise UserError(
                "--fail-on: the two results share no figure that it watches; compare results of like scenarios"
            )
        if all(change.interval is None for change in watched):
            needed = max(fewest_runs(change.level) for change in watched)
            fewest = min(min(change.runs, change.reference_runs) for change in watched)
            raise UserError(
                f"--fail-on: with n = {fewest} nothing can be found worse, so it would always pass; "
                f"run both with --set repeats={needed} or more"
            )


def parse_gate(text: str) -> Gate:
    """:raises UserError: it is no such text."""
    word, colon, rest = text.partition(":")
    if word != "worse" or (colon and not rest):
        raise UserError(f"--fail-on {text}: {_FORM}")
    if not colon:
        return Gate(dict.fromkeys(_NAMES.values(), 0.0))
    return Gate(dict(_limit(part, text) for part in rest.split(",")))


def _limit(part: str, text: str) -> tuple[str, float]:
    name, colon, limit = part.strip().partition(":")
    if name not in _NAMES:
        raise UserError(f"--fail-on {text}: {unknown('metric', name, list(_NAMES))}")
    if not colon:
        return _NAMES[name], 0.0
    return _NAMES[name], share_of(limit, f"--fail-on {text}")


def share_of(text: str, place: str) -> float:
    """``5%`` -> 0.05. :raises UserError: it is no percentage from 0 to below 100; ``place`` says where it stands."""
    try:
        share = parse_share(text)
    except ValueError as exc:
        raise UserError(f"{place}: {exc}") from exc
    if not share < 1:
        raise UserError(f"{place}: {text}: must be below 100%")
    return share
