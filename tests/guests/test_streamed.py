"""Which stream a scenario names: a file of its own, or a recording that comes with pageferry, wherever one may be named."""

from __future__ import annotations

import json

import pytest
import sample_streams
from recorded import save_recording

import scenarios
from harness import cli
from harness.advise.subject import read_subject
from harness.errors import ScenarioError
from harness.guests.contract import make_guest
from harness.scenario.model import load_scenario

DATA = sample_streams.small_stream(3)
METHOD = '[[method]]\nname = "none"\nengine = "pageferry"\nbackend = "none"\nbaseline = true\n'


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A recording "small" that came with us."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(scenarios, "_RECORDINGS", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    return save_recording(tmp_path / "shipped" / "small.pfs", DATA)


@pytest.fixture
def scenario(tmp_path):
    def load(guest: str):
        path = tmp_path / "replay.toml"
        path.write_text(f'description = "a"\n[guest]\nkind = "stream"\n{guest}\n{METHOD}')
        return load_scenario(path)

    return load


def test_a_shipped_recording_is_replayed_by_its_name(shipped, scenario):
    found = scenario('stream = "small"')
    guest = make_guest(found)
    guest.open()
    assert guest.describe()["stream"] == "recording small.pfs"
    assert guest.stream.path.read_bytes() == DATA
    assert found.guest.model_dump(mode="json") == {"kind": "stream", "path": None, "stream": "small"}


def test_a_recording_of_ones_own_is_replayed_by_its_file(shipped, scenario, tmp_path):
    save_recording(tmp_path / "own.pfs", DATA)
    guest = make_guest(scenario('path = "own.pfs"'))
    guest.open()
    assert guest.stream.path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        ("", r"guest\.path: is missing: name a file that pageferry record made, or write stream = NAME .* \(small\)"),
        ('stream = "smal"', r"guest\.stream: 'smal': unknown recording; did you mean 'small'\? known: small"),
        ('stream = "small"\npath = "x"', r"guest\.stream: 'small': path names a recording as well: keep one of them"),
        ('path = "x"', r"guest\.path: '.*/x': there is no such file: record one with pageferry record"),
    ],
)
def test_what_names_no_stream_is_one_line(shipped, scenario, guest, words):
    with pytest.raises(ScenarioError, match=words):
        scenario(guest)


def test_commands_take_its_name_as_well(shipped, capsys):
    assert cli.main(["list", "recordings"]) == 0
    assert "small" in capsys.readouterr().out
    assert cli.main(["info", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["stream_bytes"] == len(DATA)
    subject = read_subject("small", None)
    assert (subject.settings.stream, subject.guest.first_pass_bytes) == ("small", len(DATA))
    assert subject.name.startswith("recording small.pfs, ")
