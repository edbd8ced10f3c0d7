"""What a page says of a method that chooses its codec: what it settled on, when, and from what."""

import re
from dataclasses import replace
from html import escape, unescape
from itertools import pairwise
from statistics import median
from xml.etree import ElementTree

import choice_samples
import pytest
import rendered
import report_samples as samples
from every_sample import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.result import Run, load_result, save_result
from harness.units import MIB
from reports.numbers import DASH
from reports.run import page as report
from reports.run import view
from reports.run.charts.build import build
from reports.run.charts.choices import chosen, estimate_rows, estimates, stretches
from reports.run.choices import DEFINITIONS, choices, decisions_of, followed

SCALARS = st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.integers(-5, 10**12), st.floats())
BASE = choice_samples.adaptive()
FIELDS = (
    "t_s",
    "choice",
    "link_bytes_per_s",
    "predicted_bytes_per_s",
    "compress_bytes_per_s",
    "decompress_bytes_per_s",
    "ratio",
)
ENTRIES = st.lists(st.dictionaries(st.sampled_from(FIELDS), SCALARS), max_size=6)
TIMED = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from(["none", "lz4:0", "zstd:1"]), st.one_of(st.none(), st.floats(1, 1e10))),
    min_size=1,
    max_size=8,
)


def of_auto(result, change):
    """With the runs of auto replaced by ``change(run)``."""
    return replace(result, runs=tuple(change(r) if r.method == "auto" else r for r in result.runs))


def only(entries):
    """A result in which every run of auto decided so."""
    decisions = tuple(entries)
    return of_auto(BASE, lambda r: replace(r, decisions=decisions))


def shared(result, *shares):
    """With the shares of each of auto's runs in turn, warm-up first."""
    each = iter(shares)
    return of_auto(
        result, lambda r: replace(r, counters={f"sender_share_{name}": value for name, value in next(each).items()})
    )


def entry(t_s, choice, link=None):
    rates = dict.fromkeys(("predicted_bytes_per_s", "compress_bytes_per_s", "decompress_bytes_per_s"), 5e8)
    return {"t_s": t_s, "choice": choice, "link_bytes_per_s": link, **rates, "ratio": 2.0}


def rows_of(spec, layer):
    """What one layer draws: layers with the same data have it from the chart."""
    return spec["datasets"][spec["layer"][layer].get("data", spec.get("data"))["name"]]


def sections(page):
    return re.findall(r'<section id="choices"', page)


@given(ENTRIES)
@settings(deadline=None)
def test_whatever_a_file_holds_is_read_in_order_or_passed_over(entries):
    found = decisions_of(Run("auto", 1, warmup=False, status="completed", decisions=tuple(entries)))
    assert [d.t_s for d in found] == sorted(d.t_s for d in found)
    assert len(found) <= len(entries)
    for decision in found:
        assert isinstance(decision.choice, str)
        assert decision.t_s >= 0


@given(ENTRIES)
@settings(deadline=None)
def test_the_section_is_there_exactly_where_a_counted_run_has_decisions(entries):
    result = only(entries)
    readable = decisions_of(Run("auto", 1, warmup=False, status="completed", decisions=tuple(entries)))
    section = choices(result)
    assert (section is not None) == bool(readable)
    assert len(followed(result)) == bool(readable)
    assert not re.search(r"\b(nan|None|inf)\b", " ".join(section.sentences) if section else "")


@given(TIMED)
@settings(deadline=None)
def test_bars_fill_the_time_from_the_first_decision_to_the_end_without_gap_or_overlap(timed):
    (shown,) = followed(only(entry(*each) for each in timed))
    drawn = sorted(stretches(shown), key=lambda row: (row["s"], row["until"]))
    assert len(drawn) == len(timed)
    assert drawn[0]["s"] == pytest.approx(min(t_s for t_s, _, _ in timed), abs=1e-4)
    assert drawn[-1]["until"] == pytest.approx(shown.end_s, abs=1e-4)
    assert all(before["until"] == after["s"] for before, after in pairwise(drawn))


@given(TIMED)
@settings(deadline=None)
def test_the_links_estimate_is_drawn_exactly_where_it_was_known(timed):
    (shown,) = followed(only(entry(*each) for each in timed))
    points = [row for row in estimate_rows(shown) if row["series"] == "link (B)" and not row["end"]]
    known = sorted({round(t_s, 4) for t_s, _, link in timed if link is not None})
    assert sorted({row["s"] for row in points}) == known


@given(TIMED)
@settings(deadline=None)
def test_the_table_has_a_row_per_decision_and_a_cell_per_heading(timed):
    (table,) = choices(only(entry(*each) for each in timed)).tables
    assert len(table.rows) == len(timed)
    assert all(len(row) == len(table.headings) for row in table.rows)


def test_a_sentence_says_what_it_settled_on_how_often_it_changed_and_when_last():
    result = choice_samples.adaptive()
    runs = [r for r in result.runs if r.method == "auto" and not r.warmup]
    last_s = median(r.decisions[-1]["t_s"] for r in runs)
    assert choices(result).sentences == (
        f"auto: zstd:1 for 92\u00a0% of the stream, 3 changes, the last after {last_s:.2f}\u00a0s (medians of 5 runs).",
    )
    assert choices(result).notes == ()


def test_warm_ups_and_runs_that_failed_do_not_count():
    result = choice_samples.adaptive(repeats=3)
    odd = {"none": 1.0}
    usual = dict(choice_samples.SHARES)
    assert choices(shared(result, odd, usual, usual, usual)).sentences == choices(result).sentences
    kept = of_auto(result, lambda r: r if r.repeat == 2 else replace(r, status="failed"))
    assert choices(kept).sentences[0].endswith("(1 run).")
    assert choices(of_auto(result, lambda r: r if r.warmup else replace(r, decisions=()))) is None


def test_runs_without_decisions_beside_others_are_told():
    result = of_auto(choice_samples.adaptive(), lambda r: replace(r, decisions=()) if r.repeat == 2 else r)
    assert choices(result).sentences[0].endswith("(medians of 4 of 5 runs).")


def test_a_choice_that_was_never_left_has_no_change():
    sentence = choices(only([entry(0.0, "none")])).sentences[0]
    assert "92\u00a0% of the stream, no change (medians of 5 runs)." in sentence


def test_one_change_is_one():
    assert "1 change, after 0.026\u00a0s (" in choices(only([entry(0.0, "none"), entry(0.026, "lz4:0")])).sentences[0]


def test_runs_that_did_not_agree_are_told_apart():
    a, b = {"zstd:1": 0.9, "isal:1": 0.1}, {"isal:1": 1.0}
    section = choices(shared(choice_samples.adaptive(repeats=3), a, a, b, a))
    assert section.sentences[0].startswith("auto: zstd:1 for 90\u00a0% of the stream, 0\u00a0% to 90\u00a0% by run, ")
    assert section.notes == (
        "auto: its 3 runs did not agree. The largest part of the stream went through zstd:1 in 2, isal:1 in 1.",
    )


def test_without_shares_the_last_choice_is_named():
    result = of_auto(choice_samples.adaptive(), lambda r: replace(r, counters={}))
    (shown,) = followed(result)
    assert choices(result).sentences[0].startswith(f"auto: zstd:1 at the end of run {shown.repeat}, 3 changes")


def test_each_method_that_decides_has_its_sentence_charts_and_table():
    first = choice_samples.adaptive()
    second = samples.renamed(first, "auto", "auto, 8 threads")
    declared = [*first.scenario["methods"], second.scenario["methods"][-1]]
    runs = first.runs + tuple(r for r in second.runs if r.method == "auto, 8 threads")
    both = replace(first, scenario={**first.scenario, "methods": declared}, runs=runs)
    assert [s.split(":")[0] for s in choices(both).sentences] == ["auto", "auto, 8 threads"]
    assert len(choices(both).tables) == 2
    keys = [c.key for c in build(both).shown if c.section == "choices"]
    assert keys == ["choices-1", "estimates-1", "choices-2", "estimates-2"]


def test_the_run_shown_is_the_one_nearest_the_median_total_time():
    result = choice_samples.adaptive()
    times = sorted((r.total_time_s, r.repeat) for r in result.runs if r.method == "auto" and not r.warmup)
    (shown,) = followed(result)
    assert (shown.end_s, shown.repeat) == times[2]
    assert shown.which == f"Run {shown.repeat} (of 5, its total time is nearest the median)"


def test_a_decision_after_the_total_time_is_not_cut_off():
    (shown,) = followed(only([entry(0.0, "none"), entry(99.0, "lz4:0")]))
    assert shown.end_s == 99.0


def test_the_table_tells_a_link_that_was_never_the_limit_from_one_that_is_not_in_the_file():
    missing = {key: value for key, value in entry(0.5, "zstd:1").items() if key != "link_bytes_per_s"}
    (table,) = choices(only([entry(0.0, "none"), entry(0.2, "lz4:0", 2.99 * MIB), missing])).tables
    assert [row[:3] for row in table.rows] == [
        ("0.000", "none", "not the limit"),
        ("0.200", "lz4:0", "3.0"),
        ("0.500", "zstd:1", DASH),
    ]
    assert table.rows[0][3:] == ("477", "477", "477", "2.00")  # 500 million bytes a second


def test_a_long_table_is_folded():
    def many(count):
        return choices(only(entry(n / 10, f"zstd:{n % 2}") for n in range(count))).tables[0]

    assert not many(12).folded
    assert many(13).folded
    page = report.render_report(only(entry(n / 10, f"zstd:{n % 2}") for n in range(13)))
    assert re.search(r"<summary>auto, run \d: 13 decisions</summary>", page)


def test_estimates_are_points_at_each_decision_joined_by_steps_on_a_logarithmic_axis():
    (shown,) = followed(choice_samples.adaptive())
    spec = estimates(shown)
    line = spec["layer"][0]
    assert line["mark"]["interpolate"] == "step-after"
    assert line["encoding"]["y"]["scale"]["type"] == "log"
    seen = rows_of(spec, 1)
    assert not [row for row in seen if row["end"]]
    by_series = {name: [row["s"] for row in seen if row["series"] == name] for name in {r["series"] for r in seen}}
    times = [round(d.t_s, 4) for d in shown.decisions]
    assert by_series == {
        "predicted": times,
        "link (B)": times[1:],
        "compression (C)": times,
        "decompression (D)": times,
    }


def test_a_line_is_parted_where_the_link_was_not_known():
    (shown,) = followed(only([entry(0.0, "a", 1e8), entry(0.2, "b"), entry(0.4, "c", 2e8)]))
    drawn = rows_of(estimates(shown), 0)
    link = [row for row in drawn if row["series"] == "link (B)" and row["end"]]
    assert len({row["stretch"] for row in link}) == 2
    assert link[0]["s"] == 0.2


def test_candidates_stand_in_the_order_of_their_first_use():
    (shown,) = followed(choice_samples.adaptive())
    encoding = chosen(shown)["layer"][0]["encoding"]
    assert encoding["y"]["sort"] == ["none", "isal:1", "zstd:3", "zstd:1"]
    assert encoding["x"]["scale"]["domain"] == [0, shown.end_s]


def test_rates_that_a_logarithm_has_no_place_for_leave_the_chart_out_and_say_so():
    nothing = {"t_s": 0.0, "choice": "none", "link_bytes_per_s": None, "predicted_bytes_per_s": 0, "ratio": 1.0}
    built = build(only([nothing]))
    assert [c.key for c in built.shown if c.section == "choices"] == ["choices-1"]
    assert any("No chart of the estimates behind what auto chose" in sentence for sentence in built.omitted)


@pytest.mark.parametrize("name", ["live", "empty", "all_failed", "codecs", "offload"])
def test_a_page_without_decisions_has_no_word_of_choices(name):
    page = rendered.report(name)
    assert sections(page) == []
    assert 'href="#choices"' not in page
    assert not set(DEFINITIONS) & set(view.page(SAMPLES[name]()).definitions)


def test_a_page_with_decisions_has_the_section_its_link_its_charts_and_how_it_was_made():
    page = rendered.report("adaptive")
    assert len(sections(page)) == 1
    section = page.split('<section id="choices"')[1].split("</section>")[0]
    assert re.findall(r'<figure class="chart" id="chart-([^"]+)"', section) == ["choices-1", "estimates-1"]
    assert section.count("<tr>") == 1 + 4
    assert 'href="#choices"' in page
    assert page.count(escape(DEFINITIONS[0][1])) == 1


def test_decisions_survive_their_file(tmp_path):
    save_result(choice_samples.adaptive(), tmp_path / "result.json")
    assert choices(load_result(tmp_path)) == choices(choice_samples.adaptive())


def test_markup_in_a_choice_is_inert():
    hostile = shared(
        only([entry(0.0, samples.HOSTILE), entry(0.1, "zstd:\x00\u202e1", 1e8)]), *([{samples.HOSTILE: 0.9}] * 6)
    )
    page = report.render_report(hostile)
    assert samples.HOSTILE not in page
    section = page.split('<section id="choices"')[1].split("</section>")[0]
    assert f"auto: {samples.HOSTILE} for 90" in unescape(section)
    assert not re.search(r"<(img|iframe|object)\b|<script>", section)
    assert not set("\x00\u202e") & set(section)
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)
