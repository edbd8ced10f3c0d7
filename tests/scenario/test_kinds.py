"""Kinds of guests, ours and somebody else's, each with keys of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w
from distributions import install

from harness import cli
from harness.errors import ScenarioError
from harness.scenario.model import load_scenario

TOY = """
from harness.scenario.kinds import GuestKind, GuestSettings

class BalloonSettings(GuestSettings):
    kind: str = "balloon"
    colour: str = "red"

class Balloon(GuestKind):
    settings = BalloonSettings
    summary = "a guest that is full of air"
"""
BASE = {
    "description": "x",
    "guest": {},
    "link": {},
    "method": [
        {"name": "original", "engine": "qemu", "baseline": True},
        {"name": "zlib", "engine": "pageferry", "backend": "zlib"},
    ],
}


@pytest.fixture
def balloon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario's file, and a distribution with a kind of guest, in one folder."""
    points = "[pageferry.guests]\nballoon = tests_balloon:Balloon\n"
    install(monkeypatch, tmp_path, "balloon", points, tests_balloon=TOY)
    return tmp_path / "s.toml"


def written(path: Path, guest: dict[str, object]) -> Path:
    path.write_text(tomli_w.dumps({**BASE, "guest": guest}))
    return path


def test_a_scenario_takes_the_keys_of_somebody_elses_guest(balloon: Path, capsys: pytest.CaptureFixture[str]):
    assert load_scenario(written(balloon, {"kind": "balloon", "colour": "blue"})).guest.colour == "blue"
    assert cli.main(["list", "guests"]) == 0
    assert "a guest that is full of air" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        ({"kind": "balloon", "size": 1}, "guest.size: unknown key; known: kind, colour"),
        (
            {"kind": "balloon", "memory": "1GiB"},
            'guest.memory: \'1GiB\': kind = "balloon" has no such key, kind = "stress"',
        ),
        ({"colour": "red"}, 'guest.colour: \'red\': kind = "stress" has no such key, kind = "balloon" has'),
        ({"kind": "balloon", "colour": 1}, "guest.colour: 1: must be a valid string"),
        ({"kind": "baloon"}, "guest.kind: 'baloon': unknown guest kind; did you mean 'balloon'?"),
    ],
)
def test_keys_of_another_kind_are_told_with_the_kind_that_has_them(balloon: Path, guest: dict[str, object], words: str):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(written(balloon, guest))
    assert words in str(caught.value)
