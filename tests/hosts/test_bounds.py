"""However much the far side or a child says, we keep no more of it than is of use, and say what was too much."""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import sys
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FrameError, QemuError
from harness.guests.image import ready
from harness.hosts.agent import channels, host
from harness.hosts.agent.channels import Channels
from harness.hosts.agent.frames import Frames
from harness.hosts.agent.ssh import LastWords
from harness.hosts.child import Child
from harness.hosts.ear import FarEar
from harness.hosts.watched import Watched

MIB = 1 << 20
MOST_PIECE_BYTES = 1 << 16


def heard(*sent: bytes) -> list[tuple[float, bytes]]:
    """What an ear makes of it, whatever it is."""
    here, theirs = socket.socketpair()
    with here, theirs:
        ear, found = FarEar(here, 0.0, "rack-1"), []
        for part in sent:
            theirs.sendall(part)
            found += ear.hear() or []
        return found


@given(st.binary(min_size=1, max_size=200))
def test_whatever_an_agent_sends_is_pieces_or_an_error_that_names_it(sent):
    try:
        found = heard(sent)
    except FrameError as exc:
        words, found = str(exc), []
    else:
        words = "rack-1: its agent tells of "
    assert words.startswith("rack-1: its agent tells of ")
    assert sum(12 + len(piece) for _, piece in found) <= len(sent)


def test_a_piece_of_any_size_that_an_agent_makes_is_heard_and_the_next_size_is_refused():
    whole = os.urandom(MOST_PIECE_BYTES)
    ((_, piece),) = heard(struct.pack(">dI", 0.0, len(whole)), whole)
    assert piece == whole
    with pytest.raises(FrameError, match="rack-1: its agent tells of 65537 bytes"):
        heard(struct.pack(">dI", 0.0, len(whole) + 1))


@pytest.mark.parametrize("at_s", [float("nan"), float("inf"), float("-inf")])
def test_a_piece_that_came_at_no_time_is_refused(at_s):
    with pytest.raises(FrameError, match=r"at (nan|inf|-inf) s"):
        heard(struct.pack(">dI", at_s, 1) + b"x")


def test_a_channel_takes_no_more_at_once_than_an_end_of_ours_sends():
    near, far = socket.socketpair()
    held = Channels(Frames(lambda _: None))
    with far:
        held.hold(2, near)
        held.take(2, b"x" * 4)
        assert far.recv(8) == b"xxxx"
        with pytest.raises(FrameError, match="262145 bytes at once for channel 2, and at most 262144 come"):
            held.take(2, bytes(channels._MOST_PIECE_BYTES + 1))
        held.cut_all()


def test_a_far_child_that_writes_without_end_fills_no_disk_here(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "_MOST_LOG_BYTES", 1000)
    connection = SimpleNamespace(numbers=iter([2]), children={}, request=lambda _: (1, b""))
    child = host._Child(connection, ["chatty"], tmp_path / "log").start()
    for _ in range(50):
        child.take(b"x" * 99 + b"\n")
    child.end(0, 0.0)
    written = (tmp_path / "log").read_text()
    assert len(written) == 1000 + len(host._LEFT_OUT)
    assert child.last_words() == "pageferry: what it wrote after this is left out"


class Written(Watched):
    """A child of which nothing is there but what it wrote."""

    start = cpu_s = end_input = None
    started, pid, status = True, 1, 0

    def signal(self, _):
        """It is gone."""


@given(st.lists(st.sampled_from([b"ready 1", b"ready 2", b"x" * 7, b"", b"\xff"]), max_size=8), st.integers(2, 30))
def test_lines_are_heard_one_after_the_other_however_little_is_read_at_once(tmp_path_factory, lines, most):
    log = tmp_path_factory.mktemp("log") / "log"
    log.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.hosts.watched._MOST_BYTES", most)
        child, found = Written(log), []
        while (said := child.hear(re.compile("ready (.)"), 60.0)) is not None:
            found.append(said[0])
    readable = [line.decode() for line in lines if line.startswith(b"ready") and len(line) < most]
    assert found == readable


def test_a_line_that_was_passed_over_is_heard_by_who_waits_for_it(tmp_path):
    (tmp_path / "log").write_text("one\ntwo\n")
    child = Written(tmp_path / "log")
    assert child.hear(re.compile("three"), 0.0) is None
    assert child.hear(re.compile("one"), 0.0)
    assert child.hear(re.compile("two"), 0.0)


def test_the_last_words_of_a_child_that_wrote_much_take_little_memory(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        log.truncate(64 * MIB)
        log.seek(0, os.SEEK_END)
        log.write(b"\nlast\n")
    tracemalloc.start()
    try:
        assert Written(tmp_path / "log").last_words() == "last"
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_child_that_floods_its_output_is_waited_for_no_longer_than_said():
    flood = [sys.executable, "-c", "import time\nwhile True: print('x' * 4095), time.sleep(0.0002)"]
    with Child(flood) as child:
        assert child.hear(re.compile("never"), 0.3) is None
        child.kill()


def test_of_a_command_that_writes_without_end_the_end_is_kept():
    kept = LastWords(io.BufferedReader(io.BytesIO(b"x" * 3 * MIB + b"the reason"))).text()
    assert kept.endswith("the reason")
    assert len(kept) == 64 << 10


def test_a_guest_agent_that_talks_without_an_answer_is_no_guest_agent(monkeypatch):
    monkeypatch.setattr(ready, "_MOST_ANSWER_BYTES", 100)
    near, far = socket.socketpair()
    with near, far:
        ask = ready._agent(near, "guest-ping")
        far.sendall(b"{" * 101)
        with pytest.raises(
            QemuError, match=r"guest\.ready\.agent: 'guest-ping': 101 bytes came and no answer among them"
        ):
            ask(5.0)
