"""What a page says and draws of how a guest felt its migration."""

import pytest
import rendered
import report_samples as samples
from felt_samples import felt_result
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.result import load_result, save_result
from harness.results.work import GuestWork, WorkPoint
from reports.drawing.theme import INK
from reports.effects import against_baseline
from reports.run.charts.felt import throughput
from reports.run.felt import curves, felt, stretches
from reports.run.verdict import verdict

METHODS = ["original", "qemu-compress-zlib-1", "zlib-1", "isal-1", "zstd-1"]


@pytest.fixture(scope="module")
def result():
    return felt_result()


def work(counts, stop_s, resume_s):
    points = tuple(WorkPoint(at_s, done) for at_s, done in counts)
    paces = dict.fromkeys(("before_per_s", "during_per_s", "after_per_s"), 100.0)
    times = {"stop_s": stop_s, "resume_s": resume_s, "over_s": resume_s, "end_s": resume_s + 1}
    return GuestWork("file", **times, **paces, lost_s=0.0, lost_within_s=None, points=points)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.integers(0, 1000)), min_size=1, max_size=400),
    st.floats(-2, 400),
    st.floats(0, 5),
    st.integers(8, 100),
)
def test_stretches_hold_all_work_follow_on_each_other_and_are_few(steps, stop_s, stopped_s, most):
    at_s, done, counts = -1.0, 0, [(-1.0, 0)]
    for step_s, more in steps:
        at_s, done = at_s + step_s, done + more
        counts.append((at_s, done))
    told = [each for each in counts if not stop_s <= each[0] < stop_s + stopped_s]  # while it stands it counts no work
    if len(told) < 2:
        return
    found = stretches(work(told, stop_s, stop_s + stopped_s), most)
    assert sum(each.per_s * (each.to_s - each.from_s) for each in found) == pytest.approx(told[-1][1] - told[0][1])
    assert [each.from_s for each in found[1:]] == [each.to_s for each in found[:-1]]
    assert (found[0].from_s, found[-1].to_s) == (told[0][0], told[-1][0])
    assert len(found) <= most + 6  # a short rest at each of: the begin, the stop, the resume, and the end


def test_while_the_guest_stands_still_its_pace_is_nought_whenever_it_was_heard():
    counts = [(tick / 10, 10 * tick) for tick in range(-10, 11)]
    counts += [(1.57 + tick / 10, 110 + 10 * tick) for tick in range(12)]
    found = stretches(work(counts, 1.05, 1.52))
    assert [(each.from_s, each.to_s) for each in found if each.per_s == 0] == [(1.05, 1.52)]
    assert [each.share for each in found if each.per_s] == pytest.approx([1.0] * (len(found) - 1))


def test_a_drop_begins_where_the_migration_does():
    counts = [(tick / 10, 10 * tick if tick < 0 else 5 * tick) for tick in range(-10, 30)]
    found = stretches(work(counts, 2.9, 2.9))
    assert {round(each.share, 6) for each in found if each.to_s <= 0} == {1.0}
    assert {round(each.share, 6) for each in found if each.from_s >= 0} == {0.5}


def test_each_methods_median_run_is_drawn_with_its_passes_its_stop_and_its_resume(result):
    assert [curve.method for curve in curves(result)] == METHODS
    rows = [row for values in throughput(result)["datasets"].values() for row in values]
    seen = {(row["method"], row["what"]) for row in rows if "what" in row}
    kinds = ("a pass begins", "the source stopped", "the destination went on")
    assert seen == {(method, what) for method in METHODS for what in kinds}
    assert "qemu-compress-zlib-1, run 3: 4.39 s of work lost" in {row.get("title") for row in rows}
    slowed = [
        row["share"] for row in rows if row.get("method") == METHODS[1] and row.get("s", 0) > 1 and "share" in row
    ]
    assert min(slowed) == 0
    assert sorted(slowed)[1] == pytest.approx(0.55, abs=0.02)


def test_the_table_says_what_each_method_cost_the_guest(result):
    table = felt(result).table
    rows = {row[0]: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert list(rows) == METHODS
    assert rows["original"]["Work after (1/s)"].endswith("(100\u00a0%)")
    assert {row["n"] for row in rows.values()} == {"6 (97 %)"}
    lost = {name: float(row["Work lost (s)"].partition(" (")[0]) for name, row in rows.items()}
    assert lost["original"] == pytest.approx(float(rows["original"]["Downtime (ms)"]) / 1e3, abs=0.05)
    assert max(lost, key=lost.get) == METHODS[1]


def test_the_verdict_says_what_was_lost_and_how_surely_where_a_guest_counted(result):
    table = {row[0]: dict(zip(felt(result).table.headings, row, strict=True)) for row in felt(result).table.rows}
    for row in verdict(result, against_baseline(result)).rows:
        cell = next(cell for cell in row.cells if cell.heading == "Work lost (s)")
        assert (cell.value, cell.beside) == (
            table[row.method]["Work lost (s)"].partition(" (")[0],
            f"\u00b1\u00a0{table[row.method]['May be off by (s)']}\u00a0in\u00a0a\u00a0run",
        )
    assert "Work lost (s)" not in verdict(samples.live(), against_baseline(samples.live())).headings


def test_a_page_has_the_section_with_its_chart_and_its_table_in_words():
    page = rendered.report("felt")
    assert page.count('id="felt"') == 1
    assert page.count('id="chart-felt"') == 1
    assert "one unit is one page write" in page
    assert INK in page


@pytest.mark.parametrize("name", ["live", "codecs", "empty", "convergence"])
def test_a_result_without_counts_of_work_has_no_such_section(name):
    assert 'id="felt"' not in rendered.report(name)


def test_it_is_saved_and_read_back_whole(result, tmp_path):
    save_result(result, tmp_path / "result.json")
    assert load_result(tmp_path) == result
