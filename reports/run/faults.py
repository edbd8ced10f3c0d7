"""What went wrong on a device, run by run, and what QATzip did in software: the sender's counters as text. Knows no HTML."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.result import Result, Run
from reports.effects import counted_runs, method_names
from reports.numbers import DASH, amount, plural, share_percent
from reports.run.fallbacks import count, stand_in

__all__ = ["QAT_HEADINGS", "Faults", "QatRow", "fault_text", "faults", "qat_rows"]

QAT_HEADINGS = ("Runs", "In hardware", "In software", "Software's share", "Submissions", "Errors")
_MIB = 1 << 20
_KINDS = (
    ("errors", "error"),
    ("timeouts", "time-out"),
    ("deaths", "worker death"),
    ("mismatches", "wrong answer"),
    ("refused", "refused batch"),
    ("restarts", "restart"),
)


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One run in which batches fell back or the device failed. ``warmup`` as in every list of runs."""

    method: str
    run: str
    warmup: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Faults:
    """All such runs, warm-ups and failed ones too, in columns of ``headings``; ``clean`` is what to say of none."""

    headings: tuple[str, ...]
    rows: tuple[FaultRow, ...]
    clean: str


@dataclass(frozen=True, slots=True)
class QatRow:
    """QATzip's own counts, summed over one method's counted runs. ``trouble``: software did a part of the work."""

    method: str
    cells: tuple[str, ...]
    trouble: bool


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
    fallen = DASH if fallen_bytes is None else amount(fallen_bytes / _MIB, 1)
    kinds = (amount(device[word]) if word in device else DASH for _, word in _KINDS)
    return (_fell_back(run), fallen, stand_in(run) if count(run, "fallbacks") else DASH, *kinds)


def faults(result: Result) -> Faults:
    """Every run in which something other than the device did its work, or the device failed."""
    rows = tuple(
        FaultRow(run.method, "warm-up" if run.warmup else f"run {run.repeat}", run.warmup, _cells(run))
        for method in method_names(result)
        for run in result.runs
        if run.method == method and _wrong(run)
    )
    headings = ("Fell back, batches", "MiB", "Compressed by", "Errors", "Time-outs", "Worker deaths", "Wrong answers",
                "Refused batches", "Restarts")  # fmt: skip
    return Faults(headings, rows, "No batch fell back and no device failed, in any run.")


def qat_rows(result: Result) -> tuple[QatRow, ...]:
    """Calls in hardware and in software, of each method that went through QATzip."""
    rows = []
    for method in method_names(result):
        runs = [
            run for run in counted_runs(result, method) if any(key.startswith("sender_qat_") for key in run.counters)
        ]
        if not runs:
            continue
        hardware, software, submissions, errors = (
            sum(count(run, f"sender_qat_{name}") for run in runs)
            for name in ("hardware_calls", "software_calls", "submissions", "errors")
        )
        calls = hardware + software
        share = share_percent(software / calls if calls else None)
        cells = (str(len(runs)), amount(hardware), amount(software), share, amount(submissions), amount(errors))
        rows.append(QatRow(method, cells, software > 0))
    return tuple(rows)
