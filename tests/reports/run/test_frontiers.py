"""What a page says of frontiers: brackets, ratios, downtimes; and what an index shows across links."""

import io
import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import frontier_samples as samples
import pytest
import rendered
import report_samples
from rich.console import Console

from harness import cli
from harness.results.result import load_result, save_result
from reports.numbers import DASH
from reports.run import page as report
from reports.run import view
from reports.run.charts.frontiers import attempts
from reports.run.frontiers import DEFINITIONS, frontiers, times_text
from reports.site import page as site
from reports.sweep.charts.frontiers import by_bandwidth, observed_by_bandwidth
from reports.sweep.page import across
from reports.terminal.summary import print_summary

BASE = samples.convergence()
SLOW = samples.convergence(37_500_000)


def rows(spec):
    return [row for values in spec["datasets"].values() for row in values]


def row_of(result, search, method):
    table = frontiers(result).tables[search]
    return dict(zip(table.headings, rows_by_name(table)[method], strict=True))


def rows_by_name(table):
    return {row[0]: row for row in table.rows}


def section(page):
    return unescape(page.split('<section id="verdict"')[1].split("</section>")[0])


def test_each_row_has_both_ends_with_their_votes():
    for index, search in enumerate(("dirty_rate", "downtime_limit")):
        for each in (f for f in BASE.frontiers if f.search == search):
            row = row_of(BASE, index, each.method)
            yes, of = each.converged_runs
            assert f"({yes} of {of})" in row["Converged at"]
            assert (row["Did not at"] == DASH) == (each.failed_at is None)
            assert row["Runs"] == str(each.runs)


def test_a_ratio_stands_with_what_both_brackets_allow():
    each = next(f for f in SLOW.frontiers if (f.search, f.method) == ("dirty_rate", "zstd-1"))
    low, high = each.vs_baseline_range
    found = rows_by_name(frontiers(SLOW).tables[0])
    assert found["zstd-1"][3] == f"{each.vs_baseline:.2f} x (over {low:.2f}, under {high:.2f})"
    assert found["original"][3] == DASH


def test_where_the_guest_was_too_slow_the_row_and_the_sentence_and_a_warning_say_so():
    assert row_of(BASE, 0, "zstd-1")["Did not at"].endswith(": the guest was too slow")
    assert "(the guest itself wrote no faster)" in frontiers(BASE).sentences[0]
    assert any("the guest wrote less than it was asked to" in w.text for w in view.page(BASE).warnings)


def test_the_sentence_names_the_method_whose_frontier_is_farthest_and_both_downtimes():
    rate, limit, trust = frontiers(SLOW).sentences
    best = max((f for f in SLOW.frontiers if f.search == "dirty_rate"), key=lambda f: f.converged_at)
    assert rate.startswith(f"{best.method} converged at the highest dirty rate: ")
    assert "; original at " in rate
    assert re.search(r"The guest then stood still for \d+ ms \(zstd-long-1; original \d+ ms\)\.$", rate)
    assert re.search(r"The guest then stood still for \d+ ms \(zstd-1\)\.$", limit)
    assert re.fullmatch(r"\d+ runs; \d+ of the \d+ that ended had their memory verified.", trust)


def test_a_baseline_that_converged_nowhere_is_said_to():
    assert "; original at none." in frontiers(SLOW).sentences[1]


def test_methods_that_got_equally_far_are_named_together():
    tied = {f.method for f in BASE.frontiers if f.search == "dirty_rate" and f.guest_limited}
    assert len(tied) > 1
    assert frontiers(BASE).sentences[0].startswith(", ".join(sorted(tied)))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 11, 23, len(BASE.runs) - 1])
def test_a_search_that_was_interrupted_anywhere_has_its_page_without_a_word_that_is_none(count):
    result = samples.interrupted(count)
    said = frontiers(result)
    words = " ".join(said.sentences) + " ".join(cell for t in said.tables for row in t.rows for cell in row)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    assert all(spec is None or rows(spec) for s in ("dirty_rate", "downtime_limit")
               for spec in [attempts(result, s)])  # fmt: skip


def test_nothing_tried_yet_is_a_page_that_says_so():
    page = report.render_report(samples.interrupted(0))
    assert "No run was made, so no frontier is known." in section(page)


def test_wrong_memory_is_told_before_anything_is_believed():
    wrong = replace(BASE, runs=(replace(BASE.runs[0], verified=False), *BASE.runs[1:]))
    assert frontiers(wrong).sentences[-1] == "Verification found wrong memory in 1 run. Do not trust these figures."


def test_the_page_has_frontiers_in_the_place_of_medians_over_unequal_runs():
    page = rendered.report("convergence")
    assert section(page).count("<h3>") == 2
    assert 'class="verdict"' not in page
    assert re.findall(r'<figure class="chart" id="chart-([^"]+)"', page) == ["dirty-rate", "downtime-limit"]
    assert set(DEFINITIONS) <= set(view.page(BASE).definitions)


def test_a_page_without_a_search_has_no_word_of_it():
    result = report_samples.live()
    assert frontiers(result) is None
    assert not set(DEFINITIONS) & set(view.page(result).definitions)
    assert across([result, result]) == ()


def test_every_run_says_what_it_tried_and_how_it_ended():
    titles = [run.title for group in view.page(BASE).runs for run in group.runs]
    assert titles[0] == "run 1, dirty rate 10 MiB/s: converged"
    assert any(title.endswith("did not converge, no end within 30 s") for title in titles)


def test_the_chart_shows_every_attempt_and_one_large_mark_for_each_frontier():
    drawn = rows(attempts(BASE, "dirty_rate"))
    tried = [r for r in BASE.runs if r.attempt.search == "dirty_rate"]
    assert len([row for row in drawn if row.get("big") is False]) == len(tried)
    large = {row["method"]: row["value"] for row in drawn if row.get("big")}
    expected = {f.method: f.converged_at / 2**20 for f in BASE.frontiers if f.search == "dirty_rate"}
    assert large == pytest.approx(expected, rel=1e-3)


def test_an_index_of_several_links_has_the_frontiers_across_them(tmp_path):
    site.write_index({"slow": SLOW, "fast": BASE}, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    found = re.findall(r'<figure class="chart" id="chart-([^"]+)"', text)
    assert found == ["dirty-rate-by-link", "downtime-limit-by-link", "downtime-by-link"]
    drawn = rows(by_bandwidth([BASE, SLOW], "dirty_rate"))
    assert list(dict.fromkeys(row["link"] for row in drawn)) == ["300 Mbit/s", "1 Gbit/s"]


def test_links_of_two_lengths_stand_apart_across_links():
    far = replace(BASE, scenario={**BASE.scenario, "link": {**BASE.scenario["link"], "delay_s": 0.05}})
    drawn = rows(by_bandwidth([far, BASE], "dirty_rate"))
    assert list(dict.fromkeys(row["link"] for row in drawn)) == ["1 Gbit/s", "1 Gbit/s, 100 ms round trip"]


def test_a_method_has_one_colour_in_every_chart_across_links():
    specs = [by_bandwidth([BASE, SLOW], s) for s in ("dirty_rate", "downtime_limit")]
    specs.append(observed_by_bandwidth([BASE, SLOW]))
    scales = [spec["layer"][1]["encoding"]["color"]["scale"] for spec in specs]
    assert scales[0] == scales[1] == scales[2]


def test_one_link_alone_has_no_chart_across_links(tmp_path):
    site.write_index({"fast": BASE, "other": report_samples.empty()}, tmp_path)
    assert "<figure" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_frontiers_survive_their_file(tmp_path):
    save_result(BASE, tmp_path / "result.json")
    assert report.render_report(load_result(tmp_path)) == rendered.report("convergence")


def test_markup_in_a_frontier_is_inert():
    hostile = samples.hostile()
    page = report.render_report(hostile)
    assert report_samples.HOSTILE not in page
    assert not re.search(r"<(img|iframe|object)\b|<script>", page.split('<section id="verdict"')[1].split("<nav")[0])
    for svg in (*re.findall(r"<svg.*?</svg>", page, re.S), *(chart.svg for chart in across([hostile, hostile]))):
        ElementTree.fromstring(svg)


def test_the_terminal_has_a_table_for_each_search():
    console = Console(width=200, file=io.StringIO())
    print_summary(console, SLOW)
    text = console.file.getvalue()
    assert "highest dirty rate at which it converges [votes]" in text
    assert "lowest downtime limit at which it converges [votes]" in text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("zstd-1  ") and "MiB/s" in line]
    each = next(f for f in SLOW.frontiers if (f.search, f.method) == ("dirty_rate", "zstd-1"))
    assert f"{each.vs_baseline:.2f} x (over {each.vs_baseline_range[0]:.2f}" in line
    assert "timeout:" not in text


def test_compare_shows_what_became_of_each_frontier(tmp_path, capsys):
    save_result(SLOW, tmp_path / "a" / "result.json")
    save_result(BASE, tmp_path / "b" / "result.json")
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--anyway"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (line,) = [words for words in lines if words[:3] == ["zstd-1", "dirty", "rate"]]
    assert line.count("->") == 2
    assert line.count("MiB/s") == 2


def test_a_range_that_is_very_small_keeps_a_digit():
    assert times_text(None, None, 0.00333) == "(under 0.003)"
    assert times_text(2.8, 2.6, 3.1) == "2.80 x (over 2.60, under 3.10)"
