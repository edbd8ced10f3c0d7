"""A migration of several connections: what goes in on each comes out on one, the main one first, in any order and with any cuts."""

from __future__ import annotations

import random
import tempfile
import threading
from pathlib import Path
from unittest.mock import patch

import pytest
from channel_rig import BARE, NAME_BYTES, Channels, arrived, channel_data, read_all, written
from hypothesis import given, settings
from hypothesis import strategies as st
from migrator.test_end import CONFIRMED, PONG
from pairs import received
from peers import SHUT

from harness.migrator import gate
from harness.migrator.outcome import Outcome


def carried(pair: Channels, main: bytes, others: list[bytes], cuts: list[int], seed: int) -> None:
    """Through the pair, and checked at its other end. As QEMU's, the main stream does not end before all connections stand."""
    noise, all_made = random.Random(seed), threading.Event()
    streams = [(pair.source, main), *((pair.connect(), data) for data in others)]
    noise.shuffle(streams)
    writers = [
        written(connection, data, [cut % (len(data) + 1) for cut in cuts], all_made if data is main else None)
        for connection, data in streams
    ]
    came = arrived(pair, 1 + len(others), all_made)
    for writer in writers:
        writer.join(60)
    assert came[0] == main
    assert sorted(came[1:]) == sorted(others)
    pair.sender.join()
    pair.receiver.join()
    assert (pair.sender.error, pair.receiver.error) == (None, None)


@settings(max_examples=8, deadline=None)
@given(
    backend=st.sampled_from(["zlib", "none", "zstd-long"]),
    sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=4),
    seed=st.integers(0, 1 << 16),
)
def test_any_channels_cut_anywhere_arrive_unchanged(backend, sizes, cuts, seed):
    others = [channel_data(number, size, seed) for number, size in enumerate(sizes)]
    with (
        patch.object(gate, "_SILENT_S", 60.0),  # none is silent, and a busy machine's may be late
        tempfile.TemporaryDirectory() as folder,
        Channels(Path(folder), backend, batch_bytes=32 << 10) as pair,
    ):
        carried(pair, BARE, others, cuts, seed)
    sent, took = pair.sender.result, pair.receiver.result
    warned = [line for line in pair.sender.said if "each has a history of its own: it takes up to 128 MiB" in line]
    assert len(warned) == (backend == "zstd-long")
    assert [channel.kind for channel in sent.channels] == ["main", *["multifd"] * len(others)]
    assert sorted(channel.stream_bytes for channel in sent.channels[1:]) == sorted(map(len, others))
    assert sent.stream_bytes == took.stream_bytes == len(BARE) + sum(map(len, others))
    assert sent.sent_bytes == sum(channel.sent_bytes for channel in sent.channels)
    assert sent.batches_digest == took.batches_digest
    assert took.channels == 1 + len(others)


def test_the_main_connection_is_told_by_its_first_bytes_and_reaches_the_destination_first(tmp_path):
    main, others = BARE, [channel_data(number, 20_000) for number in range(3)]
    with Channels(tmp_path) as pair:
        pair.source.sendall(others[0])  # which was first to connect
        late = [pair.connect() for _ in range(3)]
        for connection, data in zip(late, [others[1], others[2], main], strict=True):
            connection.sendall(data)
        for connection in (pair.source, *late):
            connection.shutdown(1)
        came = arrived(pair, 4)
    assert came[0] == main
    assert sorted(came[1:]) == sorted(others)
    assert pair.sender.error is None


def test_a_channel_may_be_opened_late_and_say_nothing_before_it_is_needed(tmp_path):
    """As postcopy-preempt does."""
    with Channels(tmp_path) as pair:
        pair.source.sendall(BARE[:50_000])
        main = pair.accept()
        assert received(main, 50_000) == BARE[:50_000]
        quiet = pair.connect()
        beside = pair.accept()
        quiet.sendall(b"page")
        assert received(beside, 4) == b"page"
        beside.sendall(b"answer")
        assert received(quiet, 6) == b"answer"
        pair.source.sendall(BARE[50_000:])
        for connection in (quiet, pair.source):
            connection.shutdown(1)
        assert read_all(beside) == b""
        assert received(main, len(BARE) - 50_000) == BARE[50_000:]
        assert read_all(main) == b""
        main.close()
    assert pair.sender.error is None
    assert [channel.kind for channel in pair.sender.result.channels] == ["main", "other"]


@pytest.mark.parametrize("first", ["the source", "the destination"])
def test_either_end_may_close_a_channel_by_half(tmp_path, first):
    with Channels(tmp_path) as pair:
        pair.source.sendall(BARE[:50_000])
        main = pair.accept()
        side = pair.connect()
        side.sendall(channel_data(1, 0))
        beside = pair.accept()
        assert received(beside, NAME_BYTES) == channel_data(1, 0)
        here, there = (side, beside) if first == "the source" else (beside, side)
        here.shutdown(1)
        assert read_all(there) == b""
        there.sendall(b"still")
        assert received(here, 5) == b"still"
        for connection in (side, beside, pair.source):
            connection.close() if connection is not pair.source else None
        pair.source.sendall(BARE[50_000:])
        pair.source.shutdown(1)
        assert received(main, len(BARE)) == BARE
        main.close()
    assert pair.sender.error is None


def test_once_the_destination_has_all_nobody_waits_for_channels_that_stay_open(tmp_path):
    stream = CONFIRMED
    with Channels(tmp_path, without_return_path=False) as pair:
        pair.source.sendall(stream)
        main = pair.accept()
        assert received(main, len(stream)) == stream
        quiet, side = pair.connect(), pair.connect()
        side.sendall(channel_data(1, 3000))
        beside = [pair.accept() for _ in range(2)]
        main.sendall(PONG + SHUT)
        for connection in (main, *beside):
            connection.close()
        assert received(pair.source, len(PONG + SHUT)) == PONG + SHUT
        pair.source.close()
        pair.sender.join()
        assert quiet.fileno() >= 0
        assert side.fileno() >= 0
    assert pair.sender.result.outcome is Outcome.CONFIRMED
    assert pair.receiver.error is None


def test_every_link_is_encrypted_and_shows_the_token_and_auto_chooses_for_all(tmp_path, lab_folder):
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    safe = {"tls": str(lab_folder), "tls_peer": "localhost", "token_file": str(secret)}
    others = [channel_data(number, 200_000) for number in range(3)]
    with Channels(tmp_path, "auto", receive={"threads": 2, **safe}, batch_bytes=32 << 10, **safe) as pair:
        carried(pair, BARE, others, [5, 4000], 1)
    assert sum(pair.sender.result.policy.shares.values()) == pytest.approx(1)
