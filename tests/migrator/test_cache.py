"""A pair with a cache: what leaves is what entered, also where memory is short, becomes short, or the other end lies."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import zlib

import pytest
import sample_streams
from pairs import Half, Pair, carry

from backends import registry
from backends.api import Backend, BackendInfo
from harness.errors import CodecError, FrameError, PeerError, UserError
from harness.hosts import limits
from harness.migrator.address import Address
from harness.migrator.carry import cache
from harness.migrator.carry.ack import AckLook
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.migrator.sender import SendConfig, run_sender
from harness.wire.frame import Header, Kind, Layout, control, digest, encode

GIB = 1 << 30


@pytest.fixture(autouse=True)
def available(monkeypatch):
    """The memory available to both ends, as the test says."""
    answer = {"bytes": 8 * GIB}
    monkeypatch.setattr(limits, "available_bytes", lambda: answer["bytes"])
    monkeypatch.setattr(cache, "_LOOK_S", 0.0)
    return answer


@pytest.mark.parametrize("backend", ["zlib", "auto"])
@pytest.mark.parametrize("cache_bytes", [20 * 4096, 16 << 20])
def test_a_stream_arrives_as_it_entered_and_smaller(tmp_path, backend, cache_bytes):
    data = sample_streams.rewritten_stream(random.Random(3), 120, 4, 64)
    options = {"candidates": "zlib:1"} if backend == "auto" else {}
    with Pair(tmp_path, backend, batch_bytes=65536, cache_bytes=cache_bytes, options=options) as pair:
        assert carry(pair, data, [5, 70_000, 300_001]) == data
    sent = pair.sender.result
    assert sent["cache_bytes"] == cache_bytes == pair.receiver.result["cache_bytes"]
    assert sent["cache_reason"] is None
    if backend == "zlib" and cache_bytes > len(data) // 4:
        assert sent["cache_pages"] == sent["raw_pages"]
        assert sent["cache_hit_rate"] > 0.4
        assert sent["sent_bytes"] < 0.8 * len(data)


def test_a_cache_larger_than_memory_allows_is_cut_and_said(tmp_path, available):
    available["bytes"] = 512 << 20
    data = sample_streams.small_stream(5)
    with Pair(tmp_path, "zlib", cache_bytes=64 * GIB) as pair:
        assert carry(pair, data, []) == data
    assert pair.sender.result["cache_bytes"] == 128 << 20
    assert pair.sender.result["cache_reason"] == (
        "cache of 128 MiB instead of 64 GiB: each end gives at most a quarter of its available memory"
    )


@pytest.mark.parametrize("who", ["the sender", "the receiver"])
def test_a_cache_is_dropped_where_memory_becomes_short_and_the_migration_goes_on(tmp_path, monkeypatch, who):
    looks = 0

    def is_short(watch):
        nonlocal looks
        looks += watch is watched[0]
        return watch is watched[0] and looks > 5

    side = cache.SenderSide if who == "the sender" else cache.ReceiverSide
    watched = []
    make = side.__init__

    def spied(self, *arguments):
        make(self, *arguments)
        watched.append(self._watch)

    monkeypatch.setattr(side, "__init__", spied)
    monkeypatch.setattr(cache._Watch, "is_short", lambda self: bool(watched) and is_short(self))
    data = sample_streams.rewritten_stream(random.Random(3), 120, 8, 64)
    with Pair(tmp_path, "zlib", batch_bytes=16384, inflight_bytes=32768, cache_bytes=16 << 20) as pair:
        assert carry(pair, data, []) == data
    sent = pair.sender.result
    assert sent["cache_drops"] == 1
    assert sent["cache_reason"].endswith(f"memory became short at {who}")
    assert 0 < sent["cache_pages"] < sent["raw_pages"]


def test_a_cache_that_cannot_be_had_is_dropped(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(cache, "SenderCache", refuse)
    data = sample_streams.small_stream(5)
    with Pair(tmp_path, "zlib", cache_bytes=1 << 20) as pair:
        assert carry(pair, data, []) == data
    assert pair.sender.result["cache_drops"] == 1


@pytest.mark.parametrize("backend", ["none", "zstd-long"])
def test_a_backend_that_cannot_use_a_cache_is_the_users_error(tmp_path, backend):
    config = SendConfig(
        Address(path=str(tmp_path / "s")), Address(host="127.0.0.1", port=1), backend, cache_bytes=1 << 20
    )
    with pytest.raises(UserError, match="cannot use a cache"):
        run_sender(config)


class _Wrong(Backend):
    """Restores one bit wrongly, in the last batches only."""

    info = BackendInfo("planted")
    calls = 0

    @classmethod
    def probe(cls) -> str:
        return "1"

    def compress(self, data):
        return zlib.compress(data, 1)

    def decompress(self, data, raw_bytes):
        raw = bytearray(zlib.decompress(data))
        type(self).calls += 1
        raw[-1] ^= self.calls > 10
        return bytes(raw)


def test_a_codec_that_restores_wrongly_is_found_before_a_byte_of_it_arrives(tmp_path, monkeypatch):
    load, create, names = registry.load, registry.create, registry.names()
    monkeypatch.setattr(registry, "names", lambda: (*names, "planted"))
    monkeypatch.setattr(registry, "load", lambda name: _Wrong if name == "planted" else load(name))
    monkeypatch.setattr(
        registry, "create", lambda n, lv=None, **o: _Wrong(lv) if n == "planted" else create(n, lv, **o)
    )
    data = sample_streams.rewritten_stream(random.Random(3), 60, 6, 64)
    with Pair(tmp_path, "planted", batch_bytes=16384, cache_bytes=1 << 20) as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(data)
        received = pair.drain()
        assert data.startswith(received)
        assert len(received) < len(data)
    assert isinstance(pair.receiver.error, CodecError)
    assert "restored" in str(pair.sender.error)


def test_shortage_is_told_with_one_more_byte_that_an_older_sender_never_meets():
    plain = AckLook(0.5, 1.0, 2.0, 77)
    assert AckLook.decode(plain.encode()) == plain
    short = AckLook(0.5, 1.0, 2.0, 77, memory_is_short=True)
    assert AckLook.decode(short.encode()) == short
    assert len(short.encode()) == len(plain.encode()) + 1


def _relative_frame(plan: bytes, body: bytes, raw: bytes, sequence: int = 0) -> bytes:
    header = Header(
        Kind.BATCH, sequence, 0, Layout.RELATIVE, 12, len(raw), len(plan) + len(body), len(plan), 1,
        digest(raw), digest(plan) ^ digest(body),
    )  # fmt: skip
    return encode(header) + plan + body


_ONE_PAGE = b"\0\1\0\0\0\x08\0\0\0\1\0\0\0"


@pytest.mark.parametrize(
    ("cache_bytes", "frames", "error"),
    [
        (0, _relative_frame(_ONE_PAGE, bytes(4104), bytes(4104)), "not agreed on"),
        (1 << 20, control(Kind.DROP) + _relative_frame(_ONE_PAGE, bytes(4104), bytes(4104)), "was dropped"),
        (1 << 20, _relative_frame(_ONE_PAGE + b"\2\xff\xff\0\0", bytes(4104), bytes(4104)), "slot 65535 of 256"),
        (1 << 20, _relative_frame(_ONE_PAGE + b"\1", bytes(4104), b"x" * 4104), "not the 4104 that were compressed"),
        (1 << 20, _relative_frame(_ONE_PAGE, bytes(4104), b"x" * 4104), "not the 4104 that were compressed"),
        (1 << 20, _relative_frame(_ONE_PAGE, bytes(4000), bytes(4104)), "restored 4000 bytes"),
        (1 << 20, _relative_frame(b"", bytes(4104), bytes(4104)), "page plan of 0 bytes"),
    ],
    ids=["no-cache", "dropped", "slot", "content", "plain-content", "size", "no-plan"],
)
def test_a_hostile_batch_stops_the_receiver_before_a_byte_reaches_the_guest(tmp_path, cache_bytes, frames, error):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d"))
        listener.listen(1)
        config = ReceiveConfig(
            Address(host="127.0.0.1", port=0), Address(path=str(tmp_path / "d")), threads=1, timeout_s=15
        )
        half = Half(one_sender=True).start(run_receiver, config)
        greeting = {"protocol": 1, "codecs": ["none", "zlib"], "session": "x", "cache_bytes": cache_bytes}
        with socket.create_connection(("127.0.0.1", int(half.line.rpartition(":")[2]))) as peer:
            peer.sendall(control(Kind.HELLO, json.dumps(greeting).encode()))
            peer.sendall(frames)
            half.join()
    assert isinstance(half.error, (FrameError, CodecError, PeerError))
    assert error in str(half.error)
