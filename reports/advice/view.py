"""What an advice's page says outside its charts: the verdict's table, facts, and what was not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.results.advice import Advice, Bandwidth, Estimate, MethodAdvice
from harness.results.advice_words import bound_text, mib_text
from harness.units import MIB, format_bandwidth, format_bytes, format_duration, format_rate
from reports.facts import minute_text
from reports.intervals import held_text
from reports.numbers import DASH, amount, plural

HEADINGS = (
    "Total time",
    "Downtime",
    "Delivered (MiB/s)",
    "Faster than none up to",
    "Wire ratio",
    "Without a limit (MiB/s)",
    "On two hosts, at most (MiB/s)",
    "CPU, source / destination (s/GiB)",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One method: a text and an interval for each of ``HEADINGS``. ``held``: how surely the intervals hold."""

    method: str
    how: str
    n: int
    held: str
    best: bool
    baseline: bool
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AdviceView:
    """All that the page says outside its charts."""

    title: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    missing: tuple[tuple[str, str], ...]


def advice_view(advice: Advice) -> AdviceView:
    """The advice as texts."""
    question = advice.question
    link = format_bandwidth(question.bandwidth_bytes_per_s)
    dirty = question.dirty_bytes_per_s
    facts = (
        ("Guest", question.guest),
        ("Link", link),
        ("First pass", f"{format_bytes(question.stream_bytes)} of stream"),
        ("Dirtied", DASH if dirty is None else format_rate(dirty)),
        ("Downtime limit", format_duration(question.downtime_limit_s)),
        (
            "Measured on",
            plural(question.cores, "core") + f" of {advice.environment.get('cpu_model') or 'this machine'}",
        ),
        ("When", minute_text(str(advice.environment.get("date", DASH)))),
    )
    rows = tuple(_row(method, best=method.method == advice.recommended) for method in advice.methods)
    return AdviceView(f"{advice.recommended} at {link}", facts, rows, tuple(advice.missing.items()))


def _row(method: MethodAdvice, *, best: bool) -> Row:
    downtime = f"at most {format_duration(method.downtime_most_s)}" if method.converges else DASH
    level = "" if method.level is None else f" level {method.level}"
    return Row(
        method=method.method,
        how=f"pageferry, {method.backend}{level}",
        n=method.n,
        held=held_text(method.n),
        best=best,
        baseline=method.break_even is None,
        cells=(
            _cell(method.total_time_s, format_duration, "never"),
            (downtime, f"from {format_duration(method.downtime_least_s)}" if method.converges else ""),
            _cell(method.delivered_bytes_per_s, mib_text),
            _cell(method.break_even, bound_text),
            (amount(method.ratio.value, 2), ""),
            _cell(method.pair_bytes_per_s, mib_text),
            (amount(method.apart_bytes_per_s / MIB), ""),
            (f"{amount(method.sender_cpu_s_per_gib, 1)} / {amount(method.receiver_cpu_s_per_gib, 1)}", ""),
        ),
    )


def _cell(found: Estimate | Bandwidth | None, show: Callable[[Any], str], nothing: str = DASH) -> tuple[str, str]:
    """A value, and its interval where that has a width."""
    if found is None:
        return nothing, ""
    low = show(found.low)
    high = "never" if found.high is None and isinstance(found, Estimate) else show(found.high)
    return show(found.value), "" if low == high else _range(low, high)


def _range(low: str, high: str) -> str:
    """Both ends, with a unit that they share told once, and none parted from its number."""
    number, _, unit = low.partition(" ")
    ends = (number if unit and high.endswith(f" {unit}") else low, high)
    return " to ".join(end.replace(" ", "\u00a0") for end in ends)
