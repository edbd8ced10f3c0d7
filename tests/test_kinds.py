from __future__ import annotations

import sys
from pathlib import Path

import pytest
from distributions import install

from harness.errors import UserError
from harness.kinds import Kinds


class Pet:
    """A contract."""


def pets() -> Kinds[Pet]:
    return Kinds("pet", Pet, {"cat": "tests_pets:Cat", "stone": "tests_pets:STONE", "ghost": "tests_no_module:Ghost"})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two distributions with a pet each."""
    (tmp_path / "tests_pets.py").write_text(
        "import tests_pets_contract\nclass Cat(tests_pets_contract.Pet): pass\nclass Dog(Cat): pass\nSTONE = 1\n"
    )
    for name, points in (("one", "dog = tests_pets:Dog\n"), ("two", "cat = tests_pets:Dog\n")):
        install(monkeypatch, tmp_path, name, f"[pageferry.pets]\n{points}")
    monkeypatch.setitem(sys.modules, "tests_pets_contract", sys.modules[__name__])
    return tmp_path


def test_names_ours_first_and_each_once(installed: Path):
    assert pets().names() == ["cat", "stone", "ghost", "dog"]


def test_loads_an_installed_kind(installed: Path):
    assert pets().load("dog").__name__ == "Dog"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cta", r"unknown pet kind 'cta'; did you mean 'cat'\? known: cat, stone, ghost, dog"),
        ("cat", "claimed by tests_pets:Cat and tests_pets:Dog; uninstall all but one"),
        ("stone", "is not a Pet"),
        ("ghost", r"cannot be loaded: ModuleNotFoundError: .*; fix or uninstall it"),
    ],
)
def test_one_line_says_why_a_kind_cannot_be_had(installed: Path, name: str, words: str):
    with pytest.raises(UserError, match=words):
        pets().load(name)
