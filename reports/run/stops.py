"""How each method's guest came to be stopped where it was to stand still as briefly as it allows: as a table.

Result -> dataclasses of text. Knows no HTML. A result in which nobody decided that has no such table.
"""

from __future__ import annotations

from harness.results.metrics import METRICS
from harness.results.result import Result, Run
from harness.results.stops import stop_of
from reports.effects import counted_methods, counted_runs, medians_run
from reports.numbers import scaled
from reports.table import Table

_DOWNTIME = METRICS["downtime_s"]


def median_steered(result: Result, method: str) -> Run | None:
    """A method's median run, of those that were steered."""
    return medians_run([run for run in counted_runs(result, method) if run.steering])


def stops(result: Result) -> Table | None:
    """The last that QEMU was told in each method's median run, and what came of it; None: nothing that could be told."""
    if result.scenario.get("frontier"):  # its runs differ in what they tried
        return None
    rows = []
    for method in counted_methods(result):
        run = median_steered(result, method)
        stop = None if run is None else stop_of(run.steering)
        if run is not None and stop is not None:
            times = (scaled(_DOWNTIME, stop.predicted_s), scaled(_DOWNTIME, run.downtime_s))
            rows.append(
                (method, str(run.repeat), f"{stop.at_s:.2f}", str(stop.passes), *times, stop.told, str(stop.why))
            )
    headings = ("Method", "Run", "After (s)", "In pass", "Predicted (ms)", "Downtime (ms)", "QEMU was told", "What for")
    title = "How each guest was stopped: the last that its QEMU was told, in the method's median run"
    return Table(title, headings, tuple(rows), words=(0, 6, 7)) if rows else None
