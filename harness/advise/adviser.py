"""Measured replays and a question -> the advice: what to use on this link, how long it takes, and up to which bandwidth it pays.

Pure: results go in, data and sentences come out. Intervals are those of ``inference``, of what each repeat alone would give; how
far the model errs comes on top (a sweep's index page says how far).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from harness.errors import MissingError
from harness.results.advice import BEYOND_LIMIT_S, Advice, Bandwidth, Estimate, MethodAdvice, Question
from harness.results.advice_words import because, commands, doubts, qemu_settings, uncertainty
from harness.results.inference import coverage, median_interval, pair_interval
from harness.results.metrics import METRICS
from harness.results.model import Cost, Guest, Link, Migration, break_even, migration
from harness.results.result import Result, Run
from harness.results.verdicts import judge

_NEAR = 1.05
"""Within so much of the fastest, which is about what the model errs by, the method that takes least CPU time is recommended."""

_LEAST_DOWNTIME_S = 0.01
_GIB = 1 << 30
_FRAME_SHARE = 1448 / 1514
"""Payload in an Ethernet frame: for links whose counters see no headers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """``whole``: all methods, a few replays each, without a link limit. ``small``: one each, in batches as small as the pair makes
    them where no more than ``slow_bytes_per_s`` of stream get through. ``link``: the one that was asked about."""

    whole: Result
    small: Result
    slow_bytes_per_s: float
    link: Link


@dataclass(frozen=True, slots=True)
class _Method:
    """A method's runs as a cost, and as a cost ``each``."""

    name: str
    backend: str
    level: int | None
    runs: tuple[Run, ...]
    cost: Cost
    each: tuple[Cost, ...]

    def estimate(self, of: Callable[[Cost], float]) -> Estimate:
        value, held = of(self.cost), median_interval([of(cost) for cost in self.each])
        low, high = (
            min(value, held.low),
            max(value, held.high),
        )  # of two medians it may lie outside of what each run gives
        return Estimate(value, low, None if math.isinf(high) else high)

    def cpu_s(self, half: str) -> float:
        """Of the sender or the receiver, for a byte of stream."""
        return float(median([(getattr(run.cpu_s, half) or 0.0) / (run.stream_bytes or 1) for run in self.runs]))


def conclude(question: Question, guest: Guest, measured: Measured, notes: Sequence[str] = ()) -> Advice:
    """The advice that the replays bear out. :raises MissingError: ``none`` could not be measured."""
    found, missing = _methods(measured)
    none = next((one for one in found if one.name == "none"), None)
    if none is None:
        raise MissingError(f"none: could not be measured, and all else is compared with it: {missing['none']}")
    methods = tuple(_advice(one, none, question, guest, measured.link) for one in found)
    chosen = _choice(methods, lambda method: method.total_time_s.value if method.total_time_s else math.inf)
    apart = _choice(methods, lambda method: _apart_time_s(method, question, guest, measured.link))
    settings, why = qemu_settings(question, chosen, methods)
    return Advice(
        question=question,
        link=measured.link,
        recommended=chosen.method,
        because=(
            *because(question, guest, chosen, apart, methods),
            *_uncertain(chosen.method, found, question, guest, measured.link),
        ),
        methods=methods,
        commands=commands(question, chosen),
        qemu=settings,
        qemu_why=why,
        notes=(*notes, *(doubt.sentence for doubt in doubts(methods))),
        missing=missing,
        environment=measured.whole.environment,
    )


def _uncertain(chosen: str, found: Sequence[_Method], question: Question, guest: Guest, link: Link) -> Iterator[str]:
    """A sentence where the replays do not tell the chosen method from the fastest of the others."""
    times = {
        one.name: [migration(cost, guest, link, question.downtime_limit_s).total_time_s for cost in one.each]
        for one in found
    }
    ends = {name: values for name, values in times.items() if all(map(math.isfinite, values))}
    others = [name for name in ends if name != chosen]
    if chosen in ends and others:
        other = min(others, key=lambda name: median(ends[name]))
        change = judge(METRICS["total_time_s"], {other: (ends[other], ends[chosen])})[other]
        yield from uncertainty(chosen, other, change)


def _methods(measured: Measured) -> tuple[list[_Method], dict[str, str]]:
    """What was measured, and why the rest was not."""
    found: list[_Method] = []
    missing: dict[str, str] = {}
    for declared in measured.whole.scenario["methods"]:
        name = str(declared["name"])
        all_runs = [run for run in measured.whole.runs if run.method == name]
        runs = tuple(run for run in all_runs if run.status == "completed" and not run.warmup)
        if not runs:
            missing[name] = next((run.reason or run.status for run in all_runs), "not run")
            continue
        found.append(_Method(name, declared["backend"], declared["level"], runs, *_costs(runs, measured)))
    return found, missing


def _costs(runs: Sequence[Run], measured: Measured) -> tuple[Cost, tuple[Cost, ...]]:
    share = 1.0 if measured.whole.environment.get("link_counts_headers") else _FRAME_SHARE
    small = [run.ratio * share for run in measured.small.runs if run.method == runs[0].method and run.ratio]
    slow_ratio = small[0] if small else None
    rates = [run.stream_bytes / run.total_time_s for run in runs if run.stream_bytes and run.total_time_s]
    ratios = [run.ratio * share for run in runs if run.ratio]

    def of(ratio: float, rate: float) -> Cost:
        return Cost(ratio, rate, slow_ratio, measured.slow_bytes_per_s)

    return of(median(ratios), median(rates)), tuple(map(of, ratios, rates))


def _advice(one: _Method, none: _Method, question: Question, guest: Guest, link: Link) -> MethodAdvice:
    @functools.cache
    def moved(cost: Cost) -> Migration:
        return migration(cost, guest, link, question.downtime_limit_s)

    delivered = one.estimate(functools.cache(lambda cost: cost.delivered_bytes_per_s(link)))
    found = moved(one.cost)
    return MethodAdvice(
        method=one.name,
        backend=one.backend,
        level=one.level,
        n=len(one.runs),
        cost=one.cost,
        ratio=one.estimate(lambda cost: cost.ratio),
        pair_bytes_per_s=one.estimate(lambda cost: cost.pair_bytes_per_s),
        apart_bytes_per_s=_apart_bytes_per_s(one, question.cores),
        sender_cpu_s_per_gib=one.cpu_s("sender") * _GIB,
        receiver_cpu_s_per_gib=one.cpu_s("receiver") * _GIB,
        delivered_bytes_per_s=delivered,
        total_time_s=one.estimate(lambda cost: moved(cost).total_time_s) if found.converges else None,
        passes=found.passes,
        downtime_least_s=_LEAST_DOWNTIME_S,
        downtime_most_s=found.left_bytes / delivered.value + BEYOND_LIMIT_S,
        break_even=None if one is none else _break_even(one, none, link),
    )


def _apart_bytes_per_s(one: _Method, cores: int) -> float:
    """With a host for each half, the busier one is the limit: its CPU seconds for a byte, on all its cores."""
    busier_s = max(one.cpu_s("sender"), one.cpu_s("receiver"))
    return max(one.cost.pair_bytes_per_s, cores / busier_s if busier_s else 0.0)


def _apart_time_s(method: MethodAdvice, question: Question, guest: Guest, link: Link) -> float:
    cost = Cost(method.ratio.value, method.apart_bytes_per_s)
    return migration(cost, guest, link, question.downtime_limit_s).total_time_s


def _break_even(one: _Method, none: _Method, link: Link) -> Bandwidth:
    """Its interval is of each run with each of ``none``'s, and holds as surely as a median's of so many runs."""
    value = break_even(one.cost, none.cost, link)
    runs = len(one.each), len(none.each)
    each = [break_even(mine, other, link) for mine in one.each for other in none.each]
    ends = pair_interval(each, *runs, 1 - coverage(min(runs))) or (value, value)
    bounds = (value, min(value, *ends), max(value, *ends))
    return Bandwidth(*(None if math.isinf(bound) else bound for bound in bounds))


def _choice(methods: Sequence[MethodAdvice], time_s: Callable[[MethodAdvice], float]) -> MethodAdvice:
    """The fastest, or what takes less CPU time and hardly longer; where nothing converges what delivers most."""
    fastest = min(time_s(method) for method in methods)
    if math.isinf(fastest):
        return max(methods, key=lambda method: method.delivered_bytes_per_s.value)
    near = [method for method in methods if time_s(method) <= _NEAR * fastest]
    return min(near, key=lambda method: method.sender_cpu_s_per_gib + method.receiver_cpu_s_per_gib)
