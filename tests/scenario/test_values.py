"""Whatever stands at one key of a valid scenario is taken, or told in one line that names the key."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ScenarioError
from harness.scenario.frontier import FrontierSearch, LimitRange, RateRange
from harness.scenario.kinds import GUESTS, LINKS, LinkStep
from harness.scenario.methods import PairMethod, QemuMethod
from harness.scenario.model import Scenario, load_scenario
from harness.scenario.part import Part
from harness.scenario.pin import Pin

BASE: dict[str, Any] = {
    "description": "x",
    "method": [
        {"name": "original", "engine": "qemu", "baseline": True},
        {"name": "zlib", "engine": "pageferry", "backend": "zlib"},
    ],
}
STEPS = {"bandwidth": "1Gbit/s", "step": [{"after": "1s", "bandwidth": "100Mbit/s"}]}
SEARCH = {
    "frontier": {
        "dirty_rate": {"from": "1MiB/s", "to": "9MiB/s"},
        "downtime_limit": {"from": "1ms", "to": "1s"},
    }
}
Place = tuple[str | int, ...]


def tables() -> Iterator[tuple[dict[str, Any], Place, type[Part]]]:
    """A valid scenario, a table in it, and the table's model: of every kind that is ours."""
    yield BASE, (), Scenario
    yield BASE, ("method", 0), QemuMethod
    yield BASE, ("method", 1), PairMethod
    for kind in ("stress", "stream", "synthetic"):
        own = {"path": "a.stream"} if kind == "stream" else {}
        yield {**BASE, "guest": {"kind": kind, **own}}, ("guest",), GUESTS.load(kind).settings
    for kind in ("auto", "netns", "relay"):
        yield {**BASE, "link": {"kind": kind, **STEPS}}, ("link",), LINKS.load(kind).settings
    yield {**BASE, "link": STEPS}, ("link", "step", 0), LinkStep
    yield BASE | {"pin": {"sender": "0"}}, ("pin",), Pin
    yield BASE | SEARCH, ("frontier",), FrontierSearch
    yield BASE | SEARCH, ("frontier", "dirty_rate"), RateRange
    yield BASE | SEARCH, ("frontier", "downtime_limit"), LimitRange


KEYS = [(doc, place, key) for doc, place, part in tables() for key in part.toml_keys()]
WRONG = [datetime.date(2020, 1, 1), float("nan"), 1 << 70, [{}], {"x": [[]]}, "\n"]


def said_of(folder: Path, doc: dict[str, Any], place: Place, key: str, value: object) -> str:
    """What loading says once ``value`` stands there; nothing where it is taken."""
    changed: Any = copy.deepcopy(doc)
    table = changed
    for part in place:
        table = table[part]
    table[key] = value
    path = folder / "s.toml"
    path.write_text(tomli_w.dumps(changed))
    (folder / "a.stream").write_bytes(b"x")
    try:
        load_scenario(path)
    except ScenarioError as exc:
        said = str(exc)
    else:
        return ""
    assert said.isprintable()
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


def named(place: Place, key: str) -> str:
    """The key as an error names it: methods by their names where they have one, and else by numbers."""
    of_method = place[:1] == ("method",) and key != "name"
    parts = [BASE["method"][part]["name"] if of_method else f"#{part + 1}" for part in place if isinstance(part, int)]
    names = [part for part in place if isinstance(part, str)]
    return ".".join([*names, *parts, key])


@pytest.mark.parametrize(("doc", "place", "key"), KEYS, ids=[f"{number}-{each[2]}" for number, each in enumerate(KEYS)])
def test_a_date_is_wrong_at_every_key_and_told_with_it(doc, place, key, tmp_path):
    said = said_of(tmp_path, doc, place, key, datetime.date(2020, 1, 1))
    assert said.startswith(f"{named(place, key)}: ")


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    where=st.sampled_from(KEYS),
    value=st.sampled_from(WRONG) | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(["zero", "x"]), st.floats() | st.text(max_size=3), max_size=2)
    | st.sampled_from(["0B", "1GiB", "1Gbit/s", "999999999h", "1000TiB/s", "300ms", "stress", "zlib"]),
)  # fmt: skip
def test_any_value_at_any_key_is_taken_or_told_with_the_key(where, value, tmp_path):
    doc, place, key = where
    said = said_of(tmp_path, doc, place, key, value)
    assert said == "" or f"{key}: " in said or f"{key}." in said
