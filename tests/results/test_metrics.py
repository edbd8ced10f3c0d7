"""A metric is one entry: whatever shows metrics shows a new one."""

from __future__ import annotations

import io

import pyperf
import pytest
from rich.console import Console

from harness.experiment.pyperf_export import write_pyperf
from harness.results.metrics import METRICS, SECONDS, Metric
from harness.results.result import Result, Run
from harness.results.stats import summarise
from reports.run import view
from reports.run.comparison import compare
from reports.terminal.summary import print_summary

SCENARIO = {"name": "toy", "methods": [{"name": "a", "baseline": True}, {"name": "b"}]}


def _run(method: str, repeat: int) -> Run:
    return Run(method, repeat, warmup=False, status="completed", total_time_s=repeat, counters={"toy_s": 3.25 * repeat})


@pytest.fixture
def result(monkeypatch) -> Result:
    toy = Metric("toy_s", "Toy time", "toys", SECONDS, lambda run: run.counters.get("toy_s"), "How long toys took.")
    monkeypatch.setitem(METRICS, toy.key, toy)
    runs = tuple(_run(method, repeat) for method in ("a", "b") for repeat in (1, 2, 3))
    return Result(SCENARIO, {}, runs, summarise(runs, "a"))


def test_a_new_metric_is_summarised_and_compared_with_the_baseline(result):
    assert result.summary["b"]["toy_s"].median == 6.5
    assert result.summary["b"]["toy_s"].vs_baseline == 1


def test_a_new_metric_is_in_every_table_of_a_page_and_in_its_definitions(result):
    page = view.page(result)
    assert "Toy time (s)" in page.verdict.headings
    assert "6.50" in {cell.value for cell in page.verdict.rows[1].cells}
    assert ("b", "Toy time (s)", "6.50") in {row[:3] for row in page.figures.rows}
    shown = dict(zip(page.runs[1].table.headings, page.runs[1].table.rows[0], strict=True))
    assert shown["Toy time (s)"] == "3.250"
    assert ("Toy time", "How long toys took.") in page.definitions


def test_a_new_metric_is_in_a_comparisons_page(result):
    lines = compare(result, result).lines
    assert [(line.method, line.ratio) for line in lines if line.metric == "Toy time (s)"] == [
        ("a", "1.000"),
        ("b", "1.000"),
    ]


def test_a_new_metric_is_in_the_terminals_table(result):
    console = Console(width=160, file=io.StringIO())
    print_summary(console, result)
    assert "toys s" in console.file.getvalue()
    assert "6.50" in console.file.getvalue()


def test_a_new_metric_is_in_pyperfs_files(result, tmp_path):
    path = write_pyperf(result, tmp_path)[1]
    assert pyperf.BenchmarkSuite.load(str(path)).get_benchmark("toy").get_values() == (3.25, 6.5, 9.75)
