"""The relay as a process: what goes in comes out, at the rate it was told, and ends and errors pass on."""

import contextlib
import random
import socket
import struct
import threading
import time

import pytest

from harness.migrator.link import RelayLink
from harness.migrator.relay import TokenBucket, buffer_bytes, chunk_bytes

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def through_relay(bandwidth=None, connections=1):
    """Connected pairs of sockets with a relay between: ``[(source, destination), ...]`` and the link."""
    with RelayLink(bandwidth) as link, socket.create_server(("127.0.0.1", 0)) as server:
        address = link.connect_address(server.getsockname()[1])
        with contextlib.ExitStack() as stack:
            pairs = []
            for _ in range(connections):
                near = stack.enter_context(socket.create_connection(address, timeout=10))
                far = stack.enter_context(server.accept()[0])
                far.settimeout(10)
                pairs.append((near, far))
            yield pairs, link


def read_all(sock):
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def send_and_end(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_bucket_keeps_the_rate_over_many_reservations():
    bucket, now_s = TokenBucket(1000.0, burst_s=0.0), 0.0
    for _ in range(50):
        now_s = bucket.reserve(10, now_s)
    assert now_s == pytest.approx(0.5)


def test_bucket_makes_up_for_late_wake_ups_but_not_for_idle_time():
    bucket = TokenBucket(1000.0, burst_s=0.004)
    bucket.reserve(10, 1.0)
    assert bucket.reserve(10, 1.012) == pytest.approx(1.018)  # 2 ms late: made up
    assert bucket.reserve(10, 9.0) == pytest.approx(9.006)  # 8 s idle: 4 ms of credit, no more


def test_unlimited_bucket_never_waits():
    assert TokenBucket(None).reserve(1 << 40, 3.0) == 3.0


@pytest.mark.parametrize("rate", [3_125_000, 12_500_000, 125_000_000])
def test_buffers_hold_at_most_a_few_milliseconds_of_the_link(rate):
    assert chunk_bytes(rate) <= max(4096, rate * 0.002)
    assert buffer_bytes(rate) <= max(16384, rate * 0.003)


@pytest.mark.parametrize("bandwidth", [None, 40_000_000], ids=["unlimited", "limited"])
def test_relay_hands_on_every_byte_both_ways_over_several_connections(bandwidth):
    rng = random.Random(7)
    there = [rng.randbytes(rng.randrange(1, 3_000_000)) for _ in range(3)]
    back = [rng.randbytes(rng.randrange(1, 300_000)) for _ in range(3)]
    with through_relay(bandwidth, 3) as (pairs, link):
        threads = []
        for (near, far), one, other in zip(pairs, there, back, strict=True):
            threads += [threading.Thread(target=send_and_end, args=(near, one))]
            threads += [threading.Thread(target=send_and_end, args=(far, other))]
        got = {}
        for index, (near, far) in enumerate(pairs):
            threads += [threading.Thread(target=lambda i=index, s=far: got.__setitem__(("there", i), read_all(s)))]
            threads += [threading.Thread(target=lambda i=index, s=near: got.__setitem__(("back", i), read_all(s)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        assert [got["there", i] for i in range(3)] == there
        assert [got["back", i] for i in range(3)] == back
        counters = link.counters()
    assert counters.forward_wire_bytes == sum(map(len, there))
    assert counters.return_wire_bytes == sum(map(len, back))


def test_connections_share_one_rate():
    size, rate = 1_000_000, 10_000_000
    with through_relay(rate, 3) as (pairs, _):
        began_s = time.monotonic()
        for near, _ in pairs:
            threading.Thread(target=send_and_end, args=(near, bytes(size)), daemon=True).start()
        readers = [threading.Thread(target=read_all, args=(far,)) for _, far in pairs]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout=20)
        took_s = time.monotonic() - began_s
    assert took_s >= 3 * size / rate - 0.01  # never faster; slower on a busy machine


def test_what_waits_in_the_relay_is_a_few_milliseconds_of_the_link():
    rate = 12_500_000
    with through_relay(rate) as (((near, far),), link):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.setblocking(False)
        sent, still = 0, 0
        while still < 30:  # until nothing has moved for 0.3 s: all buffers between are full
            try:
                sent += near.send(bytes(16384))
                still = 0
            except BlockingIOError:
                time.sleep(0.01)
                still += 1
        assert link.counters().forward_wire_bytes < sent
    assert sent / rate < 0.04  # both parties' own buffers included


def test_half_close_passes_on_and_the_other_direction_stays_open():
    with through_relay() as (((near, far),), _):
        send_and_end(near, b"question")
        assert read_all(far) == b"question"
        send_and_end(far, b"answer")
        assert read_all(near) == b"answer"


@pytest.mark.parametrize("side", ["source", "destination"])
def test_reset_passes_on(side):
    with through_relay() as (((near, far),), _):
        near.sendall(b"x")
        assert far.recv(1) == b"x"
        breaking, hearing = (near, far) if side == "source" else (far, near)
        breaking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        breaking.close()
        with pytest.raises(ConnectionResetError):
            hearing.recv(1)


def test_relay_reports_a_dead_destination_instead_of_hanging():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with RelayLink(None) as link:
        address = link.connect_address(port)
        with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=10) as near:
            near.recv(1)
        with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(address) as near:
            near.sendall(b"later")  # and it serves on
            with server.accept()[0] as far:
                assert far.recv(5) == b"later"
