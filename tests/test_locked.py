"""What is locked fits what pyproject.toml asks for, and each wheel of it has its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_LOCKED = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)


def _asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    return [found for found in map(Requirement, texts) if found.name != "pageferry"]


def test_what_is_locked_is_what_is_asked_for_and_has_hashes():
    found = {match["name"]: match for match in _LOCKED.finditer((ROOT / ".ci" / "locked.txt").read_text())}
    assert [name for name, match in found.items() if "--hash=sha256:" not in match["rest"]] == []
    asked = {re.sub(r"[._]", "-", each.name).lower(): each for each in _asked_for()}
    assert [name for name in asked if name not in found] == [], "run tox -e lock"
    assert [
        (name, found[name]["version"])
        for name, each in asked.items()
        if not each.specifier.contains(found[name]["version"])
    ] == []
