"""The guest that is asked about, by name, file and recording; and the cores that it is measured on."""

from __future__ import annotations

import pytest

from harness.advise.subject import MOST_BYTES, read_subject
from harness.errors import ScenarioError, UserError

MIB = 1 << 20
TOML = """
description = "a guest"
downtime_limit = "500ms"
[guest]
kind = "stress"
memory = "{memory}"
working_set = "8MiB"
dirty_rate = "7MiB/s"
fill = {{zero = 0.5, text = 0.5}}
[[method]]
name = "original"
engine = "qemu"
baseline = true
"""


@pytest.fixture
def scenario(tmp_path):
    def write(memory: str = "64MiB"):
        path = tmp_path / "guest.toml"
        path.write_text(TOML.format(memory=memory))
        return str(path)

    return write


def test_a_shipped_scenario_is_a_guest_by_its_name():
    found = read_subject("throttled", None)
    assert found.settings.kind == "synthetic"
    assert found.dirty_bytes_per_s == 20 * MIB
    assert found.downtime_limit_s == 0.3
    assert "512 MiB" in found.name
    assert any("Measured on a guest of 256 MiB" in note for note in found.notes)


def test_a_first_pass_is_what_is_not_zero_with_its_record_heads(scenario):
    found = read_subject(scenario(), None)
    pages = 64 * MIB // 4096
    assert found.guest.first_pass_bytes == pages / 2 * (4096 + 8) + pages / 2 * 9
    assert (found.guest.working_set_bytes, found.guest.dirty_bytes_per_s) == (8 * MIB, 7 * MIB)
    assert found.downtime_limit_s == 0.5
    assert found.notes == ()


def test_a_scenarios_distance_is_said_not_to_be_in_the_model():
    assert any("has no delay, jitter or loss" in note for note in read_subject("distance", None).notes)
    assert not any("has no delay, jitter or loss" in note for note in read_subject("adaptive", None).notes)


def test_a_dirty_rate_that_is_told_goes_before_the_scenarios(scenario):
    found = read_subject(scenario(), 3 * MIB)
    assert found.dirty_bytes_per_s == found.guest.dirty_bytes_per_s == found.settings.dirty_rate_bytes_per_s == 3 * MIB
    assert read_subject(scenario(), 0).dirty_bytes_per_s == 0


def test_a_recorded_stream_is_its_own_guest(tmp_path):
    path = tmp_path / "guest.stream"
    path.write_bytes(b"QEVM" + bytes(4092))
    found = read_subject(str(path), None)
    assert (found.settings.kind, found.settings.path) == ("stream", str(path))
    assert found.guest.first_pass_bytes == 4096
    assert found.dirty_bytes_per_s is found.downtime_limit_s is None
    assert "working set" in read_subject(str(path), 5 * MIB).notes[0]


def test_of_a_long_recording_it_says_that_only_the_beginning_is_measured(tmp_path):
    path = tmp_path / "long.stream"
    with path.open("wb") as file:
        file.write(b"QEVM")
        file.truncate(MOST_BYTES + 1)
    assert any("first 256 MiB" in note for note in read_subject(str(path), None).notes)


def test_a_scenario_of_a_recording_is_the_recording(tmp_path):
    (tmp_path / "guest.stream").write_bytes(b"QEVM" + bytes(100))
    path = tmp_path / "replay.toml"
    method = '[[method]]\nname = "none"\nengine = "pageferry"\nbackend = "none"\nbaseline = true\n'
    path.write_text(f'description = "a"\n[guest]\nkind = "stream"\npath = "guest.stream"\n{method}')
    assert read_subject(str(path), None).settings.path == str(tmp_path / "guest.stream")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("throtled", ScenarioError, "did you mean 'throttled'"),
        ("nosuch", ScenarioError, "a recorded stream is named by its file, and there is none of this name"),
        ("no/such/file.stream", ScenarioError, "cannot read the scenario: No such file"),
        ("{here}/notes.txt", UserError, "not a QEMU migration stream"),
        ("{here}/wrong.toml", ScenarioError, "no method"),
    ],
)
def test_what_is_no_guest_is_told_in_one_line(tmp_path, text, error, says):
    (tmp_path / "notes.txt").write_text("dear diary")
    (tmp_path / "wrong.toml").write_text('description = "x"\nmethod = []')
    with pytest.raises(error) as caught:
        read_subject(text.format(here=tmp_path), None)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
