"""The verdict in words, computed from a result's summary and runs. Claims no difference that the test does not support."""

from __future__ import annotations

from statistics import median

from harness.results.metrics import METRICS
from harness.results.result import Result
from harness.results.verdicts import too_few
from reports import facts
from reports.effects import Changes, counted_runs, method_names, summary_of
from reports.numbers import DASH, change_details, effect_percent, plural, scaled
from reports.run.fallbacks import doubted_name, fallbacks_of


def fastest(result: Result) -> str | None:
    """The method with the lowest median total time, the baseline left out."""
    baseline = facts.baseline_name(result)
    timed = [
        (summary.median, name)
        for name in method_names(result)
        if name != baseline and (summary := summary_of(result, name, "total_time_s")) is not None
    ]
    return min(timed)[1] if timed else None


def _against_baseline(result: Result, best: str, base: str, changes: Changes) -> str:
    summary, reference = summary_of(result, best, "total_time_s"), summary_of(result, base, "total_time_s")
    change = changes["total_time_s"].get(best)
    if summary is None or reference is None or change is None:
        return f"{best} was the fastest of the others, but {base} has no total time to compare it with."
    metric, named = METRICS["total_time_s"], doubted_name(result, best)
    times = f"{scaled(metric, summary.median)}\u00a0ms against {scaled(metric, reference.median)}\u00a0ms for {base}"
    known = f"{effect_percent(change.ratio)} ({change_details(change)}, n\u00a0=\u00a0{summary.n} and {reference.n})"
    closest = f"The fastest of the others, {named}, took {times}, {known}."
    if few := _too_few(changes):
        return f"{few} The fastest of the others, {named}, took {times}, {effect_percent(change.ratio)}."
    match change.word:
        case "better":
            return f"{named} finished fastest: {times}, {known}."
        case "worse":
            return f"No method beat {base}. {closest}"
        case _:
            return f"Total time: {change.words}. {closest}"


def _too_few(changes: Changes) -> str | None:
    return too_few(change for of_methods in changes.values() for change in of_methods.values())


def _price(result: Result, best: str, changes: Changes) -> str | None:
    """What the fastest method did to the other primary figures."""
    words, blind = [], _too_few(changes) is not None
    for key, of_methods in changes.items():
        metric, new, change = METRICS[key], summary_of(result, best, key), of_methods.get(best)
        if not metric.primary or key == "total_time_s" or change is None or new is None:
            continue
        old = new.median / change.ratio if change.ratio else new.median
        shown = f"{scaled(metric, old)} \u2192 {scaled(metric, new.median)}\u00a0{metric.unit.shown}"
        known = [effect_percent(change.ratio) or DASH, *([] if blind else [change.words])]
        words.append(f"{metric.words} {shown} ({', '.join(known)})")
    return f"With it: {', '.join(words)}." if words else None


def _fallen(result: Result) -> list[str]:
    """A sentence per method of which a part was compressed by something else; where it was most, an alert says so."""
    found = [each for name in method_names(result) for each in fallbacks_of(result, name)]
    return [f"{each.method}: {each.text}." for each in found if not each.alert]


def _prepared(result: Result) -> str | None:
    """What methods did before the clock ran: no figure of the table holds it."""
    words = []
    for name in method_names(result):
        spent = [
            run.counters["sender_prepare_s"]
            for run in counted_runs(result, name)
            if run.counters.get("sender_prepare_s")
        ]
        if spent:
            words.append(f"{median(spent):.2g}\u00a0s ({name})")
    if not words:
        return None
    return f"Filling histories before the migration took {', '.join(words)}, which no total time and no CPU time here holds."


def _trust(result: Result) -> str:
    """One sentence on verification, over every counted run."""
    runs = [run for name in method_names(result) for run in counted_runs(result, name)]
    if not runs:
        missing = {run.reason for run in result.runs if run.status == "skipped"}
        if len(missing) == 1 and all(run.status == "skipped" for run in result.runs):
            return f"Nothing of it could run there: {missing.pop()}."
        return "No counted run completed, so there is nothing to compare."
    wrong = sum(run.verified is False for run in runs)
    good = sum(run.verified is True for run in runs)
    if wrong:
        return f"Verification found wrong memory in {wrong} of {plural(len(runs), 'run')}. Do not trust these figures."
    what = "stream" if facts.is_replay(result) else "memory"
    if not good:
        return f"Nothing was verified: no run checked that the {what} arrived intact."
    if good < len(runs):
        return f"Only {good} of {plural(len(runs), 'completed run')} had their {what} verified."
    lost = sum(run.status in ("failed", "timeout") for run in result.runs if not run.warmup)
    others = f" {lost} more did not complete." if lost else ""
    return f"All {plural(len(runs), 'completed run')} had their {what} verified.{others}"


def sentences(result: Result, best: str | None, changes: Changes) -> tuple[str, ...]:
    """What the table adds up to: the fastest method's effect, its price, how far to trust it, what is missing."""
    base = facts.baseline_name(result)
    lines: list[str | None] = []
    if best and base:
        lines = [_against_baseline(result, best, base, changes), _price(result, best, changes)]
    elif best:
        lines = [
            f"{doubted_name(result, best)} was the fastest; no method is marked as the baseline, so no effect is given."
        ]
    elif base and summary_of(result, base, "total_time_s"):
        lines = [f"Only {base}, the baseline, has figures; there is nothing to compare it with."]
    without = [name for name in method_names(result) if not counted_runs(result, name)]
    missing = f"{plural(len(without), 'method')} without a figure: {', '.join(without)}." if without else None
    return tuple(line for line in [*lines, *_fallen(result), _prepared(result), _trust(result), missing] if line)
