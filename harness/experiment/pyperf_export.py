"""A result as pyperf's JSON, so that ``pyperf show``, ``stats``, ``hist``, ``compare_to`` and ``convert --add`` read it.

``pyperf.json`` holds all methods, each benchmark under a name of its own, as ``throttled/isal-1/total_time``: two of them compare
nights, or are merged. ``pyperf/METHOD.json`` holds one method under the metrics' bare names, which is how ``compare_to`` pairs
two methods. A run of ours is a run of pyperf's with one value. Knows results, not how they were measured.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pyperf

from harness.results.document import Scalar
from harness.results.metrics import Metric, shown_in
from harness.results.result import Result, Run
from harness.results.saving import save_whole
from harness.units import format_bandwidth

Metadata = dict[str, str | int | float]

# pyperf's name -> ours. The first five it knows: it merges no runs in which they differ.
_FACTS = {
    "cpu_model_name": "cpu_model",
    "cpu_count": "cores",
    "python_version": "python",
    "load_avg_1min": "load_1min",
    "cpu_governor": "governor",
    "kernel": "kernel",
    "qemu_version": "qemu",
    "accelerator": "accel",
    "link": "link",
    "pageferry_version": "pageferry",
}


def write_pyperf(result: Result, folder: Path) -> list[Path]:
    """Write ``folder/pyperf.json`` and ``folder/pyperf/METHOD.json`` for each method with a completed run; nothing without one.

    :raises ResultError: they cannot be written.
    """
    facts = _facts(result)
    name, whole, written = str(result.scenario.get("name") or "unnamed"), [], []
    for method in dict.fromkeys(run.method for run in result.runs):
        completed = [run for run in result.runs if run.method == method and run.status == "completed"]
        runs = [run for run in completed if run.attempt is None]  # a search's runs differ in what they tried
        about = facts | {"scenario": name, "method": method}
        if own := _benchmarks("", runs, about):
            written.append(save_suite(own, folder / "pyperf" / f"{_file_name(method)}.json"))
            whole += _benchmarks(f"{name}/{method}/", runs, about)
    return [save_suite(whole, folder / "pyperf.json"), *written] if whole else []


def _benchmarks(prefix: str, runs: Sequence[Run], about: Metadata) -> list[pyperf.Benchmark]:
    """One for each metric that was measured."""
    counted = [run for run in runs if not run.warmup]
    metrics = [metric for metric in shown_in("pyperf") if any(metric.of(run) for run in counted)]
    return [_benchmark(metric, prefix, runs, about, 1 / len(metrics)) for metric in metrics]


def _benchmark(metric: Metric, prefix: str, runs: Sequence[Run], about: Metadata, share: float) -> pyperf.Benchmark:
    """One pyperf run per run of ours; all warm-ups stand before the first, where they were made. pyperf refuses a zero.

    ``share``: pyperf adds up what a file's benchmarks took, and here one migration gives a value to each of them.
    """
    warm = [run for run in runs if run.warmup]
    warmups = [(1, value) for run in warm if (value := metric.of(run))]
    waited_s = sum(run.total_time_s or 0.0 for run in warm)
    described = about | {"name": prefix + metric.key.removesuffix("_s"), "unit": metric.unit.stored, "loops": 1}
    pyperf_runs = []
    for run in runs:
        if run.warmup or not (value := metric.of(run)):
            continue
        # Without it pyperf takes the values' sum for seconds, whatever their unit: years of bytes.
        own = described | {"duration": share * (waited_s + (run.total_time_s or 0.0))}
        if run.started_at is not None:
            own["date"] = pyperf_date(run.started_at)
        pyperf_runs.append(pyperf.Run([value], warmups=warmups, metadata=own, collect_metadata=False))
        warmups, waited_s = [], 0.0
    return pyperf.Benchmark(pyperf_runs)


def machine_facts(environment: Mapping[str, Scalar]) -> Metadata:
    """Of an environment, by pyperf's names. What is not known is left out."""
    known = {name: environment.get(key) for name, key in _FACTS.items()}
    return {name: value for name, value in known.items() if value is not None and value != ""}


def _facts(result: Result) -> Metadata:
    """Of the machine, the link and who ran it: pyperf merges no runs of two host names."""
    known = machine_facts(result.environment)
    if result.identity is not None:
        own = {"hostname": result.identity.host, "run_id": result.identity.run_id, "commit": result.identity.commit}
        known |= {name: value for name, value in own.items() if value}
    link = result.scenario.get("link", {})
    if "bandwidth_bytes_per_s" not in link:
        return known
    return known | {"link_bandwidth": format_bandwidth(link["bandwidth_bytes_per_s"])}


def pyperf_date(when: str) -> str:
    """As pyperf writes it: this machine's time, without a zone."""
    return datetime.datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def save_suite(benchmarks: Sequence[pyperf.Benchmark], path: Path) -> Path:
    """Write one file that pyperf reads. :raises ResultError: it cannot be written."""
    text = io.StringIO()
    pyperf.BenchmarkSuite(benchmarks).dump(text, compact=False)
    save_whole(text.getvalue().encode(), path, "runs for pyperf")
    return path


def _file_name(method: str) -> str:
    return quote(method, safe=" +=,")
