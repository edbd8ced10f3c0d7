"""How a migration begins: in any order of the four who take part, with one connection, and the destination's QEMU reached last."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest
import sample_streams
from frames import hello
from pairs import Half, Pair, carry, wait_until

from harness.errors import PeerError, UserError
from harness.experiment.recorder import record_stream
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.destination import Destination
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.migrator.transport.registry import endpoint_for_qemu

REFUSED = "multifd or postcopy-preempt: a recording has one connection; switch the capability off"
LOOPBACK = "tcp:127.0.0.1:0"


@contextmanager
def unheard_port():
    """One at which nobody listens, and which only a receiver can take, as it binds with SO_REUSEADDR too."""
    with socket.socket() as unused:
        unused.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def guest(path):
    """Stands for a QEMU that connects."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(120)
    connection.connect(str(path))
    return connection


def listening(path):
    """Stands for a QEMU with -incoming."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(120)
    return listener


def nobody_came(listener):
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    return True


@pytest.fixture
def sending(tmp_path):
    """A sender whose receiver is not there yet; it listens for QEMU already."""
    half = Half(waits_for="waiting")
    with unheard_port() as port:
        half.start(
            run_sender,
            SendConfig(f"unix:{tmp_path}/s", f"tcp:127.0.0.1:{port}", "zlib", without_return_path=True),
        )
        yield half, port


def receive(tmp_path, port=0, **more):
    config = ReceiveConfig(f"tcp:127.0.0.1:{port}", f"unix:{tmp_path}/d", **more)
    return Half(one_sender=True).start(run_receiver, config)


def test_the_source_may_come_before_the_receiver_and_the_destination_last(tmp_path, sending):
    data = sample_streams.small_stream(3, sections=4)
    sender, port = sending
    with guest(tmp_path / "s") as source:
        writer = threading.Thread(target=lambda: (source.sendall(data), source.shutdown(socket.SHUT_WR)))
        writer.start()
        receiver = receive(tmp_path, port)
        wait_until(lambda: len(receiver.said) > 1)
        assert receiver.said[1] == f"waiting up to 60 s for the destination QEMU to listen at unix:{tmp_path / 'd'}"
        with listening(tmp_path / "d") as listener:
            destination, _ = listener.accept()
            with destination:
                assert b"".join(iter(lambda: destination.recv(1 << 20), b"")) == data
        writer.join()
        assert sender.join().error is None
        assert receiver.join().error is None
    assert sender.said[0] == (
        f"waiting up to 60 s for `pageferry receive` at tcp:127.0.0.1:{port}; QEMU may connect meanwhile"
    )
    assert not (tmp_path / "s").exists()


def test_a_destination_that_never_listens_ends_it_at_both_ends(tmp_path):
    receiver = receive(tmp_path, wait_s=0.2)
    port = receiver.port
    sender = Half().start(
        run_sender,
        SendConfig(f"unix:{tmp_path}/s", f"tcp:127.0.0.1:{port}", "zlib", without_return_path=True),
    )
    with guest(tmp_path / "s") as source:
        source.sendall(sample_streams.small_stream()[:50_000])
        assert "No such file or directory; waited for 0.2 s; start the destination QEMU" in str(receiver.join().error)
        assert "start the destination QEMU" in str(sender.join().error)


def test_waiting_for_the_destination_ends_with_the_migration(tmp_path):
    destination = Destination(endpoint_for_qemu(f"unix:{tmp_path}/d", "--to"), 60.0)
    timer = threading.Timer(0.1, destination.close)
    timer.start()
    with pytest.raises(PeerError, match="the migration ended before"):
        destination.connect()
    timer.join()


@pytest.mark.parametrize("goes", ["closes", "resets"])
def test_a_connection_without_a_byte_is_no_migration(tmp_path, goes):
    data = sample_streams.small_stream()
    with Pair(tmp_path) as pair:
        stray = pair.source
        if goes == "resets":
            stray.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stray.close()
        wait_until(lambda: "a connection was closed before anything came; waiting on" in pair.sender.said)
        pair.source = guest(tmp_path / "s")
        assert carry(pair, data, []) == data
    assert pair.sender.error is None


def test_a_second_sender_at_one_address_is_refused_and_the_first_goes_on(tmp_path):
    data = sample_streams.small_stream()
    with Pair(tmp_path) as pair:
        with pytest.raises(UserError, match=r"--from unix:.*Address already in use"):
            run_sender(SendConfig(f"unix:{tmp_path}/s", LOOPBACK, "zlib"))
        assert carry(pair, data, []) == data
    assert pair.sender.error is None


@pytest.mark.parametrize(
    "run",
    [lambda address, _: run_sender(SendConfig(address, LOOPBACK, "zlib")), record_stream],
    ids=["send", "record"],
)
def test_a_qemu_that_waits_at_the_address_is_left_alone(tmp_path, run):
    with listening(tmp_path / "s") as incoming:
        address = f"unix:{tmp_path}/s"
        with pytest.raises(UserError, match=r"--from unix:.*Address already in use"):
            run(address, tmp_path / "x")
        assert nobody_came(incoming)
        assert (tmp_path / "s").is_socket()


def test_a_recording_refuses_a_second_connection(tmp_path):
    half = Half().start(lambda path, say: record_stream(f"unix:{path}", tmp_path / "x", say=say), tmp_path / "s")
    with guest(tmp_path / "s") as first, guest(tmp_path / "s") as second:
        assert first.recv(10) == b""
        second.close()
        assert REFUSED in str(half.join().error)
    assert list(tmp_path.iterdir()) == []


def test_a_sender_that_leaves_before_its_qemu_came_costs_nothing(tmp_path):
    data = sample_streams.small_stream()
    with listening(tmp_path / "d") as listener:
        receiver = Half().start(run_receiver, ReceiveConfig(LOOPBACK, f"unix:{tmp_path}/d"))
        with receiver.connect() as abandoned:
            abandoned.sendall(hello())
            assert abandoned.recv(1)
        wait_until(lambda: any(line.endswith("waiting for the next sender") for line in receiver.said))
        assert nobody_came(listener)
        listener.settimeout(120)
        listener.setblocking(True)
        to = f"tcp:127.0.0.1:{receiver.port}"
        sender = Half().start(run_sender, SendConfig(f"unix:{tmp_path}/s", to, "zlib", without_return_path=True))
        with guest(tmp_path / "s") as source:
            source.sendall(data)
            source.shutdown(socket.SHUT_WR)
            with listener.accept()[0] as destination:
                assert b"".join(iter(lambda: destination.recv(1 << 20), b"")) == data
        assert sender.join().error is None
        assert receiver.join().error is None


def test_answers_go_back_when_both_have_greeted_though_the_destination_speaks_first(tmp_path):
    data = sample_streams.small_stream()
    with Pair(tmp_path) as pair:
        pair.source.sendall(data[:1])
        pair.destination.sendall(b"first")
        assert pair.source.recv(10) == b"first"
        assert carry(pair, data[1:], []) == data
    assert pair.sender.error is None


def test_waiting_is_bounded_by_the_time_that_was_given(tmp_path):
    began_s = time.monotonic()
    with unheard_port() as port, pytest.raises(PeerError, match="Connection refused"):
        run_sender(SendConfig(f"unix:{tmp_path}/s", f"tcp:127.0.0.1:{port}", "zlib", wait_s=0.1))
    assert time.monotonic() - began_s < 100
