"""The terminal's table of what auto lost."""

from __future__ import annotations

import io

from rich.console import Console
from small_results import repeated

from harness.results.result import Result
from reports.terminal.regrets import print_regrets


def result(fill: str, **total_s: float) -> Result:
    methods = [{"name": name, "engine": "pageferry", "backend": name} for name in total_s]
    runs = [run for name, value in total_s.items() for run in repeated(name, total_time_s=value)]
    return Result({"name": "grid", "methods": methods, "cell": {"guest.fill": fill}}, {}, tuple(runs))


def printed(*results: Result) -> list[str]:
    console = Console(width=160, file=io.StringIO())
    print_regrets(console, results)
    return console.file.getvalue().splitlines()


def test_each_cell_has_a_row_with_the_best_fixed_choice_beside_auto():
    lines = printed(result("text", none=4.0, zstd=1.0, auto=1.1), result("random", zstd=1.0, auto=0.9))
    assert lines[0].startswith("auto and the best fixed choice: median total ms")
    rows = [line.split() for line in lines if line.split()[:1] in (["text"], ["random"])]
    assert rows == [
        ["text", "1100", "1000", "zstd", "+10", "%", "\u2013", "\u221272", "%"],
        ["random", "900", "1000", "zstd", "\u221210", "%", "\u2013", "\u2013"],
    ]


def test_without_auto_nothing_is_printed():
    assert printed(result("text", none=4.0, zstd=1.0)) == []
