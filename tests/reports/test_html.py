import base64
import gzip
import json
import re
from dataclasses import replace

import offload_samples
import pytest
import rendered
import report_samples as samples
from parsed_page import Page

from harness.errors import ResultError
from harness.results.result import load_result
from reports import html
from reports.run import page as report
from reports.run.comparison import compare

CASES = ["live", "empty", "all_failed", "one_method", "codecs", "threads", "offload"]


@pytest.fixture(scope="module")
def pages():
    return {name: Page(rendered.report(name)) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_result_renders_balanced_and_without_nan(pages, name):
    page = pages[name]
    assert not re.search(r"\b(nan|None|undefined|inf)\b", page.words())
    for spec in (text for kind, text in page.scripts if kind):
        assert not re.search(r":(NaN|-?Infinity)", spec)
    assert len(rendered.report(name)) < 3_000_000


def test_a_page_holds_one_bundle_and_a_spec_per_chart(pages):
    page = pages["live"]
    assert page.kinds() == ["application/json"] * 7 + [None]
    for kind, text in page.scripts[:-1]:
        assert kind == "application/json"
        assert json.loads(text)["width"] == "container"


def test_a_page_without_charts_has_no_script(pages):
    assert pages["empty"].scripts == []
    assert "script-src 'none'" in pages["empty"].policy()


def test_nothing_on_a_page_comes_from_elsewhere(pages):
    assert pages["live"].foreign() == []
    assert pages["live"].policy().startswith("default-src 'none'; script-src 'sha256-")


def test_the_raw_result_can_be_taken_from_the_page(pages, tmp_path):
    link = pages["live"].download()
    kind, data = link["href"].split(";base64,")
    assert (link["download"], kind) == ("result.json", "data:application/json")
    (tmp_path / "result.json").write_bytes(base64.b64decode(data))
    assert load_result(tmp_path) == samples.live()


def test_a_large_raw_result_is_packed(tmp_path):
    big = replace(samples.empty(), environment={"note": "x" * 1_100_000})
    link = Page(report.render_report(big)).download()
    assert link["download"] == "result.json.gz"
    (tmp_path / "result.json").write_bytes(gzip.decompress(base64.b64decode(link["href"].split(";base64,")[1])))
    assert load_result(tmp_path) == big


def test_hostile_text_is_inert_everywhere():
    page = Page(rendered.report("hostile"))
    assert page.kinds() == ["application/json"] * 7 + [None]
    assert page.active() == []
    assert samples.HOSTILE in page.words()
    assert samples.HOSTILE not in "".join(text for _, text in page.scripts)
    assert any(samples.HOSTILE in str(json.loads(text)) for kind, text in page.scripts if kind)


def test_hostile_text_is_inert_in_a_comparison():
    page = Page(report.render_comparison(compare(samples.hostile(), samples.hostile(), (samples.HOSTILE, "b"))))
    assert page.scripts == []
    assert samples.HOSTILE in page.words()


def test_a_page_without_a_device_has_no_word_of_offload(pages):
    assert "offload" not in pages["live"].words().lower()
    assert not [attrs for _, attrs in pages["live"].tags if attrs.get("id") == "offload"]


def test_a_method_that_fell_back_is_marked_wherever_it_is_shown(pages, tmp_path):
    words = pages["offload"].words()
    assert words.count("all 1 700 of its batches fell back to isal 1. Nothing was offloaded") == 2
    assert "opencl-late (not offloaded)" in words
    assert "Device: 2 errors, 1 time-out, 1 worker death, 8 refused batches, 1 restart" in words
    assert "after: opencl-late is not a result of opencl" in Page(rendered.comparison()).words()


def test_hostile_text_is_inert_in_the_offload_section():
    result = samples.renamed(offload_samples.offload(), "opencl-4k", samples.HOSTILE)
    runs = tuple(replace(r, parameters={"sender.fallback": samples.HOSTILE}) for r in result.runs)
    page = Page(report.render_report(replace(result, runs=runs)))
    assert f"{samples.HOSTILE}: 24 of 1 700 batches fell back to" in page.words()
    assert page.active() == []
    assert page.kinds().count(None) == 1


def test_json_in_a_script_cannot_end_it():
    text = html.script_json({"a": "</script><!-- & \u2028"})
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028"}


def test_tables_have_scoped_headers_and_charts_a_description(pages):
    tags = pages["live"].tags
    assert all(attrs.get("scope") for tag, attrs in tags if tag == "th")
    drawn = [attrs for tag, attrs in tags if attrs.get("role") == "img"]
    assert len(drawn) == 7
    assert all(len(attrs["aria-label"]) > 40 for attrs in drawn)


def test_a_report_is_written_whole(tmp_path):
    path = tmp_path / "new" / "report.html"
    report.write_report(samples.empty(), path)
    assert path.read_text(encoding="utf-8") == report.render_report(samples.empty())
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.results.saving.os.fsync", full)
    with pytest.raises(ResultError, match=r"report\.html: cannot save the page: No space left on device; free space"):
        report.write_report(samples.empty(), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_comparison_shows_both_labels_and_warns(tmp_path):
    report.write_comparison(
        compare(samples.live(), samples.live(bandwidth=None), ("before", "after")), tmp_path / "c.html"
    )
    words = Page((tmp_path / "c.html").read_text(encoding="utf-8")).words()
    assert "after against before" in words
    assert "this is not one experiment made twice" in words
