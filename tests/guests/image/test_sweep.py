"""A sweep over a foreign guest: each cell's files are looked for where its values were written."""

import json

import pytest
from small_scenario import MINIMAL

from harness.errors import ScenarioError
from harness.scenario.model import load_scenario
from harness.scenario.sweep import load_sweep

GUEST = """
[guest]
kind = "image"
kernel = "k"
ready = {serial = "ready"}
"""
DISKS = '[sweep]\n"guest.disk" = ["a.raw", "b.raw"]\n"guest.memory" = ["32MiB", "64MiB"]\n'
GUESTS = """
[sweep.guest]
one = {kind = "image", kernel = "k", ready = {serial = "ready"}}
two = {kind = "image", disk = "a.raw", ready = {serial = "ready"}}
"""


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """``beside(tables)``: a scenario's file with the guest's files beside it; the working directory has none of them."""
    (tmp_path / "mine").mkdir()
    for name in ("k", "a.raw", "b.raw"):
        (tmp_path / "mine" / name).write_bytes(b"\x7fELF")
    monkeypatch.chdir(tmp_path)

    def written(tables):
        path = tmp_path / "mine" / "mine.toml"
        path.write_text(MINIMAL + tables)
        return path

    return written


def test_disks_of_a_sweep_lie_beside_the_scenario(beside):
    path = beside(GUEST + DISKS)
    found = [(cell.guest.disk, cell.guest.memory_bytes >> 20) for cell in load_sweep(path)]
    folder = str(path.parent)
    assert found == [(f"{folder}/{name}.raw", size) for name in "ab" for size in (32, 64)]


def test_whole_guests_of_a_sweep_do_too(beside):
    one, two = load_sweep(beside(GUESTS))
    assert one.guest.kernel == str(beside(GUESTS).parent / "k")
    assert two.guest.disk == str(beside(GUESTS).parent / "a.raw")


def test_what_is_set_is_looked_for_in_the_working_directory(beside, tmp_path):
    path = beside(GUEST + DISKS)
    with pytest.raises(ScenarioError, match=r"^--set sweep\.guest\.disk: a\.raw: '/.*a\.raw': there is no such file"):
        load_sweep(path, ['sweep.guest.disk=["a.raw"]'])
    (cell,) = load_sweep(path, ['sweep={"guest.disk" = ["mine/b.raw"]}'])
    assert cell.guest.disk == str(tmp_path / "mine" / "b.raw")
    whole = f'guest={{kind = "image", kernel = {json.dumps("mine/k")}, ready = {{serial = "x"}}}}'
    assert load_scenario(beside(""), [whole]).guest.kernel == str(tmp_path / "mine" / "k")
