"""What went wrong on a device, run by run, and what QATzip did in software: the sender's counters as text. Knows no HTML."""

from __future__ import annotations

from harness.results.result import Result, Run
from harness.units import MIB
from reports.effects import counted_runs, method_names
from reports.numbers import DASH, amount, plural, share_percent
from reports.run.fallbacks import count, stand_in
from reports.table import Table

_QAT = ("Method", "Runs", "In hardware", "In software", "Software's share", "Submissions", "Errors")
_FAULTS = ("Method", "Run", "Fell back, batches", "MiB", "Compressed by", "Errors", "Time-outs", "Worker deaths", "Wrong answers",
           "Refused batches", "Restarts")  # fmt: skip
_KINDS = (
    ("errors", "error"),
    ("timeouts", "time-out"),
    ("deaths", "worker death"),
    ("mismatches", "wrong answer"),
    ("refused", "refused batch"),
    ("restarts", "restart"),
)


def _of_device(run: Run) -> dict[str, int]:
    return {
        word: count(run, f"sender_offload_{key}") for key, word in _KINDS if f"sender_offload_{key}" in run.counters
    }


def _fell_back(run: Run) -> str:
    total = count(run, "sender_batches")
    return f"{amount(count(run, 'fallbacks'))} of {amount(total)}" if total else amount(count(run, "fallbacks"))


def _wrong(run: Run) -> bool:
    return count(run, "fallbacks") > 0 or any(_of_device(run).values())


def fault_text(run: Run) -> str:
    """``Device: 1 time-out, 9 refused batches``; empty where nothing went wrong. What fell back, the run's warning says."""
    found = [_plural(number, word) for word, number in _of_device(run).items() if number]
    return f"Device: {', '.join(found)}" if found else ""


def _plural(number: int, word: str) -> str:
    return f"{number} {word}es" if number != 1 and word.endswith("ch") else plural(number, word)


def _cells(run: Run) -> tuple[str, ...]:
    device = _of_device(run)
    fallen_bytes = run.counters.get("sender_fallback_bytes")
    fallen = DASH if fallen_bytes is None else amount(fallen_bytes / MIB, 1)
    kinds = (amount(device[word]) if word in device else DASH for _, word in _KINDS)
    label = "warm-up" if run.warmup else f"run {run.repeat}"
    return (run.method, label, _fell_back(run), fallen, stand_in(run) if count(run, "fallbacks") else DASH, *kinds)


def faults(result: Result) -> Table:
    """Every run in which something other than the device did its work, or the device failed; warm-ups and failed ones too."""
    wrong = [run for method in method_names(result) for run in result.runs if run.method == method and _wrong(run)]
    return Table(
        "Fallbacks and faults, run by run",
        _FAULTS,
        tuple(map(_cells, wrong)),
        words=(0, 1),
        missing="No batch fell back and no device failed, in any run.",
        marks=tuple("warmup" if run.warmup else "" for run in wrong),
    )


def qat_calls(result: Result) -> Table:
    """Calls in hardware and in software, of each method that went through QATzip; marked where software did a part of the work."""
    rows, marks = [], []
    for method in method_names(result):
        runs = [run for run in counted_runs(result, method) if any(k.startswith("sender_qat_") for k in run.counters)]
        if not runs:
            continue
        hardware, software, submissions, errors = (
            sum(count(run, f"sender_qat_{name}") for run in runs)
            for name in ("hardware_calls", "software_calls", "submissions", "errors")
        )
        calls = hardware + software
        share = share_percent(software / calls if calls else None)
        numbers = (len(runs), hardware, software)
        rows.append((method, *map(amount, numbers), share, amount(submissions), amount(errors)))
        marks.append("differs" if software else "")
    return Table("QATzip's calls, all counted runs together", _QAT, tuple(rows), marks=tuple(marks))
