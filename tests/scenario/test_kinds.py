"""Kinds of guests, ours and somebody else's, each with keys of its own; any value at any key is taken or told in a line."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import cli
from harness.errors import ScenarioError
from harness.scenario.kinds import GUESTS, LINKS
from harness.scenario.methods import PairMethod, QemuMethod
from harness.scenario.model import Scenario, load_scenario

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
TABLES = {
    (): Scenario,
    ("method", 0): QemuMethod,
    ("method", 1): PairMethod,
    **{("guest", kind): GUESTS.load(kind).settings for kind in ("stress", "stream", "synthetic")},
    **{("link", kind): LINKS.load(kind).settings for kind in ("auto", "netns", "relay")},
}
PLACES = [(place, key) for place, part in TABLES.items() for key in part.toml_keys()]


@pytest.fixture
def balloon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario's file, and a distribution with a kind of guest, in one folder."""
    (tmp_path / "tests_balloon.py").write_text(TOY)
    info = tmp_path / "balloon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: balloon\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pageferry.guests]\nballoon = tests_balloon:Balloon\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
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
        ({"kind": "balloon", "size": 1}, "guest.size: 'size': unknown key; known: kind, colour"),
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


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.sampled_from(PLACES),
    value=st.one_of(
        st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just([]), st.just({}),
        st.lists(st.integers(), max_size=2),
        st.dictionaries(st.sampled_from(["zero", "x"]), st.floats() | st.text(max_size=3), max_size=2),
        st.sampled_from(["1GiB", "1Gbit/s", "20MiB/s", "300ms", "unlimited", "stress", "zlib"]),
    ),
)  # fmt: skip
def test_any_value_at_any_key_is_taken_or_told_in_one_line(place, value, tmp_path):
    (*tables, key), doc = (*place[0], place[1]), {**BASE, "method": [dict(method) for method in BASE["method"]]}
    if tables[:1] == ["method"]:
        doc["method"][tables[1]][key] = value
    elif tables:
        doc[tables[0]] = {"kind": tables[1], key: value}
    else:
        doc[key] = value
    path = tmp_path / "s.toml"
    path.write_text(tomli_w.dumps(doc))
    said = ""
    try:
        load_scenario(path)
    except ScenarioError as exc:
        said = str(exc)
    assert said.isprintable()
    assert said == "" or said.startswith(f"{path}: ")
