"""Sweeps over link.tls: what encrypting costs each method, as data, sentences and a table.

A group is the cells that differ in that alone. CPU time is that of both sides together.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.results.metrics import METRICS
from harness.results.result import Result
from reports.effects import counted_runs, median_of, method_names, summary_of
from reports.facts import baseline_name, file_name, link_text, scenario_text
from reports.numbers import DASH, amount, percent, scaled
from reports.sweep.article import Article
from reports.table import Table

_GIB = 1 << 30
_TIME, _CPU, _RATIO, _DATA = (METRICS[key] for key in ("total_time_s", "cpu_total_s", "ratio", "wire_bytes"))


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one method, medians: ``plain_`` without TLS, the rest with it. None: not measured. ``was_encrypted``: at all.
    ``is_clear``: the CPU time's intervals do not overlap."""

    was_encrypted: bool
    is_clear: bool
    ratio: float | None
    wire_bytes: float | None
    plain_cpu_s: float | None
    cpu_s: float | None
    plain_time_s: float | None
    time_s: float | None
    handshake_s: float | None

    @property
    def extra_cpu_s(self) -> float | None:
        """What encrypting took, on both sides."""
        if not self.was_encrypted or self.cpu_s is None or self.plain_cpu_s is None:
            return None
        return self.cpu_s - self.plain_cpu_s

    def extra_cpu_s_per_gib(self, of_bytes: float | None) -> float | None:
        """The same for each GiB of something."""
        return None if self.extra_cpu_s is None or not of_bytes else self.extra_cpu_s / of_bytes * _GIB


@dataclass(frozen=True, slots=True)
class Group:
    """``costs``: by method, in the scenario's order."""

    label: str
    baseline: str | None
    costs: Mapping[str, Cost]


def groups(results: Sequence[Result]) -> tuple[Group, ...]:
    """One for each link and guest that was tried both ways."""
    found: dict[tuple[object, ...], dict[bool, Result]] = {}
    for result in results:
        found.setdefault(_key(result), {}).setdefault(_is_encrypted(result), result)
    return tuple(_group(cells[False], cells[True]) for cells in found.values() if len(cells) > 1)


def _is_encrypted(result: Result) -> bool:
    link = result.scenario.get("link")
    return isinstance(link, Mapping) and link.get("tls") is True


def _key(result: Result) -> tuple[object, ...]:
    """All that is the same in a group."""
    scenario = result.scenario
    link = {key: value for key, value in scenario.get("link", {}).items() if key != "tls"}
    others = {key: value for key, value in scenario.get("cell", {}).items() if key != "link.tls"}
    return file_name(result), str(sorted(link.items())), str(scenario.get("guest")), str(sorted(others.items()))


def _group(plain: Result, encrypted: Result) -> Group:
    names = [name for name in method_names(encrypted) if name in method_names(plain)]
    label = ", ".join(filter(None, (file_name(plain) or scenario_text(plain, "name", ""), link_text(plain))))
    return Group(label, baseline_name(plain), {name: _cost(name, plain, encrypted) for name in names})


def _cost(name: str, plain: Result, encrypted: Result) -> Cost:
    runs = counted_runs(encrypted, name)
    shakes = [run.counters[key] for run in runs for key in run.counters if key == "sender_tls_handshake_s"]
    before, after = summary_of(plain, name, _CPU.key), summary_of(encrypted, name, _CPU.key)
    return Cost(
        not any(doubt.kind == "unencrypted" for run in runs for doubt in run.doubts),
        before is not None and after is not None and min(before.n, after.n) > 1 and before.ci95[1] < after.ci95[0],
        median_of(encrypted, name, _RATIO.key),
        median_of(encrypted, name, _DATA.key),
        median_of(plain, name, _CPU.key),
        median_of(encrypted, name, _CPU.key),
        median_of(plain, name, _TIME.key),
        median_of(encrypted, name, _TIME.key),
        statistics.median(shakes) if shakes else None,
    )


def article(group: Group) -> Article:
    """What one group says: a row for each method."""
    headings = (
        "Method", "Wire ratio", "Data (MiB)", "CPU, plain (s)", "CPU, TLS (s)", "TLS, CPU s per GiB sent",
        "TLS, CPU s per GiB of guest", "Time, plain (ms)", "Time, TLS (ms)", "Handshake (ms)",
    )  # fmt: skip
    rows = tuple((name, *_cells(cost)) for name, cost in group.costs.items())
    return Article(group.label, _sentences(group), (Table(f"What encrypting costs: {group.label}", headings, rows),))


def _cells(cost: Cost) -> tuple[str, ...]:
    sent, of_guest = _per_gib(cost)
    times = [scaled(_TIME, value) for value in (cost.plain_time_s, cost.time_s, cost.handshake_s)]
    cpu = [scaled(_CPU, value) for value in (cost.plain_cpu_s, cost.cpu_s)]
    if not cost.was_encrypted:
        cpu[1] = times[1] = DASH
    return (
        scaled(_RATIO, cost.ratio),
        scaled(_DATA, cost.wire_bytes),
        *cpu,
        amount(sent, 2),
        amount(of_guest, 2),
        *times,
    )


def _per_gib(cost: Cost) -> tuple[float | None, float | None]:
    """Of what was sent, and of the guest's stream, which is the ratio times as much."""
    sent = cost.extra_cpu_s_per_gib(cost.wire_bytes)
    return sent, None if sent is None or not cost.ratio else sent / cost.ratio


def _sentences(group: Group) -> tuple[str, ...]:
    told = []
    for name, cost in group.costs.items():
        sent, of_guest = _per_gib(cost)
        if sent is not None and of_guest is not None and cost.plain_time_s and cost.time_s:
            longer = percent((cost.time_s / cost.plain_time_s - 1) * 100)
            unclear = "" if cost.is_clear else "; but its runs spread as far as that"
            told.append(
                f"{name}: {amount(of_guest, 2)} s more CPU for each GiB of the guest ({amount(sent, 2)} s for each GiB sent, ratio "
                f"{scaled(_RATIO, cost.ratio)}), total time {longer}{unclear}"
            )
    plain = [name for name, cost in group.costs.items() if not cost.was_encrypted]
    return (
        *([f"TLS, medians, CPU of both sides: {'. '.join(told)}."] if told else ["No method has figures both ways."]),
        *(
            ["What is compressed first leaves less to be encrypted: a GiB of the guest then costs 1 / ratio."]
            if told
            else []
        ),
        *(
            [f"{' and '.join(plain)} cannot be encrypted here, and ran over a plain link in both cells."]
            if plain
            else []
        ),
    )
