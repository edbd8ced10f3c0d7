"""When a migration is done: at its stream's end, and with the destination's word. All else fails on both sides, and says why."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from queue import Queue

import pytest
import sample_streams
from frames import kind_of, raw, whole
from pairs import Pair, carry, received
from peers import SHUT, play_receiver, sender_to

from harness.errors import PageferryError, PeerError, QemuError, UserError
from harness.migrator import source as source_module
from harness.migrator.outcome import Outcome
from harness.migrator.source import Source
from harness.wire.batch import PageBatch
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import Ack, Done, Return, ReturnEnd

FAILED = struct.pack(">HHI", 1, 4, 1)
PONG = struct.pack(">HHI", 2, 4, 1)


def stream(*, return_path: bool, pages: int = 60) -> bytes:
    rng = random.Random(3)
    records = [sample_streams.raw_page(4096 * n, rng.randbytes(4096), None if n else "pc.ram") for n in range(pages)]
    return b"".join([
        sample_streams.header(), sample_streams.config(),
        sample_streams.command(sample_streams.OPEN_RETURN_PATH) if return_path else b"",
        sample_streams.start_ram([("pc.ram", 1 << 30)]), sample_streams.part(*records), sample_streams.end(),
        sample_streams.device_state(rng), sample_streams.eof(), sample_streams.vmdescription(),
    ])  # fmt: skip


CONFIRMED, BARE = stream(return_path=True), stream(return_path=False)
TAIL_BYTES = len(sample_streams.eof() + sample_streams.vmdescription())


def migrate_confirmed(pair: Pair) -> None:
    """As two QEMUs do that have return-path on: the source waits for the destination's word."""
    pair.source.sendall(CONFIRMED)
    assert received(pair.destination, len(CONFIRMED)) == CONFIRMED
    pair.destination.sendall(PONG + SHUT)
    pair.destination.close()
    assert received(pair.source, len(PONG + SHUT)) == PONG + SHUT
    pair.source.close()


def test_once_the_guest_stands_still_nothing_waits_for_more_to_go_with_it(monkeypatch):
    monkeypatch.setattr(source_module, "_LINGER_S", 3600.0)
    came: Queue[PageBatch] = Queue()
    ours, qemu = socket.socketpair()
    with ours, qemu:
        source = Source(ours, 1 << 20, unconfirmed=False)

        def read() -> None:
            for batch in source.batches(lambda: int(source.parser.ending)):
                came.put(batch)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        for part in (CONFIRMED[:-TAIL_BYTES], CONFIRMED[-TAIL_BYTES:]):
            qemu.sendall(part)
            got = b""
            while len(got) < len(part):
                got += came.get(timeout=120).raw
            assert got == part
        qemu.close()
        reader.join(120)


def test_a_migration_is_done_with_the_destinations_word(tmp_path):
    with Pair(tmp_path, without_return_path=False) as pair:
        migrate_confirmed(pair)
    assert pair.sender.result.outcome is Outcome.CONFIRMED
    assert pair.sender.result.return_path is True
    assert pair.receiver.result.confirmed is True


def test_a_source_that_dies_when_all_is_said_leaves_it_to_the_destination(tmp_path):
    with Pair(tmp_path, without_return_path=False) as pair:
        pair.source.sendall(CONFIRMED)
        pair.source.close()
        assert received(pair.destination, len(CONFIRMED)) == CONFIRMED
        pair.destination.sendall(SHUT)
        pair.destination.close()
        pair.sender.join()
        pair.receiver.join()
    assert pair.sender.result.outcome is Outcome.CONFIRMED
    assert pair.receiver.result.confirmed is True


def test_without_return_path_the_end_is_told_from_the_stream(tmp_path):
    with Pair(tmp_path, without_return_path=True) as pair:
        assert carry(pair, BARE, [20_000]) == BARE
    assert pair.sender.result.outcome is Outcome.WHOLE
    assert pair.receiver.result.confirmed is False


def test_a_stream_that_is_not_a_migrations_is_carried_and_not_called_whole(tmp_path):
    data = random.Random(1).randbytes(3000)
    with Pair(tmp_path, without_return_path=True) as pair:
        assert carry(pair, data, []) == data
    assert pair.sender.result.outcome is Outcome.CLOSED
    assert "cannot be told" in str(Outcome.CLOSED)


@pytest.mark.parametrize("return_path", [True, False], ids=["confirmed", "bare"])
@pytest.mark.parametrize("keep", [0.5, -200, -TAIL_BYTES - 1, -3], ids=["ram", "devices", "before-eof", "description"])
def test_a_stream_cut_anywhere_is_a_failed_migration_on_both_sides(tmp_path, return_path, keep):
    data = CONFIRMED if return_path else BARE
    torn = data[: int(len(data) * keep)] if keep > 0 else data[:keep]
    with Pair(tmp_path, without_return_path=not return_path) as pair:
        pair.source.sendall(torn)
        pair.source.close()
        assert data.startswith(pair.drain())
    assert isinstance(pair.sender.error, QemuError)
    assert f"before its end (cancelled or died), {len(torn)} bytes in" in str(pair.sender.error)
    assert isinstance(pair.receiver.error, PeerError)
    assert str(pair.sender.error) in str(pair.receiver.error)


def test_a_destination_that_answers_that_it_failed_is_believed(tmp_path):
    with Pair(tmp_path, without_return_path=False) as pair:
        pair.source.sendall(CONFIRMED)
        received(pair.destination, len(CONFIRMED))
        pair.destination.sendall(FAILED)
        pair.destination.close()
        with contextlib.suppress(OSError):
            while pair.source.recv(100):
                pass
        pair.source.close()
    for half in (pair.sender, pair.receiver):
        assert "could not load the stream" in str(half.error)


@pytest.mark.parametrize("data", [BARE, b"\x16\x03\x01" + bytes(500)], ids=["migration", "unfamiliar"])
def test_without_return_path_a_migration_fails_before_a_byte_of_it_is_delivered(tmp_path, data):
    with Pair(tmp_path, without_return_path=False) as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(data)
        assert pair.drain() == b""
        with contextlib.suppress(ConnectionResetError):
            assert pair.source.recv(10) == b""
    assert isinstance(pair.sender.error, UserError)
    assert "return-path on both" in str(pair.sender.error) or "migrate_set_capability return-path on" in str(
        pair.sender.error
    )
    assert "--without-return-path" in str(pair.receiver.error)


def test_a_source_that_is_refused_keeps_most_of_a_short_stream(tmp_path):
    data = stream(return_path=False, pages=150)
    with Pair(tmp_path, without_return_path=False, batch_bytes=4 << 20) as pair:
        pair.source.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            pair.source.sendall(data)  # it would take all of this for one batch
        assert pair.drain() == b""
    assert isinstance(pair.sender.error, UserError)


@pytest.mark.parametrize("return_path", [True, False], ids=["confirmed", "bare"])
def test_a_cancel_is_noticed_while_the_destination_takes_nothing(tmp_path, return_path):
    data = stream(return_path=return_path, pages=5000)
    with Pair(tmp_path, "none", without_return_path=not return_path, inflight_bytes=1 << 20) as pair:
        pair.source.settimeout(1)
        with contextlib.suppress(TimeoutError):
            pair.source.sendall(data)
        pair.source.close()
        pair.sender.join()
        pair.receiver.join()
    assert isinstance(pair.sender.error, QemuError)
    assert "cancelled or died" in str(pair.sender.error)
    assert "cancelled or died" in str(pair.receiver.error)


def test_a_source_that_is_done_waits_for_a_destination_that_is_slow(tmp_path):
    data = stream(return_path=False, pages=5000)
    with Pair(tmp_path, "none", inflight_bytes=1 << 20) as pair:
        pair.source.settimeout(None)
        assert carry(pair, data, []) == data
    assert pair.sender.error is None


def test_a_destination_that_closes_early_while_the_source_is_silent_is_noticed(tmp_path):
    with Pair(tmp_path, without_return_path=False) as pair:
        head = CONFIRMED[:100_000]
        pair.source.sendall(head)
        received(pair.destination, 90_000)
        pair.destination.close()
        pair.sender.join()
        pair.receiver.join()
    assert isinstance(pair.receiver.error, QemuError)
    assert "destination QEMU closed its connection" in str(pair.receiver.error)
    assert "destination QEMU closed its connection" in str(pair.sender.error)


def test_what_a_destination_says_before_it_read_anything_is_carried(tmp_path):
    with Pair(tmp_path, without_return_path=False) as pair:
        pair.source.sendall(CONFIRMED)
        pair.destination.sendall(PONG)
        assert received(pair.destination, len(CONFIRMED)) == CONFIRMED
        pair.destination.sendall(SHUT)
        pair.destination.close()
        assert received(pair.source, len(PONG + SHUT)) == PONG + SHUT
        pair.source.close()
    assert pair.sender.error is None
    assert pair.receiver.result.confirmed is True


@pytest.mark.parametrize("backend", ["zlib", "auto"])
def test_what_was_sent_before_the_migration_is_counted_apart(tmp_path, backend):
    with Pair(tmp_path, backend, without_return_path=False) as pair:
        migrate_confirmed(pair)
    result = pair.sender.result
    assert result.sent_bytes < 2 * len(CONFIRMED)
    assert result.sent_before_bytes > (60_000 if backend == "auto" else 100)


def with_confirmation(change):
    return lambda connection: play_receiver(connection, change, confirm_at=len(CONFIRMED))


def migrate(source: socket.socket, data: bytes = CONFIRMED) -> None:
    with contextlib.suppress(OSError):
        source.sendall(data)
        received(source, len(SHUT))
    source.close()


def test_a_receiver_that_keeps_the_rules_is_believed(tmp_path):
    with sender_to(tmp_path, with_confirmation(lambda frame: [frame])) as (sender, source):
        migrate(source)
    assert sender.error is None


@pytest.mark.parametrize(
    ("kind", "instead", "says"),
    [
        (Kind.ACK, [whole(Done({}))], "sent DONE in mid-stream; ACK or RETURN or RETURN_END was due"),
        (
            Kind.WELCOME,
            [whole(Return(b"x"))],
            "sent RETURN before the receiver's greeting; WELCOME or CHALLENGE or VERDICT was due",
        ),
        (Kind.RETURN_END, [whole(ReturnEnd(len(SHUT)))] * 2, "the receiver sent RETURN_END"),
        (Kind.ACK, [raw(Kind.BATCH)], "sent BATCH in mid-stream"),
        (Kind.ACK, [whole(Ack(1, 1 << 60, 0, 0, 0, 0, 0))], "where no batch that was sent ends"),
        (Kind.RETURN, [whole(Return(SHUT))[:-1] + b"x"], "damaged on the way"),
        (Kind.DONE, [], "before it confirmed the end"),
        (Kind.DONE, [whole(Done({"threads": 1}))], "the receiver's DONE: report: cpu_s: is missing"),
    ],
    ids=["done-early", "answer-early", "twice", "batch", "ack", "damaged", "no-done", "done-without-a-report"],
)
def test_a_receiver_that_breaks_the_rules_is_refused_in_a_line(tmp_path, kind, instead, says):
    change = with_confirmation(lambda frame: instead if kind_of(frame) is kind else [frame])
    with sender_to(tmp_path, change) as (sender, source):
        migrate(source)
    assert isinstance(sender.error, PageferryError)
    assert says in str(sender.error)


def test_the_end_is_not_confirmed_while_bytes_are_not_acknowledged(tmp_path):
    def change(frame: bytes) -> list[bytes]:
        return [] if kind_of(frame) is Kind.ACK else [frame]

    with sender_to(tmp_path, with_confirmation(change), inflight_bytes=64 << 20) as (sender, source):
        migrate(source)
    assert isinstance(sender.error, PeerError)
    assert "0 of " in str(sender.error)


def test_answers_that_the_source_does_not_read_end_the_migration_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "_ANSWER_S", 0.3)

    def flood(frame: bytes) -> list[bytes]:
        return [frame, *[whole(Return(bytes(60_000)))] * 50] if kind_of(frame) is Kind.ACK else [frame]

    with sender_to(tmp_path, with_confirmation(flood)) as (sender, source):
        source.sendall(CONFIRMED)
        sender.join()
    assert isinstance(sender.error, QemuError)
    assert "read none of its destination's answers" in str(sender.error)
