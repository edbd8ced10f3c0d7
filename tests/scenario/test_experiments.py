"""The shipped scenarios that repeat others' experiments: their parameters, and what they tell of themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scenarios
from harness.scenario.model import load_scenario
from harness.scenario.sweep import load_sweep
from harness.units import MIB, format_bytes

DOC = Path(__file__).parents[2] / "docs" / "experiments.md"
GUESTPERF = tuple(name for name in scenarios.names() if name.startswith("guestperf-"))
EXPERIMENTS = ("published", "kubevirt-246", "kubevirt-291", *GUESTPERF)


def sources(name, key):
    """A parameter of the source in every method that has it."""
    methods = load_scenario(name).methods
    return [method.source[key] for method in methods if key in getattr(method, "source", ())]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_file_and_page_say_what_memory_an_experiment_needs(name):
    need = format_bytes(2 * load_scenario(name).guest.memory_bytes)
    comment = scenarios.find(name).read_text().partition("\n\n")[0]
    assert f"{need} of free memory" in re.sub(r"\s*\n# *", " ", comment)
    (row,) = [line for line in DOC.read_text().splitlines() if line.startswith(f"| `{name}`")]
    assert row.endswith(f" {need} |")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_ours_beside_the_originals(name):
    assert {method.engine for method in load_scenario(name).methods} == {"qemu", "pageferry"}


@pytest.mark.parametrize("name", scenarios.names())
def test_a_description_fits_a_line_of_the_list(name):
    description = load_scenario(name).description
    assert description.isprintable()
    assert len(description) <= 95


def test_published_has_both_situations():
    cells = load_sweep("published")
    assert [cell.link.bandwidth_bytes_per_s for cell in cells] == [None, 125_000_000]
    assert {(cell.guest.kind, cell.guest.workload, cell.guest.memory_bytes) for cell in cells} == {
        ("linux", "idle", 2048 * MIB)
    }
    assert {method.name: method for method in cells[0].methods}["qemu-compress-zlib-1"].source == {
        "compress-level": 1,
        "compress-threads": 12,
    }


def test_kubevirts_have_its_channels_rate_and_number_of_runs():
    assert sources("kubevirt-246", "multifd-channels") == [8, 8]
    assert sources("kubevirt-291", "multifd-channels") == [8, 8, 8]
    assert sources("kubevirt-291", "downtime-limit") == [1050]
    scenario = load_scenario("kubevirt-291")
    assert scenario.guest.dirty_rate_bytes_per_s * 8 == 650_000_000
    assert (scenario.repeats, scenario.guest.memory_bytes) == (10, 8192 * MIB)


@pytest.mark.parametrize("name", GUESTPERF)
def test_guestperfs_have_its_downtime_and_time_limits(name):
    scenario = load_scenario(name)
    assert (scenario.downtime_limit_s, scenario.timeout_s) == (0.5, 300)


def test_guestperfs_have_its_parameters():
    assert sorted(sources("guestperf-auto-converge", "cpu-throttle-increment")) == [5, 10, 20]
    caches = sources("guestperf-xbzrle", "xbzrle-cache-size")
    assert [bytes_.bit_count() for bytes_ in caches] == [1, 1, 1, 1]
    assert set(sources("guestperf-multifd", "multifd-channels")) == {4, 8, 32, 64}
    assert set(sources("guestperf-multifd", "multifd-compression")) == {"none", "zlib", "zstd", "qpl", "uadk", "qatzip"}
    paused = [method.pause_at_pass for method in load_scenario("guestperf-pause").methods if method.engine == "qemu"]
    assert paused == [1, 5, 20]
    switched = [m.switch_after_passes for m in load_scenario("guestperf-postcopy").methods if m.engine == "qemu"]
    assert [passes + 1 for passes in switched] == paused
