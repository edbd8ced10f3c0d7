"""What is urgent is worked on and delivered by the thread that submits it; its codec is closed once, and a failure reaches it."""

from __future__ import annotations

import threading

import pytest

from harness.migrator.carry.inline import Inline
from harness.migrator.carry.pipeline import Failure, Workers


class Codec:
    """Its ``calls``, by thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.failure = Failure(lambda: None)

    def open_worker(self):
        def work(item: int) -> int:
            if item < 0:
                raise ValueError("planted")
            self.calls.append(("work", threading.get_ident()))
            return item

        return work, lambda: self.calls.append(("close", threading.get_ident()))

    def inline(self, deliver) -> Inline[int, int]:
        made: Inline[int, int] = Inline(Workers("test", 1, self.open_worker, self.failure), deliver)
        made.start()
        return made


def test_it_is_delivered_by_who_submits_it_and_nothing_behind_the_stop():
    codec, delivered = Codec(), []
    inline = codec.inline(delivered.append)
    for item in range(3):
        inline.submit(item)
        assert delivered[-1] == item
    for _ in range(2):
        inline.stop()
    inline.submit(3)
    inline.join()
    assert delivered == [0, 1, 2]
    assert codec.calls == [(what, threading.get_ident()) for what in ("work", "work", "work", "close")]


def test_a_failure_of_its_codec_or_of_another_channel_reaches_who_submits():
    codec = Codec()
    inline = codec.inline(lambda _: None)
    with pytest.raises(ValueError, match="planted"):
        inline.submit(-1)
    inline.stop()
    codec.failure.set(RuntimeError("of another"))
    with pytest.raises(RuntimeError, match="of another"):
        inline.join()
    assert [what for what, _ in codec.calls] == ["close"]
