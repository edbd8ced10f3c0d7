"""Connections that are wrong, too many, dead or somebody else's: one line says so, and nothing hangs."""

from __future__ import annotations

import array
import contextlib
import socket
from unittest.mock import Mock

import pytest
import sample_streams
from channel_rig import BARE, Channels, channel_data, read_all, written
from frames import HELLO
from pairs import received, wait_until

from harness.errors import PageferryError, PeerError, QemuError
from harness.migrator import gate, greeting, sender
from harness.migrator.delivery import Delivery, SideDelivery
from harness.migrator.session import FrameLink
from harness.migrator.transport.registry import endpoint_for_halves
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import Join


def begun(pair: Channels) -> socket.socket:
    """The main connection at the destination, in mid-migration and before the first page."""
    pair.source.sendall(BARE[:20])
    main = pair.accept()
    assert received(main, 20) == BARE[:20]
    return main


@pytest.fixture
def short_settling(monkeypatch):
    monkeypatch.setattr(gate, "_SETTLE_S", 0.2)


def test_more_connections_than_may_be_fail_the_migration_by_its_main_one(tmp_path, monkeypatch):
    """QEMU 7.2 dies if one of its channels is closed or refused while it still connects another."""
    monkeypatch.setattr(gate, "_SETTLE_S", 60.0)
    with Channels(tmp_path, max_channels=2) as pair:
        begun(pair)
        second, third = pair.connect(), pair.connect()
        assert pair.source.recv(10) == b""
        fourth = pair.connect()
        for connection in (second, third, fourth):
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
            connection.close()
    words = "more than 2 connections came; a migration has one, one for each of multifd-channels"
    assert isinstance(pair.sender.error, QemuError)
    assert words in str(pair.sender.error)
    assert words in str(pair.receiver.error)


@pytest.mark.usefixtures("short_settling")
def test_a_thousand_connections_end_as_one_too_many(tmp_path):
    with Channels(tmp_path) as pair:
        begun(pair)
        with contextlib.suppress(OSError):  # once it has ended nobody listens any more
            for _ in range(1000):
                pair.connect()
        pair.sender.join()
        for connection in pair.others:
            connection.close()
    assert "more than 17 connections came" in str(pair.sender.error)


def test_a_receiver_has_a_bound_of_its_own(tmp_path):
    with Channels(tmp_path, receive={"threads": 1, "max_channels": 2}) as pair:
        begun(pair)
        for number in range(2):
            pair.connect().sendall(channel_data(number, 0))
        assert pair.source.recv(10) == b""
        for connection in pair.others:
            connection.close()
    assert "a migration may have 2 channels here; give --max-channels to both halves" in str(pair.sender.error)


def test_a_second_migration_is_turned_away_and_the_first_goes_on(tmp_path):
    with Channels(tmp_path) as pair:
        main = begun(pair)
        second = pair.connect()
        second.sendall(sample_streams.small_stream(9)[:4000])
        with contextlib.suppress(ConnectionResetError):
            assert second.recv(1) == b""
        writer = written(pair.source, BARE[20:], [])
        assert read_all(main) == BARE[20:]
        main.close()
        writer.join(60)
    assert pair.sender.error is None
    line = "a further connection brings a second migration, of which one is carried; it was closed, and the migration goes on"
    assert line in pair.sender.said


@pytest.mark.parametrize(
    "begin", [sample_streams.header(), b"QCPR\0\0\0\1"], ids=["with its first bytes", "of mode cpr-transfer"]
)
def test_open_files_cannot_be_carried(tmp_path, begin):
    with Channels(tmp_path) as pair:
        files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))] if begin[:1] == b"Q" else []
        pair.source.sendmsg([begin], files)
        with contextlib.suppress(ConnectionResetError):
            assert pair.source.recv(1) == b""
        pair.sender.join()
        pair.receiver.join()
    assert isinstance(pair.sender.error, QemuError)
    assert "open files" in str(pair.sender.error)
    assert "migrate in mode normal" in str(pair.receiver.error)


def test_a_destination_that_takes_fewer_ends_it_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.migrator.destination._BESIDE_S", 0.1)
    with Channels(tmp_path) as pair:
        begun(pair)
        pair.destination_listener.close()
        (tmp_path / "d").unlink()
        pair.connect().sendall(channel_data(1, 0))
        assert pair.source.recv(10) == b""
        for connection in pair.others:
            connection.close()
    words = (
        "the destination QEMU takes no further connection of this migration; set multifd, multifd-channels and postcopy"
    )
    assert words in str(pair.receiver.error)
    assert words in str(pair.sender.error)


def test_a_destination_that_closes_another_channel_is_told_of_with_what_to_set():
    """QEMU 7.2 and 10.0, of fewer channels than the source has, take the connections and then die of them."""
    ours, qemu = socket.socketpair()
    with ours:
        qemu.close()
        destination = Mock(connect=lambda: ours)
        side = SideDelivery(destination, Delivery(destination))
        side.shut()  # as far as it waits for the main one
        with pytest.raises(QemuError, match="its log says why; multifd, multifd-channels and postcopy-preempt must be"):
            side.deliver(memoryview(b"page"))


@pytest.fixture
def joinable(tmp_path):
    """A receiver in mid-session: how to dial it, and the session's id."""
    with Channels(tmp_path) as pair:
        main = begun(pair)
        target = endpoint_for_halves(f"tcp:127.0.0.1:{pair.receiver.port}", "--to")
        yield pair, lambda: FrameLink(target.dial(20), Role.RECEIVER)
        written(pair.source, BARE[20:], []).join(60)
        assert read_all(main) == BARE[20:]
        main.close()
    assert (pair.sender.error, pair.receiver.error) == (None, None)


@pytest.mark.parametrize("told", ["", "0" * 16, "f" * 64])
def test_a_stranger_with_a_guessed_id_is_refused_and_the_migration_goes_on(joinable, told):
    pair, dial = joinable
    link = dial()
    link.send(Join(told, 1, urgent=False))
    with pytest.raises(PeerError, match="no migration here has that session"):
        next(link.messages())
    link.close()
    wait_until(lambda: "refused a connection: no migration here has that session" in pair.receiver.said, 60)


def test_a_second_sender_is_refused_meanwhile(joinable):
    _, dial = joinable
    link = dial()
    link.send(HELLO)
    with pytest.raises(PeerError, match="another sender is being served"):
        next(link.messages())
    link.close()


@pytest.fixture
def joined(monkeypatch):
    """The sender's links of channels besides the main one."""
    links: list[FrameLink] = []

    def join(*about, **how):
        links.append(greeting.join(*about, **how))
        return links[-1]

    monkeypatch.setattr(sender, "join", join)
    return links


@pytest.mark.parametrize("dies", ["link", "destination"])
def test_a_channel_that_dies_in_mid_migration_ends_it_at_both_ends(tmp_path, joined, dies):
    with Channels(tmp_path) as pair:
        main = begun(pair)
        side = pair.connect()
        side.sendall(channel_data(1, 3000))
        beside = pair.accept()
        assert channel_data(1, 3000).startswith(received(beside, 100))
        beside.close() if dies == "destination" else joined[0].close()
        with contextlib.suppress(OSError):  # until it is noticed
            while True:
                side.sendall(bytes(100_000))
        for end in (pair.source, main):
            with contextlib.suppress(ConnectionResetError):
                assert end.recv(10) == b""
    assert isinstance(pair.sender.error, PageferryError)
    assert isinstance(pair.receiver.error, PageferryError)
