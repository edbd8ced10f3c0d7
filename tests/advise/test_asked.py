"""The guest that is asked about, by name, file and recording; and the cores that it is measured on."""

from __future__ import annotations

import os
import threading

import pytest

from harness.advise.asked import MOST_BYTES, asked, on_cores
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
    found = asked("throttled", None)
    assert found.part.kind == "synthetic"
    assert found.dirty_bytes_per_s == 20 * MIB
    assert found.downtime_limit_s == 0.3
    assert "512 MiB" in found.words
    assert any("Measured on a guest of 256 MiB" in note for note in found.notes)


def test_a_first_pass_is_what_is_not_zero_with_its_record_heads(scenario):
    found = asked(scenario(), None)
    pages = 64 * MIB // 4096
    assert found.guest.first_pass_bytes == pages / 2 * (4096 + 8) + pages / 2 * 9
    assert (found.guest.working_set_bytes, found.guest.dirty_bytes_per_s) == (8 * MIB, 7 * MIB)
    assert found.downtime_limit_s == 0.5
    assert found.notes == ()


def test_a_scenarios_distance_is_said_not_to_be_in_the_model():
    assert any("without length or losses" in note for note in asked("distance", None).notes)
    assert not any("without length" in note for note in asked("adaptive", None).notes)


def test_a_dirty_rate_that_is_told_goes_before_the_scenarios(scenario):
    found = asked(scenario(), 3 * MIB)
    assert found.dirty_bytes_per_s == found.guest.dirty_bytes_per_s == found.part.dirty_rate_bytes_per_s == 3 * MIB
    assert asked(scenario(), 0).dirty_bytes_per_s == 0


def test_a_recorded_stream_is_its_own_guest(tmp_path):
    path = tmp_path / "guest.stream"
    path.write_bytes(b"QEVM" + bytes(4092))
    found = asked(str(path), None)
    assert (found.part.kind, found.part.path) == ("stream", str(path))
    assert found.guest.first_pass_bytes == 4096
    assert found.dirty_bytes_per_s is found.downtime_limit_s is None
    assert "working set" in asked(str(path), 5 * MIB).notes[0]


def test_of_a_long_recording_it_says_that_only_the_beginning_is_measured(tmp_path):
    path = tmp_path / "long.stream"
    with path.open("wb") as file:
        file.write(b"QEVM")
        file.truncate(MOST_BYTES + 1)
    assert any("first 256 MiB" in note for note in asked(str(path), None).notes)


def test_a_scenario_of_a_recording_is_the_recording(tmp_path):
    (tmp_path / "guest.stream").write_bytes(b"QEVM" + bytes(100))
    path = tmp_path / "replay.toml"
    method = '[[method]]\nname = "none"\nengine = "pageferry"\nbackend = "none"\nbaseline = true\n'
    path.write_text(f'description = "a"\n[guest]\nkind = "stream"\npath = "guest.stream"\n{method}')
    assert asked(str(path), None).part.path == str(tmp_path / "guest.stream")


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
    (tmp_path / "wrong.toml").write_text('description = "x"')
    with pytest.raises(error) as caught:
        asked(text.format(here=tmp_path), None)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cores_hold_every_thread_and_are_given_back():
    before = os.sched_getaffinity(0)
    seen, stop = [], threading.Event()
    other = threading.Thread(target=stop.wait, daemon=True)
    other.start()
    with on_cores(1) as count:
        assert count == 1
        seen = [os.sched_getaffinity(task) for task in (0, other.native_id)]
    stop.set()
    assert [len(cores) for cores in seen] == [1, 1]
    assert os.sched_getaffinity(0) == before
    with on_cores(None) as count:
        assert count == len(before)


def test_more_cores_than_are_here_are_refused():
    with pytest.raises(UserError, match="--cores 100000: this process may use"), on_cores(100_000):
        pass
