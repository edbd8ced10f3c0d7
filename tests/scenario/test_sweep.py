"""A table ``[sweep]`` makes a scenario per cell, each checked as one of its own."""

from __future__ import annotations

import itertools

import pytest

from harness.errors import ScenarioError
from harness.scenario.model import load_scenario
from harness.scenario.sweep import load_sweep

BODY = """
description = "a test"
[guest]
kind = "synthetic"
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
"""


def write(tmp_path, sweep: str):
    path = tmp_path / "grid.toml"
    path.write_text(BODY.replace("[guest]", f"{sweep}\n[guest]"))
    return path


def test_every_combination_is_a_cell_in_the_order_of_the_file(tmp_path):
    path = write(tmp_path, '[sweep]\n"link.bandwidth" = ["100Mbit/s", "unlimited"]\nrepeats = [1, 2, 3]')
    cells = load_sweep(path)
    assert [(cell.link.bandwidth_bytes_per_s, cell.repeats) for cell in cells] == list(
        itertools.product([12_500_000, None], [1, 2, 3])
    )
    assert [cell.name for cell in cells][:2] == ["grid+100Mbit-s+1", "grid+100Mbit-s+2"]
    assert cells[0].cell == {"link.bandwidth": "100Mbit/s", "repeats": "1"}
    assert len({cell.name for cell in cells}) == len(cells)


def test_a_table_gives_labels_to_values_that_have_none(tmp_path):
    path = write(tmp_path, '[sweep."guest.fill"]\nall-zero = {zero = 1.0}\nhalf = {zero = 0.5, random = 0.5}')
    cells = load_sweep(path)
    assert [cell.guest.fill for cell in cells] == [{"zero": 1.0}, {"zero": 0.5, "random": 0.5}]
    assert [cell.cell["guest.fill"] for cell in cells] == ["all-zero", "half"]


def test_a_key_that_is_set_is_not_swept(tmp_path):
    path = write(tmp_path, '[sweep]\n"link.bandwidth" = ["100Mbit/s", "unlimited"]\nrepeats = [1, 2]')
    cells = load_sweep(path, ["link.bandwidth=1Gbit/s"])
    assert [(cell.link.bandwidth_bytes_per_s, cell.repeats) for cell in cells] == [(125_000_000, 1), (125_000_000, 2)]


@pytest.mark.parametrize(
    "override",
    [
        'sweep={"link.bandwidth" = ["25Mbit/s", "1Gbit/s"]}',
        'sweep.link.bandwidth=["25Mbit/s", "1Gbit/s"]',
        'sweep."link.bandwidth"=["25Mbit/s", "1Gbit/s"]',
    ],
)
def test_the_sweep_itself_can_be_set(tmp_path, override):
    path = write(tmp_path, '[sweep]\n"link.bandwidth" = ["100Mbit/s", "unlimited"]')
    cells = load_sweep(path, [override, "repeats=4"])
    assert [(cell.link.bandwidth_bytes_per_s, cell.repeats) for cell in cells] == [(3_125_000, 4), (125_000_000, 4)]


def test_a_sweep_that_is_set_keeps_the_other_keys_of_the_file(tmp_path):
    path = write(tmp_path, '[sweep]\n"link.bandwidth" = ["100Mbit/s"]\nwarmups = [0, 1]')
    cells = load_sweep(path, ["sweep.repeats=[2, 3]"])
    assert [(cell.warmups, cell.repeats) for cell in cells] == [(0, 2), (0, 3), (1, 2), (1, 3)]


def test_a_sweep_set_to_what_is_no_list_is_told(tmp_path):
    with pytest.raises(ScenarioError, match=r"--set sweep\.repeats=3: sweep\.repeats: 3: must be a list of values"):
        load_sweep(write(tmp_path, ""), ["sweep.repeats=3"])


def test_without_a_sweep_there_is_one_scenario():
    assert load_sweep("throttled", ["repeats=2"]) == [load_scenario("throttled", ["repeats=2"])]


def test_the_shipped_sweep_has_every_link_and_memory():
    cells = load_sweep("adaptive")
    assert len(cells) == 18
    assert {method.backend for method in cells[0].methods} >= {"auto", "none", "lz4", "isal", "zstd", "zstd-long"}


def test_the_shipped_sweep_of_distances_has_two_links_of_five_lengths():
    cells = load_sweep("distance")
    lengths = [(cell.link.bandwidth_bytes_per_s, round(2e3 * cell.link.delay_s, 3)) for cell in cells]
    assert lengths == [(rate, ms) for rate in (12_500_000, 125_000_000) for ms in (1, 10, 50, 100, 200)]
    assert all(f"{ms:g} ms round trip" == cell.cell["link.delay"] for cell, (_, ms) in zip(cells, lengths, strict=True))


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ("sweep = 3", "sweep: 3: must be a table: write [sweep]"),
        ("[sweep]\nrepeats = 3", "sweep.repeats: 3: must be a list of values, or a table"),
        ("[sweep]\nrepeats = []", "sweep.repeats: []: must be a list"),
        (
            '[sweep]\n"link.bandwith" = ["1Gbit/s"]',
            ": sweep.link.bandwith: 1Gbit/s: unknown key; did you mean 'bandwidth'",
        ),
        ('[sweep]\n"link.bandwidth" = ["fast"]', "'fast' is not a bandwidth"),
        (f"[sweep]\nrepeats = {list(range(1, 30))}\nwarmups = {list(range(30))}", "more than 500 cells"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, sweep, says):
    with pytest.raises(ScenarioError) as caught:
        load_sweep(write(tmp_path, sweep))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_scenario_of_encryption_has_a_plain_cell_and_an_encrypted_one():
    assert [cell.link.tls for cell in load_sweep("tls")] == [False, True]
