import math

import pytest

from harness.results.metrics import METRICS
from reports.numbers import (
    amount,
    effect_percent,
    interval_text,
    p_text,
    percent,
    plural,
    scaled,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (307783, 0, "307\u202f783"),
        (999, 0, "999"),
        (-1234.56, 1, "\u22121\u202f234.6"),
        (None, 0, "\u2013"),
        (math.nan, 2, "\u2013"),
    ],
)
def test_amounts_group_thousands_and_dash_what_is_no_number(value, digits, text):
    assert amount(value, digits) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("total_time_s", 2.8324, "2\u202f832"),
        ("downtime_s", 0.0034, "3.4"),
        ("wire_bytes", 307783 * 1024, "300.6"),
        ("wire_bytes", 3.14 * (1 << 20), "3.14"),
        ("ratio", 3.4612, "3.46"),
        ("cpu_source_s", 0.617, "0.62"),
        ("downtime_s", math.inf, "\u2013"),
    ],
)
def test_metrics_show_their_own_unit(metric, value, text):
    assert scaled(METRICS[metric], value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.4683, "\u221253\u00a0%"),
        (1.031, "+3.1\u00a0%"),
        (1.0, "±0\u00a0%"),
        (27.6, "+2\u202f660\u00a0%"),
        (0.9004, "\u221210\u00a0%"),
    ],
)
def test_effects_are_signed_percents(ratio, text):
    assert effect_percent(ratio) == text


def test_a_missing_ratio_has_no_effect():
    assert effect_percent(None) is None
    assert effect_percent(math.nan) is None


def test_a_change_that_rounds_to_nothing_has_no_sign():
    assert percent(-0.04) == "±0\u00a0%"


def test_intervals_share_their_metrics_unit():
    assert interval_text(METRICS["total_time_s"], (1.38, 1.431)) == "1\u202f380 to 1\u202f431"
    assert interval_text(METRICS["total_time_s"], None) is None
    assert interval_text(METRICS["total_time_s"], (math.nan, 1.0)) is None


def test_small_p_values_are_not_printed_as_zero():
    assert p_text(0.00004) == "p < 0.001"
    assert p_text(0.0079) == "p = 0.0079"
    assert p_text(None) is None


def test_plural():
    assert [plural(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


@pytest.mark.parametrize(
    ("median", "interval", "text"),
    [
        (1.405, (1.380, 1.431), "1\u202f405 (1\u202f380 to 1\u202f431)"),
        (1.405, (1.405, 1.405), "1\u202f405"),
        (1.405, None, "1\u202f405"),
        (None, None, "\u2013"),
    ],
)
def test_an_interval_stands_behind_its_figure_unless_it_is_that(median, interval, text):
    assert with_interval(METRICS["total_time_s"], median, interval) == text
