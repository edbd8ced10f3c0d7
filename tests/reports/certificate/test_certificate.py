"""A certificate's page and the page of two: what stands in them, what hostile text does, how a browser shows them."""

import base64
import re
from dataclasses import replace
from xml.etree import ElementTree

import certificate_samples as samples
import pytest
import rendered
from certificate_charts import CHARTS
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed_page import Page

from harness.errors import ResultError
from harness.results.certificate import Measurement, load_certificate, verdict_of
from reports.certificate import page as certificate
from reports.certificate import view as certificate_view
from reports.certificate.charts.subjects import subjects
from reports.printable import printable

CASES = ["passing", "failing", "stand_in", "hostile", "empty", "nothing"]


@pytest.fixture(scope="module")
def pages():
    return {name: Page(rendered.certificate(name)) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_check_stands_on_the_page_with_its_evidence_and_command(pages, name):
    text = pages[name].text
    for check in printable(getattr(samples, name)().checks):
        assert check.id in text
        assert check.evidence in text
        assert check.command in text
        assert check.reason[1:] in text
        assert all(measurement.name in text for measurement in check.measurements)


@pytest.mark.parametrize("name", CASES)
def test_every_failed_check_has_its_own_box_before_the_charts(pages, name):
    made = getattr(samples, name)()
    failed = [check for check in made.checks if check.status == "fail"]
    assert sum("failure" in attrs.get("class", "").split() for _, attrs in pages[name].tags) == len(failed)
    ids = [attrs.get("id") for _, attrs in pages[name].tags]
    assert ("failures" in ids) == bool(failed)
    if failed:
        assert ids.index("failures") < ids.index("measured") < ids.index("checks")


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_comes_first_in_words(pages, name):
    made = getattr(samples, name)()
    words = pages[name].words()
    start = words.index("pageferry qualification certificate")
    assert words[start:].startswith(f"pageferry qualification certificate {made.verdict.upper()} {made.backend[:3]}")
    failed = sum(check.status == "fail" for check in made.checks)
    assert re.search(rf"{len(made.checks)} checks?: \d+ passed, {failed} failed, \d+ not applicable", words)


@pytest.mark.parametrize("name", CASES)
def test_a_page_asks_for_nothing_of_the_network(pages, name):
    assert pages[name].foreign() == []
    assert pages[name].policy().startswith("default-src 'none'; script-src '")


@pytest.mark.parametrize("name", ["passing", "empty"])
def test_a_page_reads_without_nothing_or_nan(pages, name):
    assert not re.search(r"\b(nan|None|undefined|inf)\b", pages[name].words())


def test_hostile_text_is_inert(pages):
    page = pages["hostile"]
    assert page.kinds() == ["application/json"] * len(CHARTS) + [None]
    assert page.active() == []
    assert printable(samples.HOSTILE) in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", page.text)


def test_hostile_text_is_inert_in_a_comparison():
    page = Page(certificate.render_certificate_comparison(samples.hostile(), samples.failing(), (samples.HOSTILE, "b")))
    assert page.scripts == []
    assert page.active() == []
    assert printable(samples.HOSTILE) in page.text


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_printable_text_is_what_xml_takes(text):
    made = printable(text)
    element = ElementTree.Element("a")
    element.text = made
    assert (ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text or "") == made
    assert printable(made) == made


def test_a_stand_in_is_said_to_be_one_and_a_partial_certificate_too(pages):
    assert "A CPU stood in for the card" in pages["stand_in"].words()
    assert "A CPU stood in" not in pages["passing"].words()
    assert "Partial: only some of the checks were asked for" in pages["empty"].words()
    assert "Partial" not in pages["passing"].words()
    assert "nothing is certified" in pages["nothing"].words()


def test_a_page_says_on_what_it_was_made(pages):
    words = pages["passing"].words()
    for text in (*samples.IDENTITY.values(), "AMD EPYC 7B13", "6.1.0-18-amd64", "7.2.22", "128 GiB"):
        assert text in words
    assert "As shipped with pageferry" in words
    assert "From limits.toml" in pages["stand_in"].words()


def test_the_certificate_can_be_taken_from_its_page(pages, tmp_path):
    link = pages["failing"].download()
    kind, packed = link["href"].split(";base64,")
    assert (link["download"], kind) == ("certificate.json", "data:application/json")
    (tmp_path / "certificate.json").write_bytes(base64.b64decode(packed))
    assert load_certificate(tmp_path) == samples.failing()


def test_every_kind_of_rows_is_drawn_and_no_other_chart():
    drawn = subjects(samples.passing())
    assert [chart.key for subject in drawn for chart in subject.charts] == CHARTS
    assert [subject.title for subject in drawn if subject.tables] == ["Latency", "Cost", "Live migration", "Faults"]
    assert subjects(samples.empty()) == ()


def test_rows_that_cannot_be_drawn_are_left_out():
    rows = [{"direction": "compress", "unit_bytes": 4096, "threads": 1, "mib_per_s": value}
            for value in (None, float("nan"), float("inf"), "fast", True, -1.0, 0, 10**400)]  # fmt: skip
    broken = samples.check("speed.surface", "it is fast", data={"surface": rows, "knee": [{}]})
    made = replace(samples.empty(), checks=(broken,))
    assert subjects(made) == ()
    assert "it is fast".capitalize() in certificate.render_certificate(made)


def test_a_chart_holds_the_level_that_is_qualified():
    rows = samples.surface()["surface"] + [
        {**row, "level": 9, "mib_per_s": 9e6} for row in samples.surface()["surface"]
    ]
    made = samples.certificate((samples.check("speed.surface", "it is fast", data={"surface": rows}),))
    (subject,) = subjects(made)
    for chart in subject.charts:
        assert {row["level"] for values in chart.spec["datasets"].values() for row in values} == {1}


@pytest.mark.parametrize(
    ("value", "least", "most", "says"),
    [
        (3.2141, None, 50.0, "x: 3.214\u00a0ms, at most 50"),
        (50.004, None, 50.0, "x: 50.004\u00a0ms, at most 50, outside its limit"),
        (50.0, None, 50.0, "x: 50\u00a0ms, at most 50"),
        (1840.2, 800.0, None, "x: 1\u202f840\u00a0ms, at least 800"),
        (1.0, 0.9, 1.1, "x: 1\u00a0ms, 0.9 to 1.1"),
        (0.00012345, None, None, "x: 0.0001234\u00a0ms"),
    ],
)
def test_a_measurement_stands_beside_its_limit(value, least, most, says):
    assert certificate_view.measurement_text(Measurement("x", value, "ms", least, most)) == says


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_outside_its_limit_never_reads_as_the_limit(value, limit):
    measurement = Measurement("x", value, "", most=limit)
    said = certificate_view.value_text(measurement)
    assert measurement.ok or f"at most {said}" != certificate_view.limit_text(None, limit)


def test_a_comparison_puts_changed_statuses_first_and_leaves_nothing_out():
    a, b = samples.passing(), samples.failing()
    rows = certificate.comparison_rows(a, b)
    changed = [row.differs for row in rows]
    assert changed == sorted(changed, reverse=True)
    assert {row.check for row in rows} == {check.id for check in a.checks}
    assert {row.check for row in rows if row.differs} == set(samples.BROKEN)
    named = {(row.check, row.name) for row in rows if row.name}
    assert named == {(c.id, m.name) for side in (a, b) for c in side.checks for m in c.measurements}


def test_a_comparison_row_says_both_values_and_the_change():
    rows = {(row.check, row.name): row for row in certificate.comparison_rows(samples.passing(), samples.failing())}
    row = rows["faults.hang", "fallback_ms"]
    assert (row.a, row.b, row.unit) == ("104.2\u00a0ms", "5\u202f003\u00a0ms", "ms")
    assert (row.change, row.status_a, row.status_b) == ("+4\u202f701\u00a0%", "passed", "failed")
    gone = rows["endurance.soak", "soak_drift"]
    assert (gone.a, gone.b, gone.change) == ("0.993", "-", "-")
    assert rows["contract.round-trip", "pages_that_differ"].change == "-"
    assert rows["speed.surface", "compress_mib_per_s"].change == "±0\u00a0%"


def test_a_check_of_one_side_only_is_said_to_be_missing_in_the_other():
    rows = certificate.comparison_rows(samples.empty(), samples.passing())
    assert {(row.status_a, row.status_b) for row in rows if row.check == "speed.surface"} == {("-", "passed")}


def test_a_comparison_shows_both_verdicts_and_says_what_spoils_it():
    other = replace(samples.failing(), profile="quick", environment={"cpu_model": "another"}, thresholds={})
    words = Page(certificate.render_certificate_comparison(samples.passing(), other, ("card", "rival"))).words()
    for text in ("PASS card: opencl", "FAIL rival: opencl", "The profile is not the same", "The hosts are not the same",
                 "The thresholds are not the same", "+4 701 %"):  # fmt: skip
        assert text in words
    same = Page(certificate.render_certificate_comparison(samples.passing(), samples.passing())).words()
    assert "not the same" not in same
    assert "every check has the same status in both" in same


def test_pages_are_written_whole_or_not_at_all(tmp_path):
    certificate.write_certificate_page(samples.empty(), tmp_path / "new" / "certificate.html")
    certificate.write_certificate_comparison(samples.empty(), samples.passing(), tmp_path / "new" / "comparison.html")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["certificate.html", "comparison.html"]
    with pytest.raises(ResultError, match=r"certificate\.html"):
        certificate.write_certificate_page(samples.empty(), tmp_path / "new" / "certificate.html" / "certificate.html")


@pytest.mark.parametrize("name", CASES)
def test_samples_bear_their_verdicts(name):
    made = getattr(samples, name)()
    assert made.verdict == verdict_of(made.checks)
    assert all(each.ok for check in made.checks if check.status == "pass" for each in check.measurements)


def test_a_certificate_doubts_a_busy_machine_and_what_was_measured_once():
    once = "measured in one qualification (n = 1)"
    busy = replace(samples.passing(), environment={"load_1min": 3.0, "cores": 2})
    load, single = certificate_view.doubts(busy)
    assert "load 3.00 on 2 cores" in load
    assert once in single
    assert certificate_view.page(busy).warnings[-2:] == (load, single)
    (idle,) = certificate_view.doubts(replace(busy, environment={"load_1min": 0.1, "cores": 2}))
    assert once in idle
    assert certificate_view.doubts(samples.empty()) == ()


def test_counts_and_shares_are_no_speeds_to_doubt():
    passing = samples.passing()
    counted = tuple(
        replace(check, measurements=tuple(replace(each, unit="") for each in check.measurements))
        for check in passing.checks
    )
    assert any(check.measurements for check in counted)
    assert certificate_view.doubts(replace(passing, checks=counted, environment={})) == ()
