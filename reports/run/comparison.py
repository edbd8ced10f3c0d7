"""Two results side by side: per method and metric the ratio of medians, its interval, and what else is different.

Result, Result -> dataclasses of text. Knows no HTML and no terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.results.metrics import Metric, shown_in
from harness.results.result import Result
from harness.units import format_bandwidth
from reports import facts
from reports.effects import counted_runs, method_names, ratio_interval, summary_of, values
from reports.numbers import DASH, effect_interval, effect_percent, interval_text, plural, scaled
from reports.run.fallbacks import every_sentence, fallbacks_of
from reports.table import Table

__all__ = ["Comparison", "Line", "compare", "fallback_warnings"]

_DESCRIBES_ONE_RUN = ("load", "date", "time", "uptime", "started", "free")  # of an environment: different every time
_SAYS_NOTHING = (DASH, "[]", "False", "0.0", "0 ms each way")  # of a setting: as if it were left out


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one method in both results. ``tone`` is a verdict only where the interval leaves out 1.

    ``first``: the first line of its method, where a table shows the method's name and its ``fallbacks`` in either result.
    """

    method: str
    metric: str
    a: str
    a_detail: str
    b: str
    b_detail: str
    ratio: str
    change: str
    interval: str
    tone: Literal["better", "worse", "unclear"]
    meaning: str
    first: bool
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a page or a terminal needs to compare ``b`` with ``a``. ``differences``: of scenario and environment."""

    label_a: str
    label_b: str
    facts: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    lines: tuple[Line, ...]
    only: tuple[str, ...]
    differences: tuple[Table, Table]


def _tone(metric: Metric, interval: tuple[float, float] | None) -> Literal["better", "worse", "unclear"]:
    if interval is None or interval[0] <= 1 <= interval[1]:
        return "unclear"
    return "better" if (interval[0] > 1) == metric.more_is_better else "worse"


def _line(a: Result, b: Result, method: str, metric: Metric) -> Line | None:
    old, new = summary_of(a, method, metric.key), summary_of(b, method, metric.key)
    if old is None or new is None:
        return None
    ratio = new.median / old.median if old.median else None
    span = ratio_interval(values(counted_runs(b, method), metric.key), values(counted_runs(a, method), metric.key))
    tone = _tone(metric, span)
    unclear = "no clear difference" if span else "too few runs to tell"
    return Line(
        method=method,
        metric=metric.heading,
        a=scaled(metric, old.median),
        a_detail=f"{interval_text(metric, old.ci95) or DASH}, n = {old.n}",
        b=scaled(metric, new.median),
        b_detail=f"{interval_text(metric, new.ci95) or DASH}, n = {new.n}",
        ratio=DASH if ratio is None else f"{ratio:.3f}",
        change=effect_percent(ratio) or DASH,
        interval=effect_interval(span) or DASH,
        tone=tone,
        meaning=unclear if tone == "unclear" else tone,
        first=False,
    )


def _lines(a: Result, b: Result, method: str, labels: tuple[str, str]) -> list[Line]:
    """Every metric that both results have of ``method``."""
    lines = [line for metric in shown_in("comparison") if (line := _line(a, b, method, metric)) is not None]
    fallen = tuple(
        f"{label}: {each.text}"
        for label, result in zip(labels, (a, b), strict=True)
        for each in fallbacks_of(result, method)
    )
    return [replace(lines[0], first=True, fallbacks=fallen), *lines[1:]] if lines else []


def _flat(value: Any, where: str = "") -> dict[str, str]:  # noqa: ANN401 -- a scenario's values are any of JSON's
    """``{"guest": {"seed": 1}}`` -> ``{"guest.seed": "1"}``; methods are told apart by name, not by place."""
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in _flat(part, f"{where}.{key}" if where else key).items()}
    if where == "methods" and isinstance(value, list | tuple):
        named = {str(part.get("name")): part for part in value if isinstance(part, Mapping)}
        return {k: v for name, part in named.items() for k, v in _flat(part, f"method {name}").items()}
    if where.endswith("bandwidth_bytes_per_s"):
        return {where: format_bandwidth(value)}
    if where in ("link.delay_s", "link.jitter_s"):
        return {where: f"{(value or 0) * 1e3:.4g} ms each way"}
    return {where: DASH if value is None else str(value)}


def _settings(result: Result) -> Mapping[str, Any]:
    """What was asked for. Older results tell of a QEMU where a stream is replayed, and of memory where it is recorded: those
    had no meaning, and newer ones leave them out."""
    guest = facts.guest_settings(result)
    if guest.get("kind") == "stream":
        guest = {key: guest[key] for key in ("kind", "stream", "path") if key in guest}
    elif guest.get("kind") == "synthetic":
        guest = {key: value for key, value in guest.items() if key not in ("accel", "qemu")}
    return {**result.scenario, "guest": guest}


def _unlike(key: str, left: str | None, right: str | None) -> bool:
    """Another version may write a key of a table that says nothing, or leave it out; at the top false may differ from nothing."""
    return left != right and ("." not in key or {left, right} - {None, *_SAYS_NOTHING} != set())


def _differences(
    title: str, a: Mapping[str, Any], b: Mapping[str, Any], labels: tuple[str, str], leave_out: tuple[str, ...] = ()
) -> Table:
    """A row for each setting that the two do not share."""
    left, right = _flat(a), _flat(b)
    rows = tuple(
        (key, left.get(key, "absent"), right.get(key, "absent"))
        for key in dict.fromkeys([*left, *right])
        if key not in leave_out and _unlike(key, left.get(key), right.get(key))
    )
    return Table(title, ("Setting", *labels), rows, words=(0, 1, 2), missing="No difference.")


def _notable(differences: Table) -> list[str]:
    """Names of environment settings that may explain a difference; load and time always differ."""
    names = [row[0] for row in differences.rows]
    return [name for name in names if not any(word in name.lower() for word in _DESCRIBES_ONE_RUN)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (" and more" if len(names) > 6 else "")


def _warnings(scenario: Table, environment: Table) -> tuple[str, ...]:
    lines = []
    if scenario.rows:
        many, names = plural(len(scenario.rows), "setting"), _listed([row[0] for row in scenario.rows])
        lines.append(f"The scenarios differ in {many} ({names}): this is not one experiment made twice.")
    if notable := _notable(environment):
        lines.append(f"The environments differ ({_listed(notable)}): the change may come from them.")
    return tuple(lines)


def _sentences(lines: tuple[Line, ...], label_b: str) -> tuple[str, ...]:
    if not lines:
        return ("The results share no method with figures in both.",)
    found = {tone: [line for line in lines if line.tone == tone] for tone in ("better", "worse", "unclear")}
    counts = f"{len(found['better'])} better, {len(found['worse'])} worse, {len(found['unclear'])} without a clear difference"
    text = f"Of {plural(len(lines), 'figure')} in both, {label_b} has {counts}."
    worse = ", ".join(f"{line.method}: {line.metric} {line.change}" for line in found["worse"][:4])
    return (text, f"Worse: {worse}.") if worse else (text,)


def _only(a: Result, b: Result, labels: tuple[str, str]) -> tuple[str, ...]:
    """Methods that cannot be compared, with where their figures are."""
    lines = []
    for name in dict.fromkeys([*method_names(a), *method_names(b)]):
        here, there = bool(counted_runs(a, name)), bool(counted_runs(b, name))
        if here and there:
            continue
        where = f"only in {labels[0] if here else labels[1]}" if here or there else "in neither"
        lines.append(f"{name}: completed runs {where}")
    return tuple(lines)


def fallback_warnings(a: Result, b: Result, labels: tuple[str, str]) -> tuple[str, ...]:
    """A sentence for each method of either result that something else than its backend compressed, in part or whole."""
    pairs = zip(labels, (a, b), strict=True)
    return tuple(f"{label}: {sentence}" for label, result in pairs for sentence in every_sentence(result))


def compare(a: Result, b: Result, labels: tuple[str, str] = ("A", "B")) -> Comparison:
    """``b`` against ``a``: a ratio of 0.5 means that ``b`` took half."""
    methods = [name for name in method_names(a) if name in method_names(b)]
    lines = tuple(line for method in methods for line in _lines(a, b, method, labels))
    scenario = _differences("Scenario", _settings(a), _settings(b), labels, ("name", "description"))
    environment = _differences("Environment", a.environment, b.environment, labels)
    named = [f"{facts.scenario_text(each, 'name', 'unnamed')}, {facts.date_text(each)}" for each in (a, b)]
    return Comparison(
        label_a=labels[0],
        label_b=labels[1],
        facts=tuple(zip(labels, named, strict=True)),
        sentences=_sentences(lines, labels[1]),
        warnings=(*fallback_warnings(a, b, labels), *_warnings(scenario, environment)),
        lines=lines,
        only=_only(a, b, labels),
        differences=(scenario, environment),
    )
