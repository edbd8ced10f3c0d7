"""The page and the JUnit file of a fault matrix."""

from dataclasses import replace
from xml.etree import ElementTree

import faults_samples

from reports.faults.junit import render_junit
from reports.faults.page import render_faults
from reports.faults.view import faults_view


def test_the_verdict_counts_faults_that_took_place_and_gives_the_bound():
    said = faults_view(faults_samples.matrix()).sentences
    assert said[0].startswith(
        "1 of 5 faults lost a guest or its memory, or made two of it: with 95\u00a0% confidence such a fault does in less than 65.7"
    )
    assert (
        said[1]
        == "Afterwards the guest ran on at the source after 3; at the destination after 1; on BOTH sides after 1."
    )
    assert said[2] == (
        "Both sides had ended 0.0\u00a0s after the fault at the latest (frames/late@first-pass); in 1 other cell a side had not "
        "ended when it was given up (frames/garbage@confirmation)."
    )
    assert "2 cells kept the guest, but something else was not as it must be" in said[3]


def test_the_table_has_the_worst_of_each_fault_and_phase_and_marks_what_was_lost():
    matrix = faults_samples.matrix()
    twice = replace(matrix, cells=(*matrix.cells, faults_samples.cell("late", "first-pass", memory=False, seed=2)))
    (table,) = faults_view(twice).tables
    rows = {row[0]: row[1:] for row in table.rows}
    assert table.headings == ("Fault", "first-pass", "confirmation")
    assert rows["body-flipped"] == ("kept", "\u2013")
    assert rows["late"] == ("LOST (2)", "\u2013")
    assert rows["cut-before"] == ("kept, but", "LOST")
    assert rows["swapped"] == ("\u2013", "\u2013")
    assert [mark for mark in table.marks if mark] == ["failed", "failed"]


def test_the_page_names_each_cell_that_is_wrong_with_both_lines_and_the_command():
    page = render_faults(faults_samples.matrix())
    assert page.count('<article class="failure">') == 3
    assert "the guest runs on both sides" in page
    assert "pageferry faults --seed 1 --only &#39;frames/cut-before@confirmation&#39;" in page
    assert "guests: not run: no QEMU here" in page


def test_a_sides_line_like_a_tag_stays_text():
    cell = faults_samples.cell(sender="<script>alert(1)</script>", wrong=("x",))
    page = render_faults(replace(faults_samples.matrix(), cells=(cell,)))
    assert "<script>alert(1)" not in page


def test_junit_has_a_case_for_each_cell_and_for_each_rig_that_is_missing():
    root = ElementTree.fromstring(render_junit(faults_samples.matrix()))
    cases = root.findall(".//testcase")
    assert len(cases) == 7
    assert len(root.findall(".//failure")) == 3
    assert [each.get("message") for each in root.findall(".//skipped")] == [
        "the fault did not take place",
        "no QEMU here",
    ]
