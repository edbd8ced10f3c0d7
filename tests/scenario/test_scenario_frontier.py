"""The table ``[frontier]``: read whole, or refused with one line that says what to write."""

from __future__ import annotations

import pytest

from harness.errors import ScenarioError
from harness.scenario.model import load_scenario
from harness.scenario.sweep import load_sweep

BODY = """
description = "a test"
[guest]
kind = "stress"
[[method]]
name = "original"
engine = "qemu"
baseline = true
"""
BOTH = """
[frontier]
dirty_rate = {from = "10MiB/s", to = "400MiB/s"}
downtime_limit = {from = "1ms", to = "300ms"}
"""


@pytest.fixture
def load(tmp_path):
    def load(table: str = BOTH, *sets: str, body: str = BODY):
        path = tmp_path / "edge.toml"
        path.write_text(body.replace("[[method]]", f"{table}\n[[method]]"))
        return load_scenario(path, sets)

    return load


def test_ranges_are_read_with_their_units(load):
    frontier = load().frontier
    assert (frontier.dirty_rate.from_bytes_per_s, frontier.dirty_rate.to_bytes_per_s) == (10 << 20, 400 << 20)
    assert (frontier.downtime_limit.from_s, frontier.downtime_limit.to_s) == (0.001, 0.3)
    assert (frontier.tolerance, frontier.attempts) == (1.1, 3)


def test_without_find_every_range_is_searched_and_with_it_only_what_it_names(load):
    assert load().frontier.searches == ("dirty_rate", "downtime_limit")
    assert load('[frontier]\ndowntime_limit = {from = "1ms", to = "1s"}').frontier.searches == ("downtime_limit",)
    assert load(BOTH, 'frontier.find=["downtime_limit"]').frontier.searches == ("downtime_limit",)


def test_an_end_of_a_range_can_be_set(load):
    assert load(BOTH, "frontier.dirty_rate.to=1GiB/s").frontier.dirty_rate.to_bytes_per_s == 1 << 30


def test_a_scenario_without_it_has_none():
    assert load_scenario("throttled").frontier is None


def test_the_shipped_scenario_searches_both_on_each_link_with_the_default_fill():
    cells = load_sweep("convergence")
    assert [cell.link.bandwidth_bytes_per_s for cell in cells] == [37_500_000, 125_000_000]
    assert all(cell.frontier.searches == ("dirty_rate", "downtime_limit") for cell in cells)
    assert cells[0].guest.fill == load_scenario("throttled").guest.fill
    assert {m.name for m in cells[0].methods} >= {"original", "qemu-multifd-zstd-1", "lz4", "isal-1", "zstd-1", "auto"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[frontier]", "frontier.find: []: write dirty_rate, downtime_limit, or both"),
        ("[frontier]\nfind = []" + BOTH[11:], "frontier.find: []: write"),
        ('[frontier]\nfind = ["dirty_rate", "dirty_rate"]' + BOTH[11:], "frontier.find: ['dirty_rate', 'dirty_rate']"),
        ('[frontier]\nfind = ["dirty_rate"]', "frontier.dirty_rate: is missing: say where to look: from and to"),
        ('[frontier]\nfind = ["latency"]' + BOTH[11:], "'latency': must be 'dirty_rate' or 'downtime_limit'"),
        ('[frontier]\ndirty_rates = {from = "1MiB/s", to = "2MiB/s"}', "did you mean 'dirty_rate'?"),
        ('[frontier]\ndirty_rate = {from = "1MiB/s", till = "2MiB/s"}', "frontier.dirty_rate.till: unknown key"),
        ('[frontier]\ndirty_rate = {from = "1MiB/s"}', "frontier.dirty_rate.to: is missing: add it"),
        ('[frontier]\ndirty_rate = {from = 1, to = "2MiB/s"}', "frontier.dirty_rate.from: 1: a number needs a unit"),
        ('[frontier]\ndirty_rate = {from = "0B/s", to = "2MiB/s"}', "frontier.dirty_rate.from:"),
        ('[frontier]\ndirty_rate = {from = "9MiB/s", to = "2MiB/s"}', "frontier.dirty_rate.from: 9 MiB/s: must be less than to"),
        ('[frontier]\ndirty_rate = "10MiB/s"', "frontier.dirty_rate:"),
        ('[frontier]\ndowntime_limit = {from = "100us", to = "1s"}', "downtime_limit.from: 0.1 ms: QEMU takes whole milliseconds"),
        ('[frontier]\ndowntime_limit = {from = "1ms", to = "1h"}', "downtime_limit.to: 3.6e+06 ms: QEMU takes whole"),
        ('[frontier]\ndowntime_limit = {from = "1s", to = "1s"}', "downtime_limit.from: 1000 ms: must be less than to"),
        (BOTH + "attempts = 2", "frontier.attempts: 2: must be odd"),
        (BOTH + "attempts = 11", "frontier.attempts: 11:"),
        (BOTH + "tolerance = 1.0", "frontier.tolerance: 1.0:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(load, table, says):
    with pytest.raises(ScenarioError) as caught:
        load(table)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["repeats=3"], "--set repeats=3: has no meaning beside [frontier], which has attempts"),
        (["warmups=1"], "--set warmups=1: has no meaning"),
        (["guest.kind=synthetic"], '--set guest.kind=synthetic: frontier: needs a guest that writes'),
        (["frontier=3"], "--set frontier=3: 3: must be a table: write [frontier]"),
        (["frontier.dirty_rate.to=1MiB/s"], "--set frontier.dirty_rate.to=1MiB/s: frontier.dirty_rate.from: 10 MiB/s"),
    ],
)  # fmt: skip
def test_a_set_that_does_not_go_with_it_is_named(load, sets, says):
    with pytest.raises(ScenarioError) as caught:
        load(BOTH, *sets)
    assert says in str(caught.value)
