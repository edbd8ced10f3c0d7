"""A page that a guest asked for, on a connection of its own: at the receiver too it waits for nothing that came before it."""

from __future__ import annotations

import threading

import pytest
import sample_streams
from channel_rig import Channels, read_all
from pairs import received, wait_until

from harness.migrator.carry.codec import Decoder
from harness.migrator.carry.pipeline import Workers

PAGE = b"page"
STREAM = sample_streams.small_stream(5, sections=12)


class Watched:
    """The receiver's codecs: what they are ``given`` (bytes of each batch, as they are queued) and ``begin``; held while asked."""

    def __init__(self, monkeypatch) -> None:
        self.given: list[int] = []
        self.begun: list[int] = []
        self.may_go = threading.Event()
        self.may_go.set()
        take, decode = Workers.take, Decoder.decode

        def taken(workers, job, *, urgent):
            take(workers, job, urgent=urgent)
            if workers.name == "decompress":
                self.given.append(job.item.batches[0].raw_bytes)

        def decoded(decoder, batches, turn, serial):
            self.begun.append(batches[0].raw_bytes)
            assert self.may_go.wait(120)
            return decode(decoder, batches, turn, serial)

        monkeypatch.setattr(Workers, "take", taken)
        monkeypatch.setattr(Decoder, "decode", decoded)


@pytest.fixture
def codecs(monkeypatch):
    return Watched(monkeypatch)


def test_a_page_that_was_asked_for_is_restored_before_what_waits(tmp_path, codecs):
    with Channels(tmp_path, receive={"threads": 1}, batch_bytes=64 << 10) as pair:
        pair.source.sendall(STREAM[:20_000])
        main = pair.accept()
        assert received(main, 20_000) == STREAM[:20_000]
        preempt = pair.connect()
        beside = pair.accept()
        codecs.may_go.clear()
        codecs.begun.clear()
        codecs.given.clear()
        pair.source.sendall(STREAM[20_000:])
        wait_until(lambda: len(codecs.given) > 2 and codecs.begun, 60)
        preempt.sendall(PAGE)
        wait_until(lambda: len(PAGE) in codecs.given, 60)
        codecs.may_go.set()
        assert received(beside, len(PAGE)) == PAGE
        for connection in (preempt, pair.source):
            connection.shutdown(1)
        assert received(main, len(STREAM) - 20_000) == STREAM[20_000:]
        for connection in (beside, main):
            assert read_all(connection) == b""
        main.close()
    assert pair.sender.error is None
    first, second, *others = codecs.begun
    assert (first > len(PAGE), second, len(others) > 1) == (True, len(PAGE), True)
