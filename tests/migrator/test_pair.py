"""Sender and receiver together, over real sockets: what leaves is what entered, and a failure anywhere reaches both ends."""

from __future__ import annotations

import contextlib
import random
import socket
import struct

import pytest
import sample_streams
from fake_qmp import FakeQmp
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Half, Pair, carry

from backends import registry
from harness.errors import MissingError, QemuError
from harness.migrator.choose.auto import candidates
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender

AVAILABLE = [status.name for status in registry.survey() if status.available and status.origin == "pageferry"]


@pytest.fixture(autouse=True, scope="module", params=["zlib", "zstd-long", "auto"])
def _each_way(request):
    """Whatever happens, happens with a codec, with one that keeps history, and with changing ones."""
    Pair.usual_backend = request.param
    yield
    Pair.usual_backend = "zlib"


@pytest.mark.parametrize("backend", [*AVAILABLE, "auto"])
def test_what_leaves_is_what_entered(tmp_path, backend, monkeypatch):
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", "cpu")
    data = sample_streams.small_stream(11, sections=12)
    with Pair(tmp_path, backend) as pair:
        assert carry(pair, data, [1, 7, 5000, 70_000]) == data
    assert pair.sender.error is None
    assert pair.receiver.error is None
    assert pair.sender.result.batches_digest == pair.receiver.result.batches_digest
    assert pair.sender.result.stream_bytes == pair.receiver.result.stream_bytes == len(data)
    assert pair.sender.result.opaque_reason is None


@pytest.mark.parametrize("backend", ["zstd-long", "auto"])
@pytest.mark.parametrize("threads", [1, 4])
def test_history_and_changing_choices_keep_every_byte(tmp_path, backend, threads):
    data = sample_streams.small_stream(5, sections=60) * 4
    with Pair(tmp_path, backend, threads=threads, batch_bytes=16 << 10, receive={"threads": 3}) as pair:
        assert carry(pair, data, [100_000]) == data
    assert pair.sender.error is None
    assert pair.sender.result.batches > 8
    if backend == "auto":
        policy = pair.sender.result.policy
        assert {decision.choice for decision in policy.decisions} <= set(map(str, candidates({})))
        assert sum(policy.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("dies", [False, True])
def test_a_source_that_is_steered_sends_the_same_bytes_whatever_becomes_of_its_qmp(tmp_path, dies):
    data = sample_streams.small_stream(11, sections=12)
    with FakeQmp(tmp_path / "q", {"downtime-limit": 300}) as qmp:
        with Pair(tmp_path, qmp=f"unix:{qmp.path}", downtime_s=0.5) as pair:
            assert qmp.parameters == {"downtime-limit": 500}
            if dies:
                qmp.die()
            assert carry(pair, data, [70_000]) == data
        assert qmp.parameters == {"downtime-limit": 300}
    assert pair.sender.error is None
    told = pair.sender.result.steering
    assert (told.wanted_downtime_s, told.owners, told.restored) == (0.5, {"downtime-limit": 300}, True)


def test_a_receiver_without_a_candidate_is_told_before_the_migration(tmp_path, monkeypatch):
    from harness.migrator import agreement  # noqa: PLC0415 - patched here alone

    real = agreement._opener

    def opener(name):
        if name == "lz4":
            raise MissingError("on the receiver: backend 'lz4' is not available: no lz4; install it")
        return real(name)

    monkeypatch.setattr(agreement, "_opener", opener)
    target = f"unix:{tmp_path}/d"
    receiving = Half().start(run_receiver, ReceiveConfig("tcp:127.0.0.1:0", target, threads=1))
    port = int(receiving.line.rpartition(":")[2])
    config = SendConfig(f"unix:{tmp_path}/s", f"tcp:127.0.0.1:{port}", "auto")
    sending = Half().start(run_sender, config)
    assert "on the receiver: backend 'lz4' is not available" in str(sending.join().error)
    assert sending.line == ""
    assert "refused a connection: on the receiver: backend 'lz4' is not available" in receiving.stop().said[1]


@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 300_000), max_size=6),
    batch_bytes=st.sampled_from([65536, 262144]),
    inflight_bytes=st.sampled_from([None, 1, 300_000]),
    junk=st.one_of(
        st.none(),
        st.binary(min_size=1, max_size=2000).filter(lambda junk: not junk.startswith((b"QEVM", b"\x08\x00\x0a"))),
    ),  # a QEMU's stream that is torn is refused
)
@settings(max_examples=15, deadline=None)
def test_any_stream_cut_anywhere_arrives_unchanged(  # noqa: PLR0917 - hypothesis names them
    tmp_path_factory, seed, cuts, batch_bytes, inflight_bytes, junk
):
    data = sample_streams.small_stream(seed, sections=4) if junk is None else junk
    with Pair(tmp_path_factory.mktemp("p"), "zlib", batch_bytes=batch_bytes, inflight_bytes=inflight_bytes) as pair:
        assert carry(pair, data, [cut % (len(data) + 1) for cut in cuts]) == data
    assert pair.sender.error is None
    assert pair.receiver.error is None


def test_incompressible_data_is_stored_and_costs_only_headers(tmp_path):
    data = random.Random(1).randbytes(3 << 20)
    with Pair(tmp_path, "zlib") as pair:
        assert carry(pair, data, []) == data
    result = pair.sender.result
    assert result.stored_batches == result.batches
    assert result.sent_bytes <= len(data) + 64 * (result.batches + 2) + 400


def test_the_return_path_is_carried_both_ways_while_the_stream_pauses(tmp_path):
    head = (
        sample_streams.header()
        + sample_streams.config()
        + sample_streams.command(sample_streams.OPEN_RETURN_PATH)
        + sample_streams.ping(7)
    )
    with Pair(tmp_path) as pair:
        pair.source.sendall(head)
        assert pair.destination.recv(1 << 16) == head
        pair.destination.sendall(b"PONG 7")
        assert pair.source.recv(100) == b"PONG 7"
        pair.source.sendall(sample_streams.start_ram([("pc.ram", 1 << 20)]))
        assert pair.destination.recv(1 << 16) == sample_streams.start_ram([("pc.ram", 1 << 20)])
        shut = struct.pack(">HHI", 1, 4, 0)
        pair.destination.sendall(shut)
        pair.destination.shutdown(socket.SHUT_WR)
        assert pair.source.recv(100) + pair.source.recv(100) == shut
        pair.source.close()
        assert pair.drain() == b""


def test_a_half_written_record_is_not_held_back_for_ever(tmp_path):
    head = sample_streams.header() + sample_streams.config() + sample_streams.start_ram([("pc.ram", 1 << 20)])
    rest = (
        sample_streams.part(sample_streams.raw_page(0, bytes(4096), "pc.ram"))
        + sample_streams.end()
        + sample_streams.eof()
    )
    torn, rest = head + rest[:7], rest[7:]
    with Pair(tmp_path) as pair:
        pair.source.sendall(torn)
        got = b""
        while len(got) < len(torn):
            got += pair.destination.recv(1 << 16)
        assert got == torn
        assert carry(pair, rest, []) == rest
    assert "stalled inside a record" in pair.sender.result.opaque_reason


def test_bytes_in_flight_stay_within_the_window_when_the_destination_stands_still(tmp_path):
    data = random.Random(2).randbytes(40 << 20)
    with Pair(tmp_path, "none", inflight_bytes=2 << 20) as pair:
        pair.source.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                sent += pair.source.send(data[sent : sent + 65536])
        # The window, one batch in the reader's hands, and the kernel's buffers of two unix sockets.
        assert sent < (2 << 20) + (1 << 20) + (2 << 20)


def test_a_destination_that_dies_stops_the_source(tmp_path):
    with Pair(tmp_path) as pair:
        pair.source.sendall(b"x")
        pair.destination.close()
        noise = random.Random(1).randbytes(65536)
        with contextlib.suppress(ConnectionError):  # of a source that is told
            while True:
                pair.source.sendall(noise)
    assert isinstance(pair.receiver.error, QemuError)
    assert "destination QEMU closed its connection at byte" in str(pair.receiver.error)
    assert "destination QEMU closed its connection" in str(pair.sender.error)
