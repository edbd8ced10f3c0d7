"""Which runs did not end well, in words: what a reader has to know before any figure of those that did."""

from __future__ import annotations

from collections import Counter

from harness.results.result import Result, Run
from reports.numbers import plural

_ENDED = {"failed": "failed", "timeout": "did not end in time"}


def failures(result: Result) -> tuple[str, ...]:
    """``5 of 24 runs did not complete: zstd-1 (4 failed).``, and a sentence on wrong memory; none where all is well.

    Warm-ups count here: one that fails tells of its method. A search's run that does not end in time is a finding.
    """
    made = [run for run in result.runs if run.status != "skipped"]
    lost = [run for run in made if run.status == "failed" or (run.status == "timeout" and run.attempt is None)]
    wrong = [run for run in made if run.verified is False]
    said = []
    if lost:
        said.append(f"{len(lost)} of {plural(len(made), 'run')} did not complete: {_by_method(lost)}.")
    if wrong:
        methods = ", ".join(dict.fromkeys(run.method for run in wrong))
        said.append(f"{len(wrong)} of {plural(len(made), 'run')} arrived with wrong memory: {methods}.")
    return tuple(said)


def _by_method(lost: list[Run]) -> str:
    counts = Counter((run.method, run.status) for run in lost)
    return ", ".join(f"{method} ({count} {_ENDED[status]})" for (method, status), count in counts.items())
