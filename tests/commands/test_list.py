"""``pageferry list``: kinds of others stand beside ours; one that is broken is told and hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import install

from harness import cli
from harness.errors import MissingError
from harness.links.netns import NetnsLink

OTHERS = """
from harness.scenario.kinds import GuestKind, LinkKind

class Bare(GuestKind): pass

class Wire(LinkKind):
    summary = "a wire in a wall"

    @classmethod
    def missing(cls):
        return "there is no wall; build one"
"""
POINTS = """
[pageferry.guests]
bare = tests_listed:Bare
ghost = tests_no_such_module:Ghost
[pageferry.links]
wire = tests_listed:Wire
ghost = tests_no_such_module:Ghost
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a guest that says nothing of itself, a link that is not here, and one of each that is broken."""
    install(monkeypatch, tmp_path, "listed", POINTS, tests_listed=OTHERS)
    monkeypatch.setenv("COLUMNS", "400")


def rows(what: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert cli.main(["list", what]) == 0
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}


def test_guests_of_others_stand_beside_ours(installed: None, capsys: pytest.CaptureFixture[str]):
    found = rows("guests", capsys)
    assert {"stress", "stream", "synthetic", "bare"} <= set(found)
    assert "ModuleNotFoundError" in found["ghost"]
    assert "fix or uninstall it" in found["ghost"]


def test_links_say_whether_they_are_here_and_why_not(
    installed: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fails(_: NetnsLink) -> None:
        raise MissingError("link: netns needs root; run as root")

    monkeypatch.setattr(NetnsLink, "open", fails)
    found = rows("links", capsys)
    assert {"auto", "netns", "relay"} <= set(found)
    assert found["relay"].split()[1] == "yes"
    assert found["netns"].split()[1] == "no"
    assert "netns needs root; run as root" in found["netns"]
    assert found["wire"].split()[1] == "no"
    assert "a wire in a wall" in found["wire"]
    assert "there is no wall; build one" in found["wire"]
    assert "ModuleNotFoundError" in found["ghost"]
