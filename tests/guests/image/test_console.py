"""What a foreign guest's console says means the same wherever its bytes are cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.guests.console import GuestFailure
from harness.guests.image.console import Begun, Line, Progress, Ready, SerialConsole

SPEECH = (
    "\x1b[2J[    0.1] Linux é\r\n\r\nrequests: 12.5 of 20\r\nrequests: many\n"
    "Kernel panic - not syncing: VFS\r\nhost login: "
).encode()
EVENTS = [
    Line("[    0.1] Linux é"),
    Progress(12.5),
    Line("requests: 12.5 of 20"),
    Line("requests: many"),
    GuestFailure("Kernel panic - not syncing: VFS"),
    Line("Kernel panic - not syncing: VFS"),
]


def console() -> SerialConsole:
    return SerialConsole(re.compile("login:"), re.compile(r"requests: (\S+)"))


@given(st.lists(st.integers(0, len(SPEECH)), max_size=8))
def test_lines_prompts_and_counters_are_found_cut_anywhere(cuts):
    reader, places = console(), [0, *sorted(cuts), len(SPEECH)]
    found = [event for begin, end in pairwise(places) for event in reader.feed(SPEECH[begin:end])]
    whole = [event for event in found if not isinstance(event, Begun)]
    assert whole[: len(EVENTS)] == EVENTS
    assert set(whole[len(EVENTS) :]) == {Ready("host login:")}
    assert found[-1] == Begun("host login:")


@pytest.mark.parametrize("line", [b"up 7\n", b"\xff\x00up 7\r"])
def test_one_line_may_mean_both_ready_and_progress(line):
    reader = SerialConsole(re.compile("up"), re.compile(r"up (\d+)"))
    assert [type(event) for event in reader.feed(line)] == [Ready, Progress, Line]


def test_bytes_without_end_are_no_line_without_end():
    events = console().feed(b"x" * 10_000)
    assert [type(event) for event in events] == [Line]
