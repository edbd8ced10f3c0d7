"""What a guest says on another host comes whole, in few pieces, and with when it came there."""

import itertools
import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hosts.ear import HOLD_S, FarEar, stamped


@pytest.fixture
def ends():
    """A guest's end of its console, and its host's."""
    guest, there = socket.socketpair()
    with guest, there:
        yield guest, there


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.binary(max_size=40)), max_size=6), st.lists(st.integers(1, 60), max_size=8)
)
def test_stamped_pieces_come_back_however_they_are_cut(pieces, cuts):
    sent = b"".join(struct.pack(">dI", at_s, len(data)) + data for at_s, data in pieces)
    here, theirs = socket.socketpair()
    heard = []
    with here, theirs:
        ear = FarEar(here, 0.0, "there")
        for begin, end in itertools.pairwise([0, *itertools.accumulate(cuts), len(sent)]):
            if part := sent[begin:end]:
                theirs.sendall(part)
                heard += ear.hear()
        theirs.shutdown(socket.SHUT_RDWR)
        assert ear.hear() is None
    assert [data for _, data in heard] == [data for _, data in pieces]
    apart_s = [at_s - before_s for (at_s, _), (before_s, _) in zip(heard, pieces, strict=True)]
    assert apart_s == pytest.approx([time.monotonic() - time.time()] * len(pieces), abs=60.0)


def test_a_guest_that_talks_all_the_time_is_told_of_a_few_times_a_second(ends):
    guest, there = ends

    def talk():
        for number in range(500):
            guest.sendall(bytes([number % 256]))
            time.sleep(0.001)
        guest.shutdown(socket.SHUT_RDWR)

    began_s = time.monotonic()
    talking = threading.Thread(target=talk)
    talking.start()
    sent = list(stamped(there))
    talking.join()
    assert len(sent) <= (time.monotonic() - began_s) / HOLD_S + 2
    here, theirs = socket.socketpair()
    with here, theirs:
        theirs.sendall(b"".join(sent))
        heard = FarEar(here, 0.0, "there").hear()
    assert b"".join(data for _, data in heard) == bytes(number % 256 for number in range(500))
    assert len(heard) > len(sent)
    times_s = [at_s for at_s, _ in heard]
    assert times_s == sorted(times_s)


def test_a_guest_that_said_one_thing_and_waits_is_heard(ends):
    guest, there = ends
    guest.sendall(b"login: ")
    assert next(stamped(there)).endswith(b"login: ")


def test_a_piece_counts_from_when_it_came_there_by_our_clock(ends):
    """However late it comes here, and however wrong the clock there is."""
    guest, there = ends
    began_s = time.monotonic()
    guest.sendall(b"beat")
    (sent,) = itertools.islice(stamped(there), 1)
    ended_s = time.monotonic()
    at_s, size = struct.unpack_from(">dI", sent)
    here, theirs = socket.socketpair()
    with here, theirs:
        theirs.sendall(struct.pack(">dI", at_s + 3600.0, size) + b"beat")
        time.sleep(0.05)
        ((heard_s, data),) = FarEar(here, 3600.0, "there").hear()
    assert data == b"beat"
    assert began_s - 0.01 <= heard_s <= ended_s - HOLD_S / 2


def test_a_console_that_is_cut_ends_it(ends):
    guest, there = ends
    told = stamped(there)
    guest.sendall(b"x")
    assert next(told).endswith(b"x")
    there.shutdown(socket.SHUT_RDWR)
    there.close()
    assert list(told) == []
