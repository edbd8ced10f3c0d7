"""A codec that lies, fails or is lost: nothing wrong is ever delivered, and what a device loses another compresses."""

from __future__ import annotations

import contextlib
import random
import re
import zlib

import pytest
import sample_streams
from pairs import Pair, carry

from backends import registry
from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable
from harness.errors import CodecError, MissingError, PageferryError, PeerError
from harness.migrator.carry import codec
from harness.migrator.config import SendConfig
from harness.migrator.sender import run_sender


class _Planted(Backend):
    info = BackendInfo("planted")
    wrong = 0

    @classmethod
    def probe(cls) -> str:
        return "1"

    def compress(self, data):
        return bytes(data)[:-9]

    def decompress(self, data, raw_bytes):
        return bytes(data) + bytes(9 - self.wrong)


class _Paged(_Planted):
    """Stands for a device with page-sized blocks: takes whole pages only, but for opaque bytes."""

    info = BackendInfo("planted", wants_pages=True)
    page_batches = 0

    def compress(self, data):
        if len(data) % 4096 == 0:
            type(self).page_batches += 1
        return zlib.compress(data, 1)

    def decompress(self, data, raw_bytes):
        return zlib.decompress(data)


class _Short(_Planted):
    wrong = 1


class _Raises(_Planted):
    def decompress(self, data, raw_bytes):
        raise BackendError("planted: the device is gone")


class _RaisesCompressing(_Planted):
    def compress(self, data):
        raise BackendError("planted: the device is gone")


class _Crashes(_Planted):
    def decompress(self, data, raw_bytes):
        raise ZeroDivisionError("planted bug")


@pytest.fixture
def plant(monkeypatch):
    def install(cls):
        load, create, names = registry.load, registry.create, registry.names()
        monkeypatch.setattr(registry, "names", lambda: (*names, "planted"))
        monkeypatch.setattr(registry, "load", lambda name: cls if name == "planted" else load(name))
        monkeypatch.setattr(
            registry, "create", lambda n, level=None, **o: cls(level) if n == "planted" else create(n, level, **o)
        )

    return install


def test_a_backend_that_wants_pages_gets_them_without_the_words_between(tmp_path, plant):
    plant(_Paged)
    data = sample_streams.small_stream(5, sections=20)
    with Pair(tmp_path, "planted", batch_bytes=65536) as pair:
        assert carry(pair, data, [70_000, 300_000]) == data
    assert _Paged.page_batches >= 2
    assert pair.sender.result.stored_batches < pair.sender.result.batches


@pytest.mark.parametrize(
    ("cls", "sender_says", "receiver_error"),
    [
        (_Planted, "restored .* bytes that are not the", CodecError),
        (_Short, "restored|batch", PageferryError),
        (_Raises, "the device is gone", CodecError),
        (_Crashes, "planted bug", ZeroDivisionError),
        (_RaisesCompressing, "the device is gone", PeerError),
    ],
)
def test_a_codec_that_fails_or_lies_stops_both_and_nothing_wrong_is_delivered(
    tmp_path, plant, cls, sender_says, receiver_error
):
    plant(cls)
    data = sample_streams.small_stream(5, sections=8)
    with Pair(tmp_path, "planted") as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(data)
        received = pair.drain()
        assert data.startswith(received)
        assert len(received) < len(data)
        with contextlib.suppress(ConnectionResetError):
            assert pair.source.recv(100) == b""
    assert isinstance(pair.sender.error, PageferryError)
    assert isinstance(pair.receiver.error, receiver_error)

    assert re.search(sender_says, str(pair.sender.error))


def test_without_the_digest_check_a_lying_codec_would_get_through(tmp_path, plant, monkeypatch):
    """The check above is what holds: with it off, wrong bytes do arrive."""
    plant(_Planted)
    monkeypatch.setattr(codec, "check_restored", lambda *_: None)
    data = sample_streams.small_stream(5, sections=8)
    with Pair(tmp_path, "planted") as pair:
        received = carry(pair, data, [])
    assert len(received) == len(data)
    assert received != data


class _Device(Backend):
    """Stands for a device that fails at every third batch, or from the start."""

    info = BackendInfo("planted", device="card")
    always = False
    calls = 0

    @classmethod
    def probe(cls) -> str:
        return "1"

    def compress(self, data):
        type(self).calls += 1
        if self.always or self.calls % 3 == 0:
            raise BackendError("backend 'planted': no answer within 150 ms")
        return zlib.compress(data, 1)

    def decompress(self, data, raw_bytes):
        return zlib.decompress(data)


class _DeadDevice(_Device):
    always = True


@pytest.mark.parametrize(("cls", "at_least"), [(_Device, 1), (_DeadDevice, 5)])
def test_batches_that_a_device_loses_are_compressed_by_the_fallback_and_counted(tmp_path, plant, cls, at_least):
    cls.calls = 0
    plant(cls)
    data = random.Random(3).randbytes(100_000) * 10
    with Pair(tmp_path, "planted", batch_bytes=64 << 10, fallback="zlib:1") as pair:
        assert carry(pair, data, []) == data
        pair.sender.join()
    sent = pair.sender.result
    assert sent.fallback == "zlib:1"
    assert at_least <= sent.fallbacks == (cls.calls if cls.always else cls.calls // 3)
    assert sent.fallback_bytes <= len(data)
    assert sent.fallback_reason == "backend 'planted': no answer within 150 ms"


def test_where_fallback_is_forbidden_a_failing_device_ends_the_migration(tmp_path, plant):
    plant(_DeadDevice)
    with Pair(tmp_path, "planted", fallback="never") as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(bytes(range(256)) * 4096)
        assert pair.drain() == b""
        pair.sender.join()
    assert isinstance(pair.sender.error, CodecError)
    assert "no answer within 150 ms" in str(pair.sender.error)


class _NeverOpens(_Device):
    def open(self):
        raise BackendUnavailable("planted", "no such card", "plug one in")


class _Busy(_Device):
    def open(self):
        raise BackendError("backend 'planted': the device is busy")


@pytest.mark.parametrize(
    ("cls", "error", "words"), [(_NeverOpens, MissingError, "plug one in"), (_Busy, CodecError, "busy")]
)
def test_a_device_that_cannot_be_opened_is_told_before_qemu_may_connect(tmp_path, plant, cls, error, words):
    plant(cls)
    config = SendConfig(f"unix:{tmp_path}/s", "tcp:127.0.0.1:9", "planted")
    with pytest.raises(error, match=words):
        run_sender(config, lambda line: pytest.fail(f"ready although the device is not: {line}"))
