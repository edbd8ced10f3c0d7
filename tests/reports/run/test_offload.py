"""What a page says of a device: its share of a batch's time, its faults, and what something else compressed for it."""

from dataclasses import replace

import offload_samples
import pytest
import rendered
import replay_samples
import report_samples as samples

from harness.results.result import Run
from reports.drawing.bundle import javascript
from reports.run import page as report
from reports.run import view
from reports.run.comparison import compare
from reports.run.fallbacks import doubted_name, every_sentence, fallbacks_of
from reports.run.faults import fault_text, faults, qat_calls
from reports.run.offload import PHASES, offload, phases


def changed(result, method, **counters):
    """With counters of one method's runs replaced; a value may be a function of the run."""
    runs = tuple(
        replace(r, counters={**r.counters, **{k: v(r) if callable(v) else v for k, v in counters.items()}})
        if r.method == method
        else r
        for r in result.runs
    )
    return replace(result, runs=runs)


def table(section):
    return {
        label: dict(zip(section.methods, cells, strict=True)) for group in section.groups for label, cells in group.rows
    }


def test_a_batchs_parts_are_the_medians_of_the_runs_means_and_make_a_whole():
    result = offload_samples.offload()
    found = {phase.label: phase for phase in phases(result, "opencl-64k")}
    assert list(found) == [label for _, label in PHASES]
    kernel = sorted(
        r.counters["sender_offload_kernel_s"] / r.counters["sender_offload_batches"]
        for r in result.runs
        if r.method == "opencl-64k" and not r.warmup
    )
    assert found["kernel"].ms == pytest.approx(kernel[2] * 1e3)
    assert found["hand-over"].ms == pytest.approx(0.62, rel=0.1)
    assert sum(phase.share for phase in found.values()) == pytest.approx(1)


def test_the_rest_of_the_wall_time_is_hand_over_and_never_negative():
    result = changed(offload_samples.offload(), "opencl-64k", sender_offload_wait_s=0.5)
    assert phases(result, "opencl-64k")[-1].ms == 0
    assert "opencl-64k: the device's times add up to more than the wall time" in offload(result).notes[0]
    assert offload(offload_samples.offload()).notes == ()


def test_the_table_names_its_units_and_tells_the_devices_rate_from_the_pipelines():
    rows = table(offload(offload_samples.offload()))
    assert rows["Kernel (ms)"]["opencl-64k"].startswith("2.4")
    assert rows["Kernel (ms)"]["opencl-64k"].endswith("\u00a0%)")
    rate = int(rows["Device, while a kernel runs (MiB/s)"]["opencl-64k"])
    assert rate == pytest.approx(offload_samples.BATCH_BYTES / 2.45e-3 / (1 << 20), rel=0.05)
    assert int(rows["Pipeline, over the whole migration (MiB/s)"]["opencl-64k"]) == pytest.approx(
        341e6 / 1.361 / (1 << 20), rel=0.05
    )
    assert rows["Ratio on the device"]["opencl-64k"] == "3.00"
    assert rows["Blocks of zeros"]["opencl-64k"] == "25\u00a0%"
    assert rows["Batches compressed by the device"]["opencl-64k"] == "340"
    assert {cells["opencl-late"] for cells in rows.values()} == {"\u2013"}


def test_the_table_says_of_how_many_runs_its_medians_are():
    section = offload(offload_samples.offload())
    assert dict(zip(section.methods, section.counts, strict=True))["opencl-64k"] == 5
    assert "opencl-64k, n\u00a0=\u00a05" in rendered.report("offload")


def test_a_sentence_says_where_a_batchs_time_went():
    first, _, last = offload(offload_samples.offload()).sentences
    assert first.startswith("opencl-64k: a batch took 3.8\u00a0ms, the largest part kernel (6")
    assert last == "opencl-late: the device compressed no batch."


def test_results_without_a_device_have_no_section():
    for make in (samples.live, replay_samples.codecs, samples.empty, samples.all_failed):
        assert offload(make()) is None
        assert "Device rate" not in dict(view.page(make()).definitions)
    assert "Device rate" in dict(view.page(offload_samples.offload()).definitions)


def test_qatzips_software_is_counted_against_its_hardware():
    table = qat_calls(offload_samples.offload())
    assert table.rows == (("qatzip-1", "5", "1\u202f610", "90", "5.3\u00a0%", "1\u202f700", "0"),)
    assert table.marks == ("differs",)
    assert qat_calls(changed(offload_samples.offload(), "qatzip-1", sender_qat_software_calls=0)).marks == ("",)


@pytest.mark.parametrize(
    ("fallen", "share", "words"),
    [
        (lambda r: 0, None, ""),
        (lambda r: 12, "some", "60 of 1\u202f700 batches fell back to isal 1"),
        (lambda r: 12 if r.repeat == 3 else 0, "some", "12 of 1\u202f700 batches fell back to isal 1, in 1 of 5 runs"),
        (lambda r: 340 if r.repeat == 3 else 0, "some",
         "340 of 1\u202f700 batches fell back to isal 1, in 1 of 5 runs, wholly in run 3"),
        (lambda r: 340 if r.repeat > 3 else 100, "most",
         "980 of 1\u202f700 batches fell back to isal 1, wholly in runs 4, 5"),
        (lambda r: 340, "all", "1\u202f700 of 1\u202f700 batches fell back to isal 1"),
    ],
    ids=["none", "each run", "one run", "one run wholly", "most", "all"],
)  # fmt: skip
def test_fallbacks_are_counted_over_the_counted_runs(fallen, share, words):
    result = changed(offload_samples.offload(), "opencl-64k", fallbacks=fallen)
    found = fallbacks_of(result, "opencl-64k")
    assert [(each.share, each.text) for each in found] == ([(share, words)] if share else [])


def test_a_method_that_wholly_fell_back_is_alerted_tagged_and_named_with_its_stand_in():
    page = view.page(offload_samples.offload())
    assert page.verdict.alerts == (
        "opencl-late is not a result of opencl: all 1\u202f700 of its batches fell back to isal 1. Nothing was offloaded; "
        "its figures are those of isal 1.",
    )
    rows = {row.method: row for row in page.verdict.rows}
    assert rows["opencl-late"].fallen == "all"
    assert (rows["opencl-4k"].fallen, rows["opencl-4k"].fallbacks) == (
        "some",
        ("24 of 1\u202f700 batches fell back to isal 1, in 2 of 5 runs",),
    )
    assert (rows["isal-1"].fallen, rows["isal-1"].fallbacks) == (None, ())
    assert doubted_name(offload_samples.offload(), "opencl-late") == "opencl-late (all by isal 1)"
    assert view.card("x", offload_samples.offload()).alerts == page.verdict.alerts


def test_the_fastest_method_is_not_praised_under_a_devices_name_that_did_nothing():
    result = offload_samples.offload()
    runs = tuple(replace(r, total_time_s=r.total_time_s / 3) if r.method == "opencl-late" else r for r in result.runs)
    first = view.page(samples.summarised(replace(result, runs=runs))).verdict.sentences[0]
    assert "opencl-late (all by isal 1), took" in first


def test_a_few_fallbacks_are_a_sentence_beside_the_verdict():
    said = view.page(offload_samples.offload()).verdict.sentences
    assert "opencl-4k: 24 of 1\u202f700 batches fell back to isal 1, in 2 of 5 runs." in said
    assert "qatzip-1: 90 of 1\u202f700 calls fell back to QATzip's software." in said
    assert not any("opencl-late" in sentence for sentence in said)


def test_qatzip_without_any_hardware_is_no_offload_result():
    result = changed(offload_samples.offload(), "qatzip-1", sender_qat_hardware_calls=0, sender_qat_software_calls=340)
    assert any(alert.startswith("qatzip-1 is not a result of qatzip") for alert in view.page(result).verdict.alerts)


def test_faults_are_listed_run_by_run_with_warm_ups():
    found = faults(offload_samples.offload())
    assert [row[:2] for row in found.rows] == [
        ("opencl-4k", "run 2"),
        ("opencl-4k", "run 3"),
        *[("opencl-late", name) for name in ("warm-up", "run 1", "run 2", "run 3", "run 4", "run 5")],
    ]
    first = dict(zip(found.headings, found.rows[0], strict=True))
    assert first["Fell back, batches"] == "12 of 340"
    assert first["MiB"] == "11.5"
    assert (first["Errors"], first["Time-outs"], first["Wrong answers"], first["Refused batches"]) == (
        "2",
        "1",
        "0",
        "8",
    )


def test_a_fault_that_cost_no_batch_is_listed_too():
    result = changed(offload_samples.offload(), "opencl-64k", sender_offload_mismatches=lambda r: int(r.repeat == 1))
    assert ("opencl-64k", "run 1") in [row[:2] for row in faults(result).rows]


def test_a_runs_faults_are_words():
    run = next(r for r in offload_samples.offload().runs if r.method == "opencl-4k" and r.repeat == 2)
    assert fault_text(run) == ("Device: 2 errors, 1 time-out, 1 worker death, 8 refused batches, 1 restart")
    assert fault_text(replace(run, counters={"fallbacks": 0, "sender_batches": 340})) == ""
    assert fault_text(Run("m", 1, warmup=False, status="failed")) == ""


def test_fallbacks_of_a_codec_on_the_cpu_are_told_alike():
    result = changed(samples.live(extras=False), "isal-1", fallbacks=3, sender_batches=100)
    section = offload(result)
    assert section.fallbacks == ("isal-1: 18 of 600 batches fell back to another codec.",)
    assert (section.methods, section.groups) == ((), ())


def test_counters_that_are_no_numbers_do_not_break_a_page():
    odd = {f"sender_offload_{name}": float("nan") for name in ("kernel_s", "raw_bytes", "wait_s", "blocks")}
    result = changed(offload_samples.offload(), "opencl-64k", fallbacks=float("inf"), **odd)
    assert "nan" not in str(offload(result))
    assert "NaN" not in report.render_report(result).replace(javascript(), "")


def test_a_comparison_says_which_side_fell_back():
    view_of_both = compare(offload_samples.offload(), offload_samples.offload(), ("A", "B"))
    assert view_of_both.warnings[0] == "A: opencl-4k: 24 of 1\u202f700 batches fell back to isal 1, in 2 of 5 runs."
    assert len(view_of_both.warnings) == 2 * len(every_sentence(offload_samples.offload()))
    first = next(line for line in view_of_both.lines if line.method == "opencl-late")
    assert first.fallbacks == tuple(f"{side}: 1\u202f700 of 1\u202f700 batches fell back to isal 1" for side in "AB")
    assert not any(line.fallbacks for line in view_of_both.lines if not line.first)
