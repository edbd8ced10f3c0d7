"""``pageferry compare``: what it prints, what it refuses, and what a gate's exit status is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import report_samples as samples

from harness import cli
from harness.results.result import save_result


@pytest.fixture
def folders(tmp_path):
    """The same experiment twice; the second time one method takes 15 % longer."""
    old = samples.live(repeats=7)
    runs = tuple(
        replace(r, total_time_s=r.total_time_s * 1.15) if r.method == "isal-1" and r.total_time_s else r
        for r in old.runs
    )
    save_result(old, tmp_path / "base" / "result.json")
    save_result(replace(old, runs=runs), tmp_path / "new" / "result.json")
    return [str(tmp_path / "base"), str(tmp_path / "new")]


def test_it_says_what_is_worse_and_by_how_much(folders, capsys):
    assert cli.main(["compare", *folders]) == 0
    out = capsys.readouterr().out
    assert "Of 20 figures with a verdict" in out
    assert "Worse: isal-1: total time +15 % (" in out
    assert "99.8 %" in out


@pytest.mark.parametrize(
    ("gate", "status"),
    [("worse", 8), ("worse:total_time", 8), ("worse:total_time:20%", 0), ("worse:downtime,wire_bytes:5%", 0)],
)
def test_a_gate_has_a_status_of_its_own(folders, capsys, gate, status):
    assert cli.main(["compare", *folders, "--fail-on", gate]) == status
    assert ("new: isal-1: total time is worse by 15 %" in capsys.readouterr().err) == (status == 8)


def test_a_gate_fails_on_a_method_that_completes_no_more(tmp_path, capsys):
    old = samples.live(repeats=7)
    save_result(old, tmp_path / "base" / "result.json")
    gone = tuple(replace(r, status="failed") if r.method == "zlib-1" else r for r in old.runs)
    save_result(replace(old, runs=gone), tmp_path / "new" / "result.json")
    assert cli.main(["compare", str(tmp_path / "base"), str(tmp_path / "new"), "--fail-on", "worse"]) == 8
    assert "zlib-1: no run completed" in capsys.readouterr().err


def test_unlike_experiments_are_refused_with_each_difference(folders, tmp_path, capsys):
    other = samples.live(repeats=7, bandwidth=None)
    save_result(replace(other, environment={**other.environment, "cores": 8}), tmp_path / "far" / "result.json")
    pair = [folders[0], str(tmp_path / "far")]
    assert cli.main(["compare", *pair]) == 2
    said = capsys.readouterr().err
    for words in (
        "two experiments",
        "link.bandwidth_bytes_per_s: 1 Gbit/s and unlimited",
        "cores: 2 and 8",
        "--anyway",
    ):
        assert words in said
    assert cli.main(["compare", *pair, "--anyway"]) == 0
    assert "this is not one experiment made twice" in capsys.readouterr().out


def test_a_method_that_one_result_lacks_is_named_once_and_not_by_each_of_its_settings(folders, tmp_path, capsys):
    other = samples.live(repeats=7)
    methods = [each for each in other.scenario["methods"] if each["name"] != "zlib-1"]
    save_result(replace(other, scenario={**other.scenario, "methods": methods}), tmp_path / "fewer" / "result.json")
    assert cli.main(["compare", folders[0], str(tmp_path / "fewer")]) == 2
    said = capsys.readouterr().err
    assert "two experiments: method zlib-1: there and absent; --anyway" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot read the result: No such file or directory; name a result.json"),
        ("{", "not a pageferry result: no JSON: "),
        ('{"runs": []}', "not a pageferry result: scenario: Field required; name one"),
        ('{"scenario": {}, "environment": {}, "x": NaN}', "it has the number NaN, and no figure is that; name one"),
    ],
    ids=["missing", "cut", "foreign", "no-number"],
)
def test_what_is_no_result_is_one_line_with_a_remedy(folders, tmp_path, capsys, text, why):
    other = tmp_path / "other.json"
    if text is not None:
        other.write_text(text)
    for command in (["compare", folders[0], str(other)], ["report", str(other), "--out", str(tmp_path / "site")]):
        assert cli.main(command) == 7
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"pageferry: error: {other}: ")
        assert why in line
        assert "; name " in line


def test_a_gate_for_which_there_are_too_few_runs_is_refused(tmp_path, capsys):
    save_result(samples.live(repeats=3), tmp_path / "result.json")
    assert cli.main(["compare", str(tmp_path), str(tmp_path), "--fail-on", "worse"]) == 2
    assert "repeats=7" in capsys.readouterr().err


def test_json_has_every_figure_and_markdown_those_with_a_verdict(folders, capsys):
    assert cli.main(["compare", *folders, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (worse,) = [entry for entry in told["changes"] if entry["verdict"] == "worse"]
    assert (worse["method"], worse["metric"], worse["new_n"]) == ("isal-1", "total_time_s", 7)
    assert {entry["metric"] for entry in told["changes"]} > {"total_time_s", "ratio"}
    assert cli.main(["compare", *folders, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 20
    assert sum("**worse**" in row for row in rows) == 1
    assert all(row.count(" | ") == 7 for row in rows)


def test_a_page_is_written_beside(folders, tmp_path, capsys):
    assert cli.main(["compare", *folders, "--json", "--out", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["schema"] == 1
    assert "page.html" in told.err
    assert "cannot tell, needs n\u00a0=\u00a0" in (tmp_path / "page.html").read_text(encoding="utf-8")
