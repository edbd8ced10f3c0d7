"""A small scenario that each test changes."""

from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario.model import Scenario, load_scenario

MINIMAL = """
description = "a test"
[[method]]
name = "original"
engine = "qemu"
baseline = true
[[method]]
name = "zlib-1"
engine = "pageferry"
backend = "zlib"
level = 1
"""


def load_minimal(folder: Path, top: str = "", tables: str = "", **kwargs) -> Scenario:
    """MINIMAL with the given text before (top-level keys) and behind (tables)."""
    path = folder / "mine.toml"
    path.write_text(top + MINIMAL + tables)
    return load_scenario(path, **kwargs)


def named(scenario: Scenario, name: str):
    return next(method for method in scenario.methods if method.name == name)


def message_of(load, *args, **kwargs) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(*args, **kwargs)
    text = str(caught.value)
    assert text.isprintable(), "an error is one line"
    return text
