"""Charts where the process that draws them does not live: the page, its tables and the results are there all the same."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import asked
from site_samples import saved

from reports.drawing import vega
from reports.drawing.bundle import VEGALITE
from reports.drawing.chart import finished

SPEC = {"mark": "point", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}}


def test_a_process_that_drew_before_is_started_again_and_one_that_never_did_is_the_last():
    drawing, new = vega._Vega(), vega._Vega()
    told = [drawing.ask(each) for each in (asked.text, asked.die, asked.text)]
    assert (told, drawing.missed) == (["drawn", None, "drawn"], 1)
    assert "(SIGTRAP)" in drawing.why
    assert [new.ask(each) for each in (asked.die, asked.text)] == [None, None]
    assert new.missed == 2


def test_a_chart_is_the_same_each_time_it_is_drawn():
    first, second = (vega.svg(SPEC, VEGALITE) for _ in range(2))
    assert first == second
    assert "<svg" in str(first)
    assert (vega.missed(), vega.undrawn()) == (0, "")


def test_places_are_told_to_a_hundredth_of_a_pixel_and_words_stay_as_they_are():
    words = 'd="0.123456" opacity="1"'
    rows = [{"a": 1 / 3, "b": words}, {"a": 2 / 7, "b": words}, {"a": 1, "b": words}]
    axes = {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "nominal"}}
    svg = finished("k", "t", "c", {"mark": "point", "data": {"values": rows}, "encoding": axes}).svg
    places = re.findall(r'transform="translate\(([^,]*),', svg)
    assert max(len(place.partition(".")[2]) for place in places) == 2
    assert words.replace('"', "&quot;") in svg or words in svg


def _in_eight_gib():
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def report(tmp_path, **how):
    argv = [sys.executable, "-m", "harness.cli", "report", str(tmp_path / "in"), "--out", str(tmp_path / "site")]
    few = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each thread's stack takes addresses
    return subprocess.run(argv, env=few, capture_output=True, text=True, check=False, **how)


def test_a_site_in_too_few_addresses_has_its_tables_says_so_once_and_is_made_anew_with_room(tmp_path):
    night = saved(tmp_path / "in").parent.parent.name
    cramped = report(tmp_path, preexec_fn=_in_eight_gib)
    assert cramped.returncode == 0, cramped.stderr
    assert re.fullmatch(r"pageferry: charts could not be drawn \(SIGTRAP\): .*`ulimit -v`.*\n", cramped.stderr)
    newest = tmp_path / "site" / "runs" / night / "index.html"
    pages = [newest, *(tmp_path / "site" / "history").iterdir()]
    for text in (page.read_text() for page in pages):
        assert "<svg" not in text
        assert "This chart could not be drawn when the page was made." in text
        assert '<table class="' in text
    roomy = report(tmp_path)
    assert (roomy.returncode, roomy.stderr) == (0, "")
    assert all("<svg" in page.read_text() for page in pages)
