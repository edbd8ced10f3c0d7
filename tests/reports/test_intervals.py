"""How surely intervals hold is said by one rule: in tables, and in every caption that speaks of them."""

import pytest
import report_samples as samples

from harness.results.result import Result, Run
from reports.intervals import held_text, interval_sentence
from reports.run.charts.build import build


@pytest.mark.parametrize(
    ("runs", "text"),
    [(1, ""), (2, "range, 50 %"), (5, "range, 94 %"), (6, "97 %"), (7, "98 %"), (8, "99 %"), (9, "96 %")],
)
def test_a_number_of_runs_holds_with_what_it_attains(runs, text):
    assert held_text(runs) == text


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([7, 7], "Lines are the medians' 98 % intervals."),
        ([7, 9, 6], "Lines are the medians' 96 to 98 % intervals."),
        ([2], "Lines are the runs' whole range, which holds the true median with 50 %."),
        (
            [7, 3, 5],
            "Lines are the medians' 98 % intervals, or below 6 runs the runs' whole range, which holds the true median with 75 "
            "to 94 %.",
        ),
        ([1, 1], "One run has no interval."),
        ([], "One run has no interval."),
    ],
)
def test_a_caption_says_what_its_lines_are(counts, sentence):
    assert interval_sentence(counts) == sentence


@pytest.mark.parametrize(("n", "said"), [(2, "holds the true median with 50 %"), (7, "98 % intervals"), (1, "One run")])
def test_captions_of_time_and_downtime_say_what_these_runs_attain(n, said):
    methods = [{"name": "original", "engine": "qemu", "baseline": True}]
    runs = tuple(
        Run("original", i, warmup=False, status="completed", total_time_s=2 + i / 9, downtime_s=0.1) for i in range(n)
    )
    captions = {chart.key: chart.caption for chart in build(Result(samples.scenario(methods), {}, runs)).shown}
    assert said in captions["totals"]
    assert said in captions["downtime"]
    assert not any("95\u00a0%" in caption for caption in captions.values())
