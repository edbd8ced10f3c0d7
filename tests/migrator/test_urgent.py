"""In post-copy, pages that a guest asked for, on a connection of their own, wait at neither half for what came before them; and the
source comes to what it is asked for, however full the way is."""

from __future__ import annotations

import contextlib
import threading

import pytest
import sample_streams
from channel_rig import Channels, read_all
from pairs import received, wait_until

from harness.migrator.carry.codec import Decoder, Encoder

PAGE = b"page"
STREAM = sample_streams.small_stream(5, sections=12)
POSTCOPY = b"".join(
    [
        sample_streams.header(),
        sample_streams.config(),
        sample_streams.command(sample_streams.OPEN_RETURN_PATH),
        sample_streams.command(sample_streams.POSTCOPY_LISTEN),
    ]
)
REQUEST = bytes([0, 4, 0, 12]) + bytes(12)


class Held:
    """One half's codecs: all that is larger than a page is held there from ``close`` on, and ``waits`` says that something is."""

    def __init__(self, monkeypatch, half: str) -> None:
        self.may_go, self.waits = threading.Event(), threading.Event()
        self.may_go.set()
        cls, name = (Encoder, "encode") if half == "sender" else (Decoder, "decode")
        work = getattr(cls, name)

        def held(codec, item, *rest):
            raw_bytes = item.batch.raw_bytes if half == "sender" else item[0].raw_bytes
            if raw_bytes > len(PAGE) and not self.may_go.is_set():
                self.waits.set()
                assert self.may_go.wait(120)
            return work(codec, item, *rest)

        monkeypatch.setattr(cls, name, held)


@pytest.mark.parametrize("half", ["sender", "receiver"])
def test_a_page_that_was_asked_for_passes_all_that_waits(tmp_path, monkeypatch, half):
    codecs = Held(monkeypatch, half)
    with Channels(tmp_path, receive={"threads": 1}, batch_bytes=64 << 10, threads=1) as pair:
        pair.source.sendall(STREAM[:20_000])
        main = pair.accept()
        assert received(main, 20_000) == STREAM[:20_000]
        preempt = pair.connect()
        beside = pair.accept()
        codecs.may_go.clear()
        pair.source.sendall(STREAM[20_000:])
        assert codecs.waits.wait(120)
        preempt.sendall(PAGE)
        assert received(beside, len(PAGE)) == PAGE
        codecs.may_go.set()
        for connection in (preempt, pair.source):
            connection.shutdown(1)
        assert received(main, len(STREAM) - 20_000) == STREAM[20_000:]
        for connection in (beside, main):
            assert read_all(connection) == b""
        main.close()
    assert pair.sender.error is None


def test_a_request_has_the_source_read_however_full_the_way_is(tmp_path):
    """QEMU 7.2 writes requested pages and all others by one thread: while that waits for room, it comes to no request."""
    taken = 0

    def give() -> int:
        nonlocal taken
        with contextlib.suppress(BlockingIOError):
            while True:
                taken += pair.source.send(bytes(64 << 10))
        return taken

    with Channels(tmp_path, batch_bytes=64 << 10, inflight_bytes=256 << 10, threads=1) as pair:
        pair.source.sendall(POSTCOPY)
        main = pair.accept()
        assert received(main, len(POSTCOPY)) == POSTCOPY
        pair.source.setblocking(False)
        stands_still(give)
        full = taken
        main.sendall(REQUEST)
        wait_until(lambda: give() >= full + (192 << 10), 120)
        pair.source.setblocking(True)
        assert received(pair.source, len(REQUEST)) == REQUEST
        assert len(received(main, taken)) == taken
        pair.source.shutdown(1)
        read_all(main)
        main.close()


def stands_still(give) -> None:
    """Until nothing more is taken, as far as can be told: nobody reads at the other end."""
    quiet = threading.Event()
    before = -1
    while give() != before:
        before = give()
        quiet.wait(1)
