"""What sender and receiver rely on, of each kind of transport alike."""

from __future__ import annotations

import ast
import select
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import wait_until

import harness.migrator
from harness.migrator.transport.contract import Listener, Tls, Transport
from harness.migrator.transport.memory import memory_pair
from harness.migrator.transport.registry import endpoint_for_halves

Ends = tuple[Transport, Transport]
MUCH = bytes(16 << 20)
"""More than any of them holds on the way."""


@pytest.fixture(params=["tcp", "unix", "memory", "tcp in TLS", "unix in TLS", "memory in TLS"])
def tls(request, lab_folder) -> Tls | None:
    return Tls(lab_folder, "localhost") if "TLS" in request.param else None


@pytest.fixture
def listener(request, tmp_path, tls) -> Iterator[Listener]:
    scheme = request.node.callspec.params["tls"].partition(" ")[0]
    text = {"tcp": "tcp:127.0.0.1:0", "unix": f"unix:{tmp_path}/s", "memory": "memory:here"}[scheme]
    with endpoint_for_halves(text, "--listen", tls=tls).listen() as found:
        yield found


@contextmanager
def dialling(listener: Listener, tls: Tls | None) -> Iterator[Future[Transport]]:
    """In a thread of its own: it may wait for the other end."""
    with ThreadPoolExecutor(1) as pool:
        dialled = pool.submit(endpoint_for_halves(listener.address, "--to", tls=tls).dial, 20)
        yield dialled
    dialled.result().close()


@pytest.fixture
def ends(listener, tls) -> Iterator[Ends]:
    with dialling(listener, tls) as dialled:
        assert is_readable(listener, 20)
        with closing(accepted := listener.accept()):
            assert accepted.open(20)
            yield dialled.result(), accepted


def is_readable(end: Transport | Listener, timeout_s: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(end.fileno(), select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def received(end: Transport, count: int) -> bytes:
    data = b""
    room = memoryview(bytearray(1 << 20))
    while len(data) < count and (came := end.recv_into(room[: count - len(data)])):
        data += room[:came]
    return data


@given(st.lists(st.lists(st.binary(max_size=300), max_size=5), max_size=5), st.integers(1, 1000))
@settings(deadline=None)
def test_what_goes_in_comes_out_however_it_is_cut(sends, piece):
    left, right = memory_pair()
    with closing(left), closing(right):
        whole = b"".join(part for parts in sends for part in parts)
        assert sum(left.send_parts(parts) for parts in sends) == len(whole)
        left.close()
        out, room = b"", memoryview(bytearray(piece))
        while count := right.recv_into(room):
            out += room[:count]
        assert out == whole


def test_both_directions_carry_more_than_fits_at_once(ends):
    def send(end: Transport) -> None:
        assert end.send_parts([b"head", memoryview(MUCH), b"", b"tail"]) == len(MUCH) + 8

    threads = [threading.Thread(target=send, args=(end,), daemon=True) for end in ends]
    readers = [threading.Thread(target=lambda end=end: heard.append(received(end, len(MUCH) + 8))) for end in ends]
    heard: list[bytes] = []
    for thread in threads + readers:
        thread.start()
    for thread in threads + readers:
        thread.join(60)
    assert heard == [b"head" + MUCH + b"tail"] * 2


def test_who_sends_waits_for_who_receives_and_says_so_in_time(ends):
    with pytest.raises(TimeoutError):
        ends[0].send_parts([MUCH], 0.01)
    assert is_readable(ends[1])


def test_nothing_in_time_is_none_and_not_the_end(ends):
    room = memoryview(bytearray(10))
    assert [ends[0].recv_into(room, 0.0), ends[0].recv_into(room, 0.01)] == [None, None]
    ends[1].send_parts([b"abc"])
    assert is_readable(ends[0], 5)
    assert ends[0].recv_into(room, 0.0) == 3


def test_the_peers_end_is_readable_known_and_comes_behind_what_it_sent(ends):
    assert not ends[0].has_hung_up()
    assert not is_readable(ends[0])
    ends[1].send_parts([b"last"])
    ends[1].close()
    assert is_readable(ends[0], 5)
    wait_until(ends[0].has_hung_up)
    assert received(ends[0], 100) == b"last"
    assert ends[0].recv_into(memoryview(bytearray(1))) == 0
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        ends[0].send_parts([MUCH])


@pytest.mark.parametrize("wakes", [0, 1], ids=["ours", "the peer's"])
@pytest.mark.parametrize("waits", ["receiving", "sending"])
def test_closing_wakes_whoever_waits(ends, waits, wakes):
    ended = threading.Event()

    def wait() -> None:
        with suppress(OSError):
            ends[0].send_parts([MUCH]) if waits == "sending" else ends[0].recv_into(memoryview(bytearray(1)))
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not ended.wait(0.05)
    ends[wakes].close()
    assert ended.wait(120)


def test_a_closed_link_says_so_and_bears_a_second_close(ends):
    for _ in range(2):
        ends[0].close()
    assert ends[0].has_hung_up()
    assert ends[0].unsent_bytes() in {None, 0}
    assert ends[0].path() is None
    with pytest.raises(OSError, match=r"descriptor|pipe"):
        ends[0].send_parts([b"x"])


def test_a_listener_knows_who_waits_and_refuses_when_it_is_closed(listener, tls):
    assert listener.accept() is None
    assert not is_readable(listener)
    with dialling(listener, tls):
        assert is_readable(listener, 20)
        with closing(accepted := listener.accept()):
            assert accepted.open(20)
    for _ in range(2):
        listener.close()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        endpoint_for_halves(listener.address, "--to", tls=tls).dial(5)


def test_what_came_and_poll_does_not_show_is_told(ends):
    ends[1].send_parts([b"abcdef"])
    room, came = memoryview(bytearray(1)), b""
    while len(came) < 6:
        assert ends[0].holds_some() or is_readable(ends[0], 20)
        came += room[:count] if (count := ends[0].recv_into(room, 0.0)) else b""
    assert came == b"abcdef"
    assert not ends[0].holds_some()


def test_only_what_talks_to_qemu_opens_sockets_outside_the_transports():
    folder = Path(harness.migrator.__file__).parent
    found = set()
    for path in folder.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        if names & {"socket", "fcntl", "termios", "ssl"} and path.parent.name != "transport":
            found.add(path.name)
    to_qemu = {"gate.py", "source.py", "entrance.py", "destination.py", "delivery.py"}
    assert found == to_qemu | {"forwarder.py", "others.py", "sender.py"}
