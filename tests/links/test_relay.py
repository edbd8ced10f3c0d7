"""The relay as a process: what goes in comes out, at the rate it was told, and ends and errors pass on."""

import contextlib
import fcntl
import random
import socket
import struct
import termios
import threading
import time

import pytest
from open_links import given

from harness.links.relay import RelayLink
from harness.links.relay_flows import Direction, Endpoint, SplicedFlow
from harness.links.shaping import Delay, buffer_bytes, chunk_bytes

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
LENGTHS = pytest.mark.parametrize("length", [{}, {"delay_s": 0.02, "jitter_s": 0.01}], ids=["near", "distant"])


@contextlib.contextmanager
def through_relay(bandwidth=None, connections=1, **length):
    """Connected pairs of sockets with a relay between: ``[(source, destination), ...]`` and the link."""
    with RelayLink(given(bandwidth, **length)) as link, socket.create_server(("127.0.0.1", 0)) as server:
        address = link.connect_address(server.getsockname()[1])
        with contextlib.ExitStack() as stack:
            pairs = []
            for _ in range(connections):
                near = stack.enter_context(socket.create_connection(address, timeout=120))
                far = stack.enter_context(server.accept()[0])
                far.settimeout(120)
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


@pytest.mark.parametrize("rate", [3_125_000, 12_500_000, 125_000_000])
def test_buffers_hold_at_most_a_few_milliseconds_of_the_link(rate):
    assert chunk_bytes(rate) <= max(4096, rate * 0.002)
    assert buffer_bytes(rate) <= max(16384, rate * 0.003)


@LENGTHS
@pytest.mark.parametrize("bandwidth", [None, 40_000_000], ids=["unlimited", "limited"])
def test_relay_hands_on_every_byte_both_ways_over_several_connections(bandwidth, length):
    rng = random.Random(7)
    there = [rng.randbytes(rng.randrange(1, 3_000_000)) for _ in range(3)]
    back = [rng.randbytes(rng.randrange(1, 300_000)) for _ in range(3)]
    with through_relay(bandwidth, 3, **length) as (pairs, link):
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
            thread.join(timeout=120)
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
            reader.join(timeout=120)
        took_s = time.monotonic() - began_s
    assert took_s >= 3 * size / rate - 0.01  # never faster; slower on a busy machine


@pytest.mark.parametrize("delay_s", [0.0, 0.1])
def test_what_waits_for_a_destination_that_stands_still_is_the_links_length_and_a_few_milliseconds(delay_s):
    rate = 12_500_000
    with through_relay(rate, delay_s=delay_s) as (((near, far),), link):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.setblocking(False)
        sent, still = 0, 0
        while still < 50 or sent / rate <= delay_s:  # until nothing has moved for 0.5 s: all buffers between are full
            try:
                sent += near.send(bytes(16384))
                still = 0
            except BlockingIOError:
                time.sleep(0.01)
                still += 1
        assert link.counters().forward_wire_bytes < sent
    assert delay_s < sent / rate < delay_s + 0.055  # both parties' own buffers included


def test_nothing_arrives_before_the_delay():
    delay_s = 0.1
    with through_relay(delay_s=delay_s) as (((near, far),), _):
        for source, destination in ((near, far), (far, near)):
            sent_s = time.monotonic()
            source.sendall(b"here")
            assert destination.recv(4) == b"here"
            assert time.monotonic() - sent_s >= delay_s
        sent_s = time.monotonic()
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b""
        assert time.monotonic() - sent_s >= delay_s


def test_a_connection_takes_a_round_trip_to_reach_the_destination():
    with RelayLink(given(delay_s=0.1)) as link, socket.create_server(("127.0.0.1", 0)) as server:
        began_s = time.monotonic()
        with socket.create_connection(link.connect_address(server.getsockname()[1]), timeout=120) as near:
            near.sendall(b"first")
            with server.accept()[0] as far:
                assert time.monotonic() - began_s >= 0.2
                assert far.recv(5) == b"first"
                assert time.monotonic() - began_s >= 0.3


def test_a_distant_link_is_as_fast_as_a_near_one():
    size, rate, delay_s = 2_000_000, 10_000_000, 0.2
    with through_relay(rate, delay_s=delay_s, jitter_s=0.01) as (((near, far),), _):
        began_s = time.monotonic()
        threading.Thread(target=send_and_end, args=(near, bytes(size)), daemon=True).start()
        assert len(read_all(far)) == size
        took_s = time.monotonic() - began_s
    assert took_s >= size / rate + delay_s - 0.01
    assert took_s < 30  # a chunk at a time would take 40 s


@LENGTHS
@pytest.mark.parametrize("rates", [(10_000, 50_000_000), (50_000_000, 1_000_000)], ids=["faster", "slower"])
def test_another_rate_holds_for_connections_that_stand(rates, length):
    data = random.Random(3).randbytes(1_000_000)
    with through_relay(rates[0], **length) as (((near, far),), link):
        near.sendall(b"first")
        assert far.recv(5, socket.MSG_WAITALL) == b"first"
        link.set_bandwidth(rates[1])
        began_s = time.monotonic()
        threading.Thread(target=send_and_end, args=(near, data), daemon=True).start()
        assert read_all(far) == data
        took_s = time.monotonic() - began_s
    assert took_s > len(data) / rates[1] - 0.01  # the bucket makes up for 4 ms
    assert took_s < 60  # at the slowest first rate 100 s


@LENGTHS
def test_half_close_passes_on_and_the_other_direction_stays_open(length):
    with through_relay(**length) as (((near, far),), _):
        send_and_end(near, b"question")
        assert read_all(far) == b"question"
        send_and_end(far, b"answer")
        assert read_all(near) == b"answer"


@LENGTHS
@pytest.mark.parametrize("side", ["source", "destination"])
def test_reset_passes_on(side, length):
    with through_relay(**length) as (((near, far),), _):
        near.sendall(b"x")
        assert far.recv(1) == b"x"
        breaking, hearing = (near, far) if side == "source" else (far, near)
        breaking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        broke_s = time.monotonic()
        breaking.close()
        with pytest.raises(ConnectionResetError):
            hearing.recv(1)
        assert time.monotonic() - broke_s >= length.get("delay_s", 0)


def test_a_party_that_only_sends_hears_of_a_reset_over_a_distance():
    with through_relay(delay_s=0.02) as (((near, far),), _):
        far.shutdown(socket.SHUT_WR)
        assert near.recv(1) == b""
        far.close()  # and what still comes is answered by a reset
        with pytest.raises(ConnectionError):
            near.sendall(bytes(1 << 30))


def test_relay_reports_a_dead_destination_instead_of_hanging():
    with socket.socket() as server, RelayLink(given()) as link:
        server.bind(("127.0.0.1", 0))  # and does not listen yet
        address = link.connect_address(server.getsockname()[1])
        with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=120) as near:
            near.recv(1)
        server.listen()
        with socket.create_connection(address) as near:
            near.sendall(b"later")  # and it serves on
            with server.accept()[0] as far:
                assert far.recv(5) == b"later"


def test_another_rate_holds_while_small_pieces_wait_for_the_destination():
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:
        near = stack.enter_context(socket.create_connection(server.getsockname()))
        source = stack.enter_context(server.accept()[0])
        ours, far = map(stack.enter_context, socket.socketpair())
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for end in (source, ours):
            end.setblocking(False)
        direction = Direction(125_000_000, Delay(0, 0, seed=0), memoryview(bytearray(8)).cast("Q"), 0, time.monotonic)
        ends = Endpoint(source, connected=True), Endpoint(ours, connected=True)
        flow = SplicedFlow(*ends, direction, lambda _: None)
        stack.callback(flow.close)
        for _ in range(32):  # each arrives before the next is sent, and so stays apart from it
            near.sendall(b"x" * 100)
            acknowledged(near)
        ends[0].readable = True
        flow.pump()
        direction.set_rate(1_000_000)
        flow.follow_rate()
        ends[1].writable = True
        came = b""
        while len(came) < 3200:
            ends[0].readable = True
            flow.pump()
            with contextlib.suppress(BlockingIOError):
                came += far.recv(3200, socket.MSG_DONTWAIT)
        assert came == b"x" * 3200


def acknowledged(sock):
    while struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(0.001)
