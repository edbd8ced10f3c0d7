"""The terminal's tables: what a device did not do itself stands beside its figures."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import report_samples as samples
from rich.console import Console

from harness import cli
from harness.result import save_result
from harness.summary import print_summary


def printed(result):
    console = Console(width=160, file=io.StringIO())
    print_summary(console, result)
    return console.file.getvalue()


def row(text, method):
    return next(line for line in text.splitlines() if line.strip().startswith(method))


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("opencl-64k", "0/1700"),
        ("opencl-4k", "24/1700"),
        ("opencl-late", "1700/1700"),
        ("qatzip-1", "90/1700"),
        ("isal-1", "-"),
    ],
)
def test_each_row_says_how_many_batches_fell_back(method, end):
    assert row(printed(samples.offload()), method).split()[-1] == end


def test_fallbacks_are_sentences_below_the_table():
    text = printed(samples.offload())
    assert "warning: opencl-4k: 24 of 1700 batches fell back to isal 1\n" in text
    assert "warning: opencl-late: 1700 of 1700 batches fell back to isal 1; this is no offload result\n" in text
    assert "warning: qatzip-1: 90 of 1700 calls fell back to QATzip's software\n" in text


def test_without_a_device_there_is_no_such_column():
    assert "fell back" not in printed(samples.live())


def test_compare_warns_of_the_side_that_fell_back(tmp_path, capsys):
    clean = samples.offload()
    runs = tuple(replace(r, counters={"fallbacks": 0, "sender_batches": 340}) for r in clean.runs)
    save_result(replace(clean, runs=runs), tmp_path / "a" / "result.json")
    save_result(samples.offload(), tmp_path / "b" / "result.json")
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "warning: B: opencl-late is not a result of opencl" in out
    assert "warning: A:" not in out
