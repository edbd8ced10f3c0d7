"""A scenario that names no method is run by the usual ones; ten lines that say what a guest is are a whole scenario."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from small_scenario import message_of, named

from harness.scenario.kinds import GUESTS
from harness.scenario.methods import Method
from harness.scenario.model import load_scenario
from harness.scenario.sweep import load_sweep
from harness.scenario.usual import USUAL_METHODS

ROOT = Path(__file__).parents[2]
NAMES = [table["name"] for table in USUAL_METHODS]
REPLAY = 'description = "a"\n[guest]\nkind = "synthetic"\n'


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        (tmp_path / "mine.toml").write_text(text)
        return tmp_path / "mine.toml"

    return write


def names(scenario):
    return [method.name for method in scenario.methods]


def test_they_are_those_of_the_scenario_linux(write):
    mine = load_scenario(write('description = "a"\n'))
    assert mine.methods == load_scenario("linux").methods
    assert (names(mine), mine.baseline.name) == (NAMES, "original")


def test_a_guest_without_a_qemu_goes_without_those_that_need_one_and_keeps_all_others(write):
    for kind in ("synthetic", "stress"):
        scenario = load_scenario(write(REPLAY.replace("synthetic", kind)))
        has_qemu = GUESTS.load(kind).settings.has_qemu
        needing = {table["name"] for table in USUAL_METHODS if set(Method.needs_qemu) & set(table)}
        assert needing
        assert names(scenario) == [name for name in NAMES if has_qemu or name not in needing]


def test_the_kind_that_counts_is_the_one_that_is_set_in_whatever_order(write):
    path = write('description = "a"\n')
    sets = ["guest.kind=synthetic", "method.zstd-1.level=3"]
    for overrides in (sets, sets[::-1]):
        scenario = load_scenario(path, overrides)
        assert "qemu-multifd-zstd-1" not in names(scenario)
        assert named(scenario, "zstd-1").level == 3


def test_only_and_a_sweep_know_them(write):
    path = write('description = "a"\n[sweep]\n"method.zstd-1.level" = [1, 9]\n')
    cells = load_sweep(path, only=["zstd-1"])
    assert [(names(cell), named(cell, "zstd-1").level) for cell in cells] == [
        (["original", "zstd-1"], 1),
        (["original", "zstd-1"], 9),
    ]
    error = message_of(load_scenario, path, ["method.zstd1.level=3"])
    assert "'zstd1': unknown method; did you mean 'zstd-1'?" in error


def test_methods_that_somebody_names_are_taken_at_their_word(write):
    assert "no method: add a [[method]]" in message_of(load_scenario, write('description = "a"\nmethod = []\n'))
    table = '{name = "qemu-multifd-zstd-1", engine = "qemu", baseline = true, capabilities = ["multifd"]}'
    assert "needs QEMU" in message_of(load_scenario, write(REPLAY), [f"method=[{table}]"])
    assert "needs QEMU" in message_of(load_scenario, write(REPLAY), ['method.original.capabilities=["xbzrle"]'])


def test_ten_lines_of_the_guide_are_a_scenario_of_every_usual_method(write):
    text = (ROOT / "docs" / "guests.md").read_text(encoding="utf-8")
    (block,) = re.findall(r'(?m)^ {4}description = "Does my own guest live.*\n(?:    .*\n)+', text)
    lines = textwrap.dedent(block)
    assert lines.count("\n") == 10
    path = write(lines)
    for file, begin in (("vmlinuz", b"\x7fELF"), ("initrd.gz", b"\x1f\x8b")):
        (path.parent / file).write_bytes(begin + bytes(60))
    scenario = load_scenario(path)
    assert (scenario.guest.kind, names(scenario)) == ("image", NAMES)
