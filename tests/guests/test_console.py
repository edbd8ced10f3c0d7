"""The console reader over plain sockets."""

import socket
import threading
import time

import pytest

from harness.errors import QemuError
from harness.guests.console import Beat, Consoles, Work


def words(data: bytes) -> list[object]:
    """``beat``, ``work=NUMBER``, or anything else."""
    return [_event(word) for word in data.decode().split()]


def _event(word: str) -> object:
    if word == "beat":
        return Beat()
    return Work(int(word.removeprefix("work="))) if word.startswith("work=") else word


@pytest.fixture
def consoles(tmp_path):
    """A reader connected to two listening sockets, and the guests' ends of them."""
    listeners, ends = {}, {}
    for name in ("source", "destination"):
        listeners[name] = socket.socket(socket.AF_UNIX)
        listeners[name].bind(str(tmp_path / name))
        listeners[name].listen()
    reader = Consoles(dict.fromkeys(listeners, words))
    reader.connect({name: tmp_path / name for name in listeners})
    for name, listener in listeners.items():
        ends[name], _ = listener.accept()
    yield reader, ends
    reader.close()
    for end in (*listeners.values(), *ends.values()):
        end.close()
    assert "heartbeat-reader" not in {thread.name for thread in threading.enumerate()}


def test_beats_of_both_consoles_are_stamped_in_order_of_arrival(consoles):
    reader, ends = consoles
    began_s = time.monotonic()
    ends["source"].send(b"beat ")
    reader.wait_beats("source", 1, 60.0)
    ends["destination"].send(b"beat ")
    reader.wait_beats("destination", 1, 60.0)
    (first,), (second,) = (reader.beats(name) for name in ("source", "destination"))
    assert began_s < first.at_s < second.at_s < time.monotonic()


def test_answers_are_kept_apart_from_beats(consoles):
    reader, ends = consoles
    since_s = time.monotonic()
    reader.send("source", b"v")
    assert ends["source"].recv(1) == b"v"
    ends["source"].send(b"beat noise ok ")
    assert reader.wait_said("source", lambda event: event == "ok", 60.0, since_s=since_s) == "ok"


def test_counts_of_work_are_kept_with_when_they_were_heard(consoles):
    reader, ends = consoles
    began_s = time.monotonic()
    ends["source"].send(b"work=7 beat ")
    assert reader.wait_work("source", began_s, 60.0)
    later_s = time.monotonic()
    ends["source"].send(b"work=9 ")
    assert reader.wait_work("source", later_s, 60.0)
    assert not reader.wait_work("destination", began_s, 0.0)
    (first_s, first), (second_s, second) = reader.work("source")
    assert (first, second) == (7, 9)
    assert began_s < first_s < second_s < time.monotonic()


def test_an_answer_from_before_is_not_taken_for_the_new_one(consoles):
    reader, ends = consoles
    ends["source"].send(b"ok ")
    reader.wait_said("source", lambda event: event == "ok", 60.0, since_s=0.0)
    with pytest.raises(QemuError, match=r"source: the guest did not answer within 0\.05 s; it last said ok"):
        reader.wait_said("source", lambda event: event == "ok", 0.05, since_s=time.monotonic())


def test_a_console_that_closes_ends_the_wait_at_once(consoles):
    reader, ends = consoles
    ends["source"].close()
    began_s = time.monotonic()
    with pytest.raises(QemuError, match="sent 0 of 1 heartbeats"):
        reader.wait_beats("source", 1, 250.0)
    assert time.monotonic() - began_s < 200


def test_a_parser_that_fails_reaches_whoever_waits(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    reader = Consoles({"source": lambda data: [1 // 0]})
    reader.connect({"source": tmp_path / "s"})
    end, _ = listener.accept()
    end.send(b"x")
    with pytest.raises(QemuError, match="consoles failed") as caught:
        reader.wait_beats("source", 1, 60.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    reader.close()
    end.close()
    listener.close()


def test_a_console_that_is_not_there_is_named(tmp_path):
    reader = Consoles({"source": words})
    with pytest.raises(QemuError, match=r"source: .*/absent: cannot reach the guest's console: No such file"):
        reader.connect({"source": tmp_path / "absent"})
