import re
from xml.etree import ElementTree

import pytest
import report_samples as samples

from reports import charts, plots


def keys(result):
    return [chart.key for chart in charts.build(result).shown]


def rows(spec):
    return [row for values in spec["datasets"].values() for row in values]


def test_a_live_result_gets_the_five_charts():
    built = charts.build(samples.live())
    assert [c.key for c in built.shown] == ["time", "progress", "downtime", "cpu", "classes"]
    assert built.omitted == ()


def test_a_replay_leaves_downtime_out_and_says_so():
    built = charts.build(samples.codecs())
    assert [c.key for c in built.shown] == ["codecs", "time", "progress", "cpu"]
    assert any("No chart of downtime: a stream was replayed" in sentence for sentence in built.omitted)


def test_a_grid_of_threads_gets_a_heat_map_per_backend():
    built = charts.build(samples.threads())
    assert [c.key for c in built.shown][:2] == ["threads-1", "threads-2"]
    assert "One for every four" in built.shown[0].caption


@pytest.mark.parametrize("make", [samples.empty, samples.all_failed])
def test_results_without_figures_name_every_missing_chart(make):
    built = charts.build(make())
    assert {c.key for c in built.shown} <= {"classes"}
    assert len(built.omitted) >= 4


def test_every_static_chart_is_well_formed_and_refers_to_nothing_outside():
    for chart in charts.build(samples.live()).shown:
        ElementTree.fromstring(chart.svg)
        assert not re.search(r"(href|src)=", chart.svg)
        assert all(found.startswith(f"{chart.key}-") for found in re.findall(r'\bid="([^"]+)"', chart.svg))


def test_charts_take_their_colours_from_the_page():
    svg = next(c.svg for c in charts.build(samples.live()).shown if c.key == "cpu")
    assert "var(--c1," in svg
    assert "var(--muted," in svg
    assert "background-color" not in svg


def test_hostile_names_are_escaped_in_a_static_chart():
    built = charts.build(samples.renamed(samples.live(), "isal-1", samples.HOSTILE))
    text = " ".join(c.svg for c in built.shown)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script" in text


def test_progress_marks_where_another_pass_begins():
    result = samples.live()
    marks = [row for row in rows(plots.progress(result)) if "pass" in row and row["method"] == "original"]
    passes = next(r.passes for r in result.runs if r.method == "original")
    assert [m["pass"] for m in marks] == list(range(2, passes + 1))


def test_cpu_is_the_median_of_each_process():
    result = samples.live()
    sender = next(r["s"] for r in rows(plots.cpu(result)) if (r["method"], r["series"]) == ("isal-1", "sender"))
    seconds = sorted(r.cpu_s.sender for r in result.runs if r.method == "isal-1" and not r.warmup)
    assert sender == pytest.approx(seconds[2], abs=1e-4)
    assert not [r for r in rows(plots.cpu(result)) if (r["method"], r["series"]) == ("original", "sender")]


def test_the_axis_is_logarithmic_only_where_small_values_would_vanish():
    def x_type(result):
        return plots.classes(result)["encoding"]["x"]["scale"].get("type")

    assert x_type(samples.live()) == "log"
    assert plots.time_and_bytes(samples.live())["layer"][0]["encoding"]["y"]["scale"].get("type") is None


def test_many_samples_are_thinned_but_keep_their_end():
    longest = max((r for r in samples.live().runs if r.samples), key=lambda r: len(r.samples)).samples
    kept = plots.thinned(longest, 20)
    assert len(kept) <= 21
    assert (kept[0], kept[-1]) == (longest[0], longest[-1])


def test_the_script_needs_nothing_from_elsewhere():
    script = charts.javascript()
    assert "import(" not in script
    assert "</script" not in script.lower()
    assert 500_000 < len(script) < 1_500_000
