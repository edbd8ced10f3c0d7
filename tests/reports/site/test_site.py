import re
from dataclasses import replace

import report_samples as samples

from harness.results.result import load_result, save_result
from reports.site.page import write_site


def links(out):
    return re.findall(r'href="([^"#]+)"', (out / "index.html").read_text(encoding="utf-8"))


def test_a_site_links_each_page_and_its_json(tmp_path):
    write_site([("out/one", samples.empty()), ("out/two", samples.all_failed())], tmp_path)
    found = [link for link in links(tmp_path) if not link.startswith("data:")]
    assert sorted(set(found)) == [
        "out-one/report.html",
        "out-one/result.json",
        "out-two/report.html",
        "out-two/result.json",
    ]
    assert all((tmp_path / link).is_file() for link in found)
    assert load_result(tmp_path / "out-two") == samples.all_failed()


def test_folders_stay_inside_and_are_taken_once(tmp_path):
    out = tmp_path / "site"
    names = ["../../etc", "a/b", "a b", "A-B", "..", "", "<script>alert(1)</script>"]
    write_site([(name, samples.empty()) for name in names], out)
    folders = sorted(p.name for p in out.iterdir() if p.is_dir())
    assert folders == ["A-B-3", "a-b", "a-b-2", "etc", "result", "result-2", "script-alert-1-script"]
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_an_index_escapes_labels(tmp_path):
    write_site([(samples.HOSTILE, samples.hostile())], tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_an_index_of_nothing_says_so(tmp_path):
    write_site([], tmp_path)
    assert "No results were given." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_result_of_the_time_when_there_was_a_page_cache_is_loaded_and_shown(tmp_path):
    result = samples.one_method()
    methods = [{**method, "cache_bytes": 64 << 20} for method in result.scenario["methods"]]
    runs = [replace(run, counters={**run.counters, "cache_hits": 7, "cache_hit_rate": 0.5}) for run in result.runs]
    save_result(
        replace(result, scenario={**result.scenario, "methods": methods}, runs=tuple(runs)), tmp_path / "result.json"
    )
    write_site([("old", load_result(tmp_path / "result.json"))], tmp_path / "site")
    assert "cache_hits" in (tmp_path / "site" / "old" / "report.html").read_text(encoding="utf-8")
