import re
from dataclasses import replace
from statistics import median
from xml.etree import ElementTree

import offload_samples
import pytest
import rendered
import replay_samples
import report_samples as samples

from harness.streams.memory.memory import measure_classes
from harness.units import MIB
from reports.drawing.bundle import javascript
from reports.run.charts import bars, runs, steering
from reports.run.charts.build import build
from reports.run.page import render_report
from reports.run.stops import stops


def keys(result):
    return [chart.key for chart in build(result).shown]


def rows(spec):
    return [row for values in spec["datasets"].values() for row in values]


def test_a_live_result_gets_the_seven_charts():
    built = rendered.charts("live")
    assert [c.key for c in built.shown] == ["totals", "time", "progress", "downtime", "cpu", "cpu-per-gib", "classes"]
    assert built.omitted == ()


def test_a_replay_leaves_downtime_out_and_says_so():
    built = rendered.charts("codecs")
    assert [c.key for c in built.shown] == ["totals", "codecs", "time", "progress", "cpu", "cpu-per-gib"]
    assert any("No chart of downtime: a stream was replayed" in sentence for sentence in built.omitted)


def test_a_grid_of_threads_gets_a_heat_map_per_backend():
    built = rendered.charts("threads")
    assert [c.key for c in built.shown][:2] == ["threads-1", "threads-2"]
    assert "One for every four" in built.shown[0].caption


@pytest.mark.parametrize("name", ["empty", "all_failed"])
def test_results_without_figures_name_every_missing_chart(name):
    built = rendered.charts(name)
    assert {c.key for c in built.shown} <= {"classes"}
    assert len(built.omitted) >= 4


def test_every_static_chart_is_well_formed_and_refers_to_nothing_outside():
    for chart in rendered.charts("live").shown:
        ElementTree.fromstring(chart.svg)
        assert not re.search(r"(href|src)=", chart.svg)
        assert all(found.startswith(f"{chart.key}-") for found in re.findall(r'\bid="([^"]+)"', chart.svg))


def test_charts_take_their_colours_from_the_page():
    svg = next(c.svg for c in rendered.charts("live").shown if c.key == "cpu")
    assert "var(--c1," in svg
    assert "var(--muted," in svg
    assert "background-color" not in svg


def test_hostile_names_are_escaped_in_a_static_chart():
    text = " ".join(c.svg for c in rendered.charts("hostile").shown)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script" in text


def test_progress_marks_where_another_pass_begins():
    result = samples.live()
    marks = [row for row in rows(runs.progress(result)) if "pass" in row and row["method"] == "original"]
    passes = next(r.passes for r in result.runs if r.method == "original")
    assert [m["pass"] for m in marks] == list(range(2, passes + 1))


def test_cpu_is_the_median_of_each_process():
    result = samples.live()
    sender = next(r["value"] for r in rows(bars.cpu(result)) if (r["method"], r["series"]) == ("isal-1", "sender"))
    seconds = [r.cpu_s.sender for r in result.runs if r.method == "isal-1" and not r.warmup]
    assert sender == pytest.approx(median(seconds), abs=1e-4)
    assert not [r for r in rows(bars.cpu(result)) if (r["method"], r["series"]) == ("original", "sender")]


def of(spec, method):
    """Bars by series, and the dots."""
    mine = [row for row in rows(spec) if row["method"] == method]
    return {row["series"]: row["value"] for row in mine if "series" in row}, [r["value"] for r in mine if "repeat" in r]


def test_cpu_per_gib_of_a_live_guest_is_of_its_memory_for_every_method():
    result = samples.live()
    spec = bars.cpu_per_gib(result)
    for method, series in (("original", {"source QEMU"}), ("isal-1", {"source QEMU", "sender"})):
        parts, dots = of(spec, method)
        runs = [r for r in result.runs if r.method == method and not r.warmup]
        assert set(parts) == series
        assert parts["source QEMU"] == pytest.approx(median(r.cpu_s.source_qemu for r in runs) / 0.5, abs=1e-4)
        sums = [((r.cpu_s.source_qemu or 0) + (r.cpu_s.sender or 0)) / 0.5 for r in runs]
        assert dots == pytest.approx(sums, abs=1e-4)


def test_cpu_per_gib_of_a_replay_is_of_the_stream():
    result = replay_samples.codecs()
    parts, dots = of(bars.cpu_per_gib(result), "isal-1")
    sender = median(r.cpu_s.sender for r in result.runs if r.method == "isal-1")
    assert parts == {"sender": pytest.approx(sender / (346_000_000 / 2**30), abs=1e-4)}
    assert len(dots) == 3
    assert of(bars.cpu_per_gib(result), "raw") == ({}, [])


def test_without_what_was_carried_there_is_no_cpu_per_gib():
    result = samples.live()
    silent = replace(result, scenario={**result.scenario, "guest": {"kind": "stress"}})
    assert bars.cpu_per_gib(silent) is None
    assert any(sentence.startswith("No chart of CPU time per GiB") for sentence in build(silent).omitted)


def test_an_offloaded_batchs_parts_are_stacked_in_the_order_of_time():
    spec = bars.offload(offload_samples.offload())
    mine = sorted((row for row in rows(spec) if row["method"] == "opencl-64k"), key=lambda row: row["order"])
    assert list(dict.fromkeys(row["series"] for row in mine)) == [
        "waiting for a slot",
        "host to device",
        "queued",
        "kernel",
        "device to host",
        "hand-over",
    ]
    assert {row["method"] for row in rows(spec)} == {"opencl-64k", "opencl-4k"}


def test_the_offload_chart_has_its_own_section_and_only_where_a_device_was_used():
    assert [c.key for c in rendered.charts("offload").shown if c.section == "offload"] == ["offload"]
    assert "offload" not in [chart.key for chart in rendered.charts("live").shown]


def test_the_axis_is_logarithmic_only_where_small_values_would_vanish():
    def x_type(result):
        return runs.classes(result)["encoding"]["x"]["scale"].get("type")

    assert x_type(samples.live()) == "log"
    assert runs.time_and_bytes(samples.live())["layer"][0]["encoding"]["y"]["scale"].get("type") is None


def test_many_samples_are_thinned_but_keep_their_end():
    longest = max((r for r in samples.live().runs if r.samples), key=lambda r: len(r.samples)).samples
    kept = runs.thinned(longest, 20)
    assert len(kept) <= 21
    assert (kept[0], kept[-1]) == (longest[0], longest[-1])


def test_the_script_needs_nothing_from_elsewhere():
    script = javascript()
    assert "import(" not in script
    assert "</script" not in script.lower()
    assert 500_000 < len(script) < 1_500_000


def told(at_s, value, **more):
    made_of = {"delivered_bytes_per_s": 3e7, "in_flight_bytes": MIB, "left_bytes": 2_000_000}
    return {"at_s": at_s, "parameter": "downtime-limit", "value": value, **made_of, **more}


def steered(*entries):
    result = samples.live()
    return replace(
        result,
        runs=tuple(replace(run, steering=entries) if run.method == "zstd-1" else run for run in result.runs),
    )


def test_what_a_steered_qemu_was_told_is_drawn_until_the_runs_end():
    result = steered(told(0.3, 120), told(0.6, 90))
    assert "steering-1" in keys(result)
    points = [row for row in rows(steering.steered(result, "downtime-limit")) if "end" not in row]
    assert {(row["method"], row["s"], row["value"], row["in_flight"]) for row in points} == {
        ("zstd-1", 0.3, 120, 1.0),
        ("zstd-1", 0.6, 90, 1.0),
    }
    ends = [row for row in rows(steering.steered(result, "downtime-limit")) if "end" in row]
    assert [row["value"] for row in ends] == [90]
    assert ends[0]["s"] >= 0.6


def test_why_a_guest_was_stopped_is_told_with_what_was_predicted_and_came_of_it():
    decided = {"passes": 3, "predicted_downtime_s": 0.022}
    result = steered(told(0.3, 10, why="little_left", **decided), told(0.9, 52, why="next_pass_too_dear", **decided))
    (row,) = stops(result).rows
    said = dict(zip(stops(result).headings, row, strict=True))
    assert (said["Method"], said["After (s)"], said["In pass"], said["Predicted (ms)"]) == ("zstd-1", "0.90", "3", "22")
    assert said["QEMU was told"] == "downtime-limit 52 ms"
    assert said["What for"] == "to stop now, as one more pass would cost more than it shortens the stop by"
    assert "How each guest was stopped" in render_report(result)


@pytest.mark.parametrize(
    "wrong", [{"why": "mood"}, {"passes": None}, {"predicted_downtime_s": float("nan")}, {"why": None}]
)
def test_a_stop_that_a_file_tells_wrongly_is_not_told(wrong):
    decided = {"why": "little_left", "passes": 3, "predicted_downtime_s": 0.022} | wrong
    assert stops(steered(told(0.9, 52, **decided))) is None


def test_a_bandwidth_is_drawn_in_mebibytes_a_second():
    result = steered(told(0.3, 40 * MIB, parameter="avail-switchover-bandwidth"))
    assert keys(result)[-1:] == ["steering-2"]
    assert {row["value"] for row in rows(steering.steered(result, "avail-switchover-bandwidth"))} == {40.0}


@pytest.mark.parametrize(
    "entry", [{}, told("soon", 1), told(0.1, float("nan")), told(0.1, True), told(0.1, 5, parameter="speed")]
)
def test_steering_without_a_time_or_a_value_is_not_drawn(entry):
    assert all(steering.steered(steered(entry), parameter) is None for parameter in steering.PARAMETERS)


def test_how_compressible_memory_is_has_what_was_measured_too_and_names_no_series_that_is_not_there():
    result = replace(samples.live(), memory_classes=measure_classes({"zero": 0.5, "text": 0.5}, seed=1, sample_pages=8))
    drawn = rows(runs.classes(result))
    assert {(row["class"], row["series"]) for row in drawn} == {
        (label, series) for label in ("zero (50%)", "text (50%)") for series in ("declared", "measured")
    }
    old = replace(result, memory_classes={"zero": {"share": 1.0, "declared_ratio": 100.0}})
    assert "measured" not in str(runs.classes(old))
