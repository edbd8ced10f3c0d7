"""A site: what is on it, what of it is built anew, and what becomes of files that cannot be used."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import matrix_samples
import pytest
import report_samples as samples
from site_samples import saved
from small_results import small_result, small_run

from harness.errors import ResultError, UserError
from harness.results.identity import Identity
from harness.results.result import load_result, save_result
from reports.drawing.chart import Chart
from reports.run.charts.build import Charts
from reports.site import page
from reports.site.folder import MANIFEST
from reports.site.page import write_index, write_site


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch, tmp_path):
    """Charts take a second each; they have their own tests."""
    monkeypatch.setattr("reports.run.page.build", lambda _: Charts((), ()))
    drawn = Chart("k", "t", "c", {"config": {"legend": {}}}, "<svg></svg>", "charts")
    monkeypatch.setattr("reports.site.charts.chart", lambda *_: drawn)
    monkeypatch.setattr("reports.html.javascript", lambda: "")


def links(file: Path) -> list[str]:
    found = re.findall(r'(?:href|src)="([^"#]+)', file.read_text(encoding="utf-8"))
    return [link for link in found if not link.startswith("data:")]


def test_every_link_of_a_site_leads_somewhere_in_it(tmp_path):
    write_site(
        [saved(tmp_path, night=1), saved(tmp_path, night=2), saved(tmp_path, night=2, name="other")], tmp_path / "out"
    )
    pages = list((tmp_path / "out").rglob("*.html"))
    assert len(pages) == 1 + 3 + 1 + 2 + 1 + 1, "index, results, the run of two, histories, newest, method"
    for file in pages:
        for link in links(file):
            target = (file.parent / link).resolve()
            assert target.is_file(), (file, link)
            assert target.is_relative_to(tmp_path / "out")


def test_style_and_scripts_are_there_once(tmp_path):
    write_site([saved(tmp_path, night=night) for night in (1, 2, 3)], tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.css"))) == 1
    assert len(list((tmp_path / "out").rglob("*.js"))) == 2
    assert all("<style" not in file.read_text() for file in (tmp_path / "out").rglob("*.html"))


def test_what_the_columns_hold_is_said_once_and_every_run_has_its_own_link(tmp_path):
    write_site([saved(tmp_path, night=night) for night in (1, 2)], tmp_path / "out")
    told = [file for file in (tmp_path / "out").rglob("*.html") if '<dl class="definitions">' in file.read_text()]
    assert told == [tmp_path / "out" / "method.html"]
    for file in (tmp_path / "out" / "runs").rglob("index.html"):
        text = file.read_text()
        assert "../../method.html" in text
        assert [text.count(f'id="run-{method}-1"') for method in ("original", "zstd-1")] == [1, 1]


def test_failures_come_first_and_are_counted(tmp_path):
    broke = small_run("zstd-1", None, status="failed", error="it broke", verified=None)
    failed = small_result(small_run("original"), small_run("zstd-1"), broke, name="broken")
    write_site([saved(tmp_path, night=1), saved(tmp_path, failed, night=1, name="broken")], tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    assert "1 of the newest 2 with failures" in text
    assert (
        text.index("1 of 3 runs did not complete: zstd-1 (1 failed).")
        < text.index("Regressions")
        < text.index(">mini<")
    )
    assert text.index('<li class="failed">') < text.index('<li class="good">')


def test_a_planted_regression_is_on_the_index_in_the_feed_and_for_programs(tmp_path):
    totals = [1.0 + 0.002 * (night % 3) + (0.06 if night > 9 else 0) for night in range(1, 13)]
    write_site([saved(tmp_path, night=night, total_s=total) for night, total in enumerate(totals, 1)], tmp_path / "out")
    words = "original: total time +6.0\u00a0% since 2026-01-10"
    assert words in (tmp_path / "out" / "index.html").read_text()
    atom = ET.parse(tmp_path / "out" / "feed.xml").getroot()
    titles = [each.text for each in atom.iter("{http://www.w3.org/2005/Atom}title")]
    assert any(words in title and title.startswith("worse: mini: ") for title in titles)
    ids = [each.text for each in atom.iter("{http://www.w3.org/2005/Atom}id")]
    assert len(set(ids)) == len(ids)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "history.csv").read_text())))
    changed = [row for row in rows if row["change"]]
    assert {(row["method"], row["metric"], row["started"][:10]) for row in changed} == {
        ("original", "total_time_s", "2026-01-10"), ("zstd-1", "total_time_s", "2026-01-10"),
    }  # fmt: skip
    told = json.loads((tmp_path / "out" / "history.json").read_text())
    assert [len(each["changes"]) for each in told["series"] if each["metric"] == "total_time_s"] == [1, 1]


def test_cells_that_were_run_apart_stand_in_one_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "reports.sweep.charts.matrix.chart", lambda *_: Chart("m", "t", "c", {}, "<svg></svg>", "charts")
    )
    files = []
    for number, cell in enumerate(matrix_samples.cells(), 1):
        stamp = f"2026-01-{number:02d}T020000Z-000000"
        told = Identity(stamp, f"2026-01-{number:02d}T02:00:00+00:00", "ada", "0" * 16, "0.1.0")
        files.append(tmp_path / str(number) / "result.json")
        save_result(replace(cell, identity=told), files[-1])
    assert len(write_site(files, tmp_path / "out").newest) == 5
    text = (tmp_path / "out" / "newest.html").read_text()
    assert all(f">{name}<" in text for name in ("zlib-1", "zstd-1", "lz4-0", "qatzip-1"))
    assert "no such card here" in text


def test_only_what_changed_is_built(tmp_path):
    files = [saved(tmp_path, night=night) for night in range(1, 6)]
    first = write_site(files, tmp_path / "out")
    assert first.built == first.pages
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert write_site(files, tmp_path / "out").built == 0
    more = write_site([*files, saved(tmp_path, night=9)], tmp_path / "out")
    new = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and before.get(path) != path.stat().st_ino]
    assert sum("2026-01-09" in str(path) for path in new) == 2
    assert sum("/runs/" in str(path) for path in new) == 3, "and the page that was the newest, whose charts go"
    assert more.built == len(new) - 1, "its own list is no page"


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw[:20] + b"x" * 40], ids=range(3)
)
def test_a_damaged_list_of_pages_makes_all_anew(tmp_path, damage):
    files = [saved(tmp_path)]
    first = write_site(files, tmp_path / "out")
    (tmp_path / "out" / MANIFEST).write_bytes(damage((tmp_path / "out" / MANIFEST).read_bytes()))
    assert write_site(files, tmp_path / "out").built == first.pages
    assert write_site(files, tmp_path / "out").built == 0


def test_what_went_away_goes_and_what_is_not_ours_stays(tmp_path):
    files = [saved(tmp_path, night=night) for night in (1, 2)]
    write_site(files, tmp_path / "out")
    (tmp_path / "out" / "CNAME").write_text("example.org")
    write_site(files[:1], tmp_path / "out")
    assert not list((tmp_path / "out" / "runs").glob("2026-01-02*"))
    assert (tmp_path / "out" / "CNAME").read_text() == "example.org"


def test_a_full_disk_is_one_line_and_the_old_site_stays(tmp_path, monkeypatch):
    files = [saved(tmp_path, night=night) for night in (1, 2)]
    write_site(files[:1], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reports.site.making.packed", full)
    with pytest.raises(ResultError, match="out: cannot write the site: No space left on device; free space or choose"):
        write_site(files, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_a_folder_of_results_or_a_file_is_no_place_for_a_site(tmp_path):
    file = saved(tmp_path / "in")
    with pytest.raises(UserError, match="has results in it, and is no site: choose another --out"):
        write_site([file], file.parent)
    with pytest.raises(ResultError, match="cannot write the site"):
        write_site([file], file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda text: text[: len(text) // 2], "not a pageferry result"),
        (lambda text: '{"benchmarks": []}', "not a pageferry result: scenario"),
        (
            lambda text: text.replace('"schema":1', '"schema":99').replace('"schema": 1', '"schema": 99'),
            "schema 99 is newer",
        ),
        (lambda text: re.sub(r'"median": ?1.0', '"median": 0.25', text, count=1), "somebody edited it"),
    ],
    ids=["truncated", "foreign", "newer", "edited"],
)
def test_a_file_that_cannot_be_used_is_one_line_and_the_rest_is_built(content, words, tmp_path):
    good, bad = saved(tmp_path, night=1), saved(tmp_path, night=2)
    bad.write_text(content(bad.read_text()))
    written = write_site([good, bad], tmp_path / "out")
    (problem,) = written.problems
    assert words in problem
    assert str(bad) in problem
    assert "\n" not in problem
    assert written.results == 1
    assert words in (tmp_path / "out" / "index.html").read_text()


def test_two_of_one_id_are_told_and_the_first_is_shown(tmp_path):
    first = saved(tmp_path / "a", night=1)
    copy, other = saved(tmp_path / "b", night=1), saved(tmp_path / "c", night=1, total_s=2.0)
    written = write_site([first, copy, other, first], tmp_path / "out")
    assert [f"{path}: {words}" in problem for path, words, problem in zip(
        (copy, other), ("is a copy of", "has the run id and scenario of"), written.problems, strict=True
    )] == [True, True]  # fmt: skip


def test_one_scenario_on_two_pairs_of_one_fleet_is_two_results(tmp_path):
    """The second was left out, as one that has the run id and scenario of the first."""
    files = []
    for pair in ("lab", "rack"):
        result = small_result(small_run("original"))
        link = {"kind": "pair", "name": pair}
        result = replace(result, scenario={**result.scenario, "link": {**result.scenario.get("link", {}), **link}})
        files.append(saved(tmp_path / pair, result))
    written = write_site(files, tmp_path / "out")
    assert (written.problems, written.results) == ((), 2)
    index = (tmp_path / "out" / "index.html").read_text()
    assert all(f"@{pair}" in index for pair in ("lab", "rack"))


HOSTILE = ["<script>alert(1)</script>", "../../etc", "a/b", "=1+1", "\u202ename", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_stays_inside(name, tmp_path):
    file = saved(tmp_path / "in", small_result(small_run(name or "original"), name=name), run_id=name or "x", host=name)
    write_site([file], tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    for path in (tmp_path / "out").rglob("*.html"):
        assert "<script>alert" not in path.read_text()
    for row in csv.reader(io.StringIO((tmp_path / "out" / "history.csv").read_text())):
        assert not any(cell.startswith("=") for cell in row)
    ET.parse(tmp_path / "out" / "feed.xml")


def test_names_of_folders_are_taken_once():
    names = page._names(["a/b", "a b", "A-B", "..", "", "x" * 99])
    assert len({name.lower() for name in names.values()}) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,61}", name) for name in names.values())


def test_results_of_before_identity_are_shown_by_their_date(tmp_path):
    save_result(samples.one_method(), tmp_path / "old" / "result.json")
    written = write_site([tmp_path / "old" / "result.json"], tmp_path / "out")
    assert (written.results, written.problems) == (1, ())


def test_a_figure_of_a_newer_pageferry_is_no_reason_to_refuse_a_result(tmp_path):
    result = small_result(small_run("original"))
    figures = {"figure_of_tomorrow": result.summary["original"]["total_time_s"], **result.summary["original"]}
    save_result(replace(result, summary={"original": figures}), tmp_path / "new" / "result.json")
    assert write_site([tmp_path / "new" / "result.json"], tmp_path / "site").problems == ()


def test_the_index_of_one_run_links_its_own_pages(tmp_path):
    write_index({"one": samples.empty(), "two": samples.all_failed()}, tmp_path)
    found = {"one/report.html", "one/result.json", "two/report.html", "two/result.json"}
    assert set(links(tmp_path / "index.html")) == found


def test_a_result_of_the_time_when_there_was_a_page_cache_is_loaded_and_shown(tmp_path):
    result = samples.one_method()
    methods = [{**method, "cache_bytes": 64 << 20} for method in result.scenario["methods"]]
    runs = [replace(run, counters={**run.counters, "cache_hits": 7, "cache_hit_rate": 0.5}) for run in result.runs]
    old = replace(result, scenario={**result.scenario, "methods": methods}, runs=tuple(runs))
    save_result(old, tmp_path / "old" / "result.json")
    assert load_result(tmp_path / "old") == old
    write_site([tmp_path / "old" / "result.json"], tmp_path / "site")
    assert "cache_hits" in next((tmp_path / "site" / "runs").glob("*/index.html")).read_text(encoding="utf-8")
