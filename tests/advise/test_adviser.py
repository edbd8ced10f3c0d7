"""What is advised from given replays, its intervals, its words, and its JSON."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import advice_samples as samples
import pytest
from pydantic import TypeAdapter

from harness.errors import MissingError, ResultError
from harness.results.advice import Advice, dump_advice, save_advice
from harness.results.model import Link
from harness.results.result import Result, Run

MBIT = 125_000


def test_a_slow_link_gets_the_best_ratio_and_a_fast_one_none():
    assert samples.advice(100 * MBIT).recommended == "zstd-3"
    assert samples.advice(None).recommended == "none"
    assert samples.advice(40_000 * MBIT).recommended == "none"


def test_break_evens_are_between_their_bounds_and_order_by_rate():
    found = samples.advice()
    bounds = {method.method: method.break_even for method in found.methods}
    assert bounds["none"] is None
    for bound in (bounds["lz4"], bounds["zstd-1"], bounds["zstd-3"]):
        assert bound.low < bound.value < bound.high
    assert bounds["lz4"].value > bounds["zstd-1"].value > bounds["zstd-3"].value


def test_hardly_slower_and_cheaper_is_advised_and_said():
    figures = {**samples.FIGURES, "zstd-6": (360, 3.35, 2.92, 2.0, 0.3)}
    found = samples.advice(100 * MBIT, samples.measured(figures, Link(100 * MBIT)))
    assert found.recommended in ("zstd-1", "zstd-3")
    assert any("zstd-6 would be" in sentence and "CPU seconds per GiB" in sentence for sentence in found.because)


def test_intervals_hold_the_medians_and_shrink_without_spread():
    for method in samples.advice().methods:
        for estimate in (method.pair_bytes_per_s, method.delivered_bytes_per_s, method.total_time_s):
            assert estimate.low <= estimate.value <= estimate.high
    (lz4,) = (m for m in samples.advice(found=samples.measured(spread=0)).methods if m.method == "lz4")
    assert lz4.total_time_s.low == lz4.total_time_s.high == lz4.total_time_s.value


def test_a_guest_that_dirties_more_than_is_delivered_does_not_converge():
    found = samples.advice(100 * MBIT, dirty_bytes_per_s=500_000_000, working_set_bytes=300_000_000)
    chosen = found.method(found.recommended)
    assert not chosen.converges
    assert chosen.total_time_s is None
    assert found.because[0].startswith("At 100 Mbit/s no method converges; zstd-3 delivers most")
    assert any("does not converge within a downtime limit of 300 ms" in sentence for sentence in found.because)
    assert found.qemu == ()


def test_a_method_that_converges_is_preferred():
    found = samples.advice(100 * MBIT, dirty_bytes_per_s=25_000_000, working_set_bytes=300_000_000)
    assert not found.method("none").converges
    assert found.method(found.recommended).converges
    assert any("It converges, in about" in sentence for sentence in found.because)


def test_nothing_is_said_of_convergence_where_nobody_told_a_dirty_rate():
    found = samples.advice(dirty_bytes_per_s=None)
    assert not any("converge" in sentence for sentence in found.because)


def test_downtime_is_bounded_by_the_limit_and_what_comes_on_top():
    for method in samples.advice(downtime_limit_s=0.5).methods:
        assert 0 < method.downtime_least_s < method.downtime_most_s <= 0.5 + 0.1 + 1e-9


def test_two_hosts_are_never_said_to_be_slower():
    for method in samples.advice().methods:
        assert method.apart_bytes_per_s >= method.pair_bytes_per_s.value


def test_the_commands_are_pageferrys_own_and_raise_qemus_cap():
    text = "\n".join(samples.advice(100 * MBIT).commands)
    assert "--backend zstd --level 3 --threads 2" in text
    assert "max-bandwidth 1T" in text
    assert "downtime-limit 300" in text
    alone = "\n".join(samples.advice(None).commands)
    assert "pageferry" not in alone


def test_qemus_settings_come_where_zstd_is_near_and_say_what_older_ones_do():
    found = samples.advice(100 * MBIT)
    assert "migrate_set_parameter multifd-compression zstd" in found.qemu
    assert any("QEMU 9.0 or later" in line and "-global migration.multifd-zstd-level=3" in line for line in found.qemu)
    assert "was not measured here" in found.qemu_why
    assert samples.advice(None).qemu == ()
    only = {name: samples.FIGURES[name] for name in ("none", "lz4")}
    assert samples.advice(found=samples.measured(only)).qemu == ()


def test_zstd_1_needs_no_level_that_an_old_qemu_would_ignore():
    only = {name: samples.FIGURES[name] for name in ("none", "zstd-1")}
    found = samples.advice(found=samples.measured(only))
    assert found.recommended == "zstd-1"
    assert not any("level" in line for line in found.qemu)


def test_a_missing_codec_is_told_with_its_reason():
    found = samples.measured()
    runs = tuple(run for run in found.whole.runs if run.method != "lz4")
    skipped = Run("lz4", 1, warmup=False, status="skipped", reason="backend 'lz4': no module lz4; pip install lz4")
    found = replace(found, whole=replace(found.whole, runs=(*runs, skipped)))
    advice = samples.advice(found=found)
    assert advice.missing == {"lz4": "backend 'lz4': no module lz4; pip install lz4"}
    assert "lz4" not in [method.method for method in advice.methods]


def test_without_none_there_is_no_advice():
    found = samples.measured()
    failed = Run("none", 1, warmup=False, status="failed", reason="the link broke")
    runs = (failed, *(run for run in found.whole.runs if run.method != "none"))
    with pytest.raises(MissingError, match=r"none: could not be measured.*the link broke"):
        samples.advice(found=replace(found, whole=replace(found.whole, runs=runs)))


def test_a_link_that_counts_payload_gets_the_headers_back():
    netns, relay = samples.advice(), samples.advice(found=samples.measured(counts_headers=False))
    assert relay.method("none").ratio.value == pytest.approx(netns.method("none").ratio.value * 1448 / 1514)


def test_json_round_trip(tmp_path):
    for found in (samples.advice(), samples.advice(None), samples.advice(100 * MBIT, dirty_bytes_per_s=10**9)):
        text = dump_advice(found)
        assert b"Infinity" not in text
        assert b"NaN" not in text
        assert TypeAdapter(Advice).validate_json(text) == found
    save_advice(found, tmp_path / "new" / "advice.json")
    assert TypeAdapter(Advice).validate_json((tmp_path / "new" / "advice.json").read_bytes()) == found


def test_no_bound_is_none_in_json_and_infinite_nowhere():
    figures = {**samples.FIGURES, "lz4": (1200, 2.5, 2.4, 0.5, 0.2), "isal-1": (380, 0.9, 0.9, 0.6, 0.4)}
    found = samples.advice(found=samples.measured(figures))
    assert found.method("lz4").break_even.value is None
    assert found.method("isal-1").break_even.value == 0
    assert all(m.total_time_s is None or math.isfinite(m.total_time_s.value) for m in found.methods)


def test_an_advice_that_cannot_be_saved_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot save the advice"):
        save_advice(samples.advice(), tmp_path / "file" / "advice.json")


def test_few_replays_are_a_doubt():
    assert any("Only 3 replays" in note for note in samples.advice().notes)
    found = samples.measured()
    one = tuple(run for run in found.whole.runs if run.repeat == 1)
    found = replace(found, whole=Result(found.whole.scenario, found.whole.environment, one))
    assert any("Only 1 replay" in note for note in samples.advice(found=found).notes)


def test_what_so_few_replays_cannot_tell_is_not_certain_and_says_how_many_would():
    said = samples.advice(100 * MBIT).because
    (line,) = [sentence for sentence in said if sentence.startswith("Not certain: ")]
    assert re.fullmatch(
        r"Not certain: \S+ seems to take [\d.]+% (less|more) time than zstd-3, and 3 replays of each cannot tell: "
        r"(\d+) replays of each would probably tell \(--repeats \2\)\.",
        line,
    )


def test_enough_replays_that_lie_apart_leave_no_doubt():
    found = samples.measured(link=Link(100 * MBIT), spread=0.0001, replays=6)
    assert not any(sentence.startswith("Not certain") for sentence in samples.advice(100 * MBIT, found).because)
