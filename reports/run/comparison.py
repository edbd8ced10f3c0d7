"""Two results side by side: per method and metric the ratio of medians, its interval, and what else is different.

Result, Result -> dataclasses of text. Knows no HTML and no terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.results.metrics import shown_in
from harness.results.result import MetricSummary, Result
from harness.results.verdicts import NOTE, Change, share_text, too_few
from harness.units import format_bandwidth
from reports import facts
from reports.effects import Changes, between, counted_runs, method_names, smallest_effect, summary_of
from reports.intervals import held_text
from reports.numbers import (
    DASH,
    change_details,
    confidence,
    effect_interval,
    effect_percent,
    interval_text,
    plural,
    scaled,
)
from reports.run.fallbacks import every_sentence, fallbacks_of
from reports.table import Table

_DESCRIBES_ONE_RUN = ("load", "date", "time", "uptime", "started", "free")  # of an environment: different every time
_SAYS_NOTHING = (DASH, "[]", "False", "0.0", "0 ms each way")  # of a setting: as if it were left out
_NO_EXPERIMENT = ("name", "description", "repeats", "warmups", "timeout_s", "smallest_effect")
"""Of a scenario: with another value it is the same experiment."""
_KIND_OF_MACHINE = ("cpu_model", "cores", "machine", "accel", "link", "virtualization")
"""Of an environment: with another value it was another kind of machine. Versions may differ: they are often the question."""


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one method in both results.

    ``first``: the first line of its method, where a table shows the method's name and its ``fallbacks`` in either result.
    """

    method: str
    metric: str
    a: str
    a_detail: str
    b: str
    b_detail: str
    of: Change
    first: bool
    fallbacks: tuple[str, ...] = ()

    @property
    def ratio(self) -> str:
        """Of the medians: ``0.457``."""
        return f"{self.of.ratio:.3f}"

    @property
    def change(self) -> str:
        """The same in percent: ``-54 %``."""
        return effect_percent(self.of.ratio) or DASH

    @property
    def interval(self) -> str:
        """Of the change, with its confidence."""
        found = effect_interval(self.of.interval)
        return DASH if found is None else f"{found} ({confidence(self.of)})"

    @property
    def meaning(self) -> str:
        """The verdict, and what could have been seen where there is none yet."""
        words = self.of.words
        return f"{words}; {self.of.power_words}" if self.of.word == "unclear" and not self.of.blind else words

    @property
    def text(self) -> str:
        """As a sentence quotes it: ``isal-1: total time +50 % (+45 % to +52 % with 99.8 %, p < 0.001)``."""
        return f"{self.method}: {self.of.metric.words} {self.change} ({change_details(self.of)})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a page or a terminal needs to compare ``b`` with ``a``.

    ``unlike``: why these are not one experiment made twice, a line each. ``lost``: methods that completed in ``a`` alone, or whose
    memory was wrong in ``b``. ``only``: methods that cannot be compared. ``differences``: of scenario and environment.
    """

    label_a: str
    label_b: str
    facts: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    lines: tuple[Line, ...]
    only: tuple[str, ...]
    lost: tuple[str, ...]
    unlike: tuple[str, ...]
    differences: tuple[Table, Table]
    note: str

    @property
    def primary(self) -> tuple[Line, ...]:
        """Those with a verdict."""
        return tuple(line for line in self.lines if line.of.word != "unjudged")


def _detail(change: Change, summary: MetricSummary) -> str:
    if summary.n < 2:
        return "n = 1"
    return f"{interval_text(change.metric, summary.ci95) or DASH} ({held_text(summary.n)}), n = {summary.n}"


def _line(a: Result, b: Result, method: str, change: Change) -> Line | None:
    metric = change.metric
    old, new = summary_of(a, method, metric.key), summary_of(b, method, metric.key)
    if old is None or new is None:
        return None
    return Line(
        method=method,
        metric=metric.heading,
        a=scaled(metric, old.median),
        a_detail=_detail(change, old),
        b=scaled(metric, new.median),
        b_detail=_detail(change, new),
        of=change,
        first=False,
    )


def _lines(a: Result, b: Result, method: str, changes: Changes, labels: tuple[str, str]) -> list[Line]:
    """Every metric that both results have of ``method``, those with a verdict first."""
    shown = sorted(shown_in("comparison"), key=lambda metric: not metric.primary)
    known = [change for metric in shown if (change := changes[metric.key].get(method)) is not None]
    lines = [line for change in known if (line := _line(a, b, method, change)) is not None]
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


def _differs(key: str, left: str | None, right: str | None) -> bool:
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
        if key not in leave_out and _differs(key, left.get(key), right.get(key))
    )
    return Table(title, ("Setting", *labels), rows, words=(0, 1, 2), missing="No difference.")


def _notable(differences: Table) -> list[str]:
    """Names of environment settings that may explain a difference; load and time always differ."""
    names = [row[0] for row in differences.rows]
    return [name for name in names if not any(word in name.lower() for word in _DESCRIBES_ONE_RUN)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (" and more" if len(names) > 6 else "")


def _unlike(scenario: Table, environment: Table) -> tuple[str, ...]:
    """What makes these two experiments, not one made twice."""
    kinds = tuple(row for row in environment.rows if row[0] in _KIND_OF_MACHINE)
    return tuple(f"{key}: {old} and {new}" for key, old, new in (*_methods_whole(scenario.rows), *kinds))


def _methods_whole(rows: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """With one row for a method that only one of the two has, in place of one for each of its settings."""
    alone = tuple(
        row[0].removesuffix(".name") for row in rows if row[0].startswith("method ") and row[0].endswith(".name")
    )
    for key, old, new in rows:
        if (method := key.removesuffix(".name")) in alone:
            yield method, *("absent" if side == "absent" else "there" for side in (old, new))
        elif not key.startswith(tuple(f"{each}." for each in alone)):
            yield key, old, new


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
    judged = {word: [line for line in lines if line.of.word == word] for word in ("worse", "better", "same", "unclear")}
    counts = (
        f"{len(judged['better'])} better, {len(judged['worse'])} worse, {len(judged['same'])} the same, "
        f"{len(judged['unclear'])} that so few runs cannot tell"
    )
    many = sum(map(len, judged.values()))
    total = [few] if (few := too_few(line.of for line in lines)) else []
    total += [f"Of {plural(many, 'figure')} with a verdict, {label_b} has {counts}."]
    for word in ("worse", "better"):
        quoted = "; ".join(line.text for line in judged[word][:4])
        more = f"; and {len(judged[word]) - 4} more" if len(judged[word]) > 4 else ""
        total += [f"{word.capitalize()}: {quoted}{more}."] if quoted else []
    return tuple(total)


def _lost(a: Result, b: Result) -> tuple[str, ...]:
    """Methods that ``b`` cannot do any more."""
    lines = []
    for name in method_names(a):
        runs = counted_runs(b, name)
        wrong = sum(run.verified is False for run in runs)
        if counted_runs(a, name) and not runs:
            lines.append(f"{name}: no run completed")
        elif wrong:
            lines.append(f"{name}: memory was wrong after {wrong} of {plural(len(runs), 'run')}")
    return tuple(lines)


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


def _fallback_warnings(a: Result, b: Result, labels: tuple[str, str]) -> tuple[str, ...]:
    """A sentence for each method of either result that something else than its backend compressed, in part or whole."""
    pairs = zip(labels, (a, b), strict=True)
    return tuple(f"{label}: {sentence}" for label, result in pairs for sentence in every_sentence(result))


def compare(a: Result, b: Result, labels: tuple[str, str] = ("A", "B"), smallest: float | None = None) -> Comparison:
    """``b`` against ``a``: a ratio of 0.5 means that ``b`` took half. ``smallest``: effect that matters; None: as ``a`` says."""
    smallest = smallest_effect(a) if smallest is None else smallest
    changes = between(b, a, smallest)
    methods = [name for name in method_names(a) if name in method_names(b)]
    lines = tuple(line for method in methods for line in _lines(a, b, method, changes, labels))
    scenario = _differences("Scenario", _settings(a), _settings(b), labels, _NO_EXPERIMENT)
    environment = _differences("Environment", a.environment, b.environment, labels)
    named = [f"{facts.scenario_text(each, 'name', 'unnamed')}, {facts.date_text(each)}" for each in (a, b)]
    return Comparison(
        label_a=labels[0],
        label_b=labels[1],
        facts=tuple(zip(labels, named, strict=True)),
        sentences=_sentences(lines, labels[1]),
        warnings=(*_fallback_warnings(a, b, labels), *_warnings(scenario, environment)),
        lines=lines,
        only=_only(a, b, labels),
        lost=_lost(a, b),
        unlike=_unlike(scenario, environment),
        differences=(scenario, environment),
        note=NOTE.format(smallest=share_text(smallest)),
    )
