"""The cells that ``tox -m bench`` runs: every method of the shipped scenario, in each situation, with its own extra alone."""

import configparser
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import scenarios
from harness.scenario.sweep import load_sweep

pytest.importorskip("tox", reason="tox is not installed: pageferry[dev] brings it")
ROOT = Path(__file__).parent.parent
SITUATIONS = {
    "idle": ['guest={kind="stream",stream="linux-idle"}'],
    "build": ['guest={kind="stream",stream="linux-build"}'],
    "redis": ['guest={kind="stream",stream="linux-redis"}'],
    "throttled": ["link.bandwidth=1Gbit/s"],
    "unlimited": ["link.bandwidth=unlimited"],
}


@pytest.fixture(scope="module")
def cells():
    command = [sys.executable, "-m", "tox", "config", "-m", "bench", "-k", "commands", "extras", "description"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(done.stdout)
    return {name.removeprefix("testenv:"): found[name] for name in found.sections()}


def options(words, name):
    return [value for option, value in pairwise(words) if option == name]


def test_every_backend_has_a_cell_in_every_situation(cells):
    (scenario,) = load_sweep("matrix", SITUATIONS["unlimited"], ())
    seen = []
    for name, cell in cells.items():
        for line in cell["commands"].strip().splitlines():
            words = shlex.split(line)
            (out,), (method,) = options(words, "--out"), options(words, "--only")
            assert words[:3] == ["pageferry", "run", "matrix"]
            assert "--skip-missing" in words
            situation = Path(out).name
            assert out.endswith(f"/out/bench/{name}/{situation}")
            assert options(words, "--set") == SITUATIONS[situation]
            seen.append((situation, method))
    methods = {method.name for method in scenario.methods} - {"original"}
    assert sorted(seen) == sorted((situation, method) for situation in SITUATIONS for method in methods)


def test_every_shipped_recording_is_replayed_and_the_other_cells_are_live():
    guests = [load_sweep("matrix", words, ())[0].guest for words in SITUATIONS.values()]
    replayed = {guest.stream for guest in guests if guest.kind == "stream"}
    assert replayed == set(scenarios.recording_names())
    assert [guest.kind for guest in guests if guest.kind != "stream"] == ["stress", "stress"]


def test_a_cell_installs_only_what_its_backend_needs_and_says_what_it_is(cells):
    extras = {name.rpartition("-")[2]: cell["extras"] for name, cell in cells.items()}
    assert {name for name, extra in extras.items() if not extra} == {"zlib", "qatzip"}
    assert (extras["isal"], extras["zstdlong"], extras["auto"]) == ("isal", "zstd", "all")
    assert len({cell["description"] for cell in cells.values()}) == len(cells)
