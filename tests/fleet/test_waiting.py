"""A scheduler that is somebody's own: which pairs have no worker is said, and waited for no longer than asked."""

from __future__ import annotations

import asyncio
import queue

import pytest

from harness.errors import MissingError, PeerError
from harness.fleet import fleet
from harness.fleet.cells import Ended
from harness.fleet.waiting import EVERY_S, Watch


class Client:
    """Of a scheduler whose workers have these pairs."""

    def __init__(self, *pairs):
        self.pairs = pairs
        self.scheduler = self
        self.asked = 0

    async def identity(self, n_workers):
        assert n_workers == -1
        return {"workers": {f"tcp://{pair}": {"resources": {f"pair-{pair}": 1.0}} for pair in self.pairs}}

    def sync(self, function, callback_timeout, **arguments):
        self.asked += 1
        if self.pairs == ("gone",):
            raise OSError("closed")
        return asyncio.run(function(**arguments))


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def said():
    return []


def watch(client, said, limit_s=60.0):
    clock = Clock()
    made = Watch(client, "tcp://lab:8786", limit_s, said.append, clock)

    def look_at(now_s, *pairs):
        clock.now_s = now_s
        made.look(pairs)

    return look_at


def test_a_pair_without_a_worker_is_named_at_once_and_again_only_when_that_changes(said):
    client = Client("lab")
    look_at = watch(client, said)
    look_at(0.0, "lab", "rack")
    look_at(EVERY_S, "lab", "rack")
    assert said == [
        "1 of 2 pairs with cells to run have a worker, none has rack: start one that reaches its hosts by ssh: "
        "dask worker tcp://lab:8786 --nthreads 1 --resources pair-rack=1 (60.0 s are waited)"
    ]
    client.pairs = ("lab", "rack")
    look_at(2 * EVERY_S, "lab", "rack")
    assert said[1:] == ["2 of 2 pairs with cells to run have a worker"]


def test_the_limit_counts_from_when_its_worker_went(said):
    client = Client("lab")
    look_at = watch(client, said, limit_s=60.0)
    look_at(0.0, "lab")
    client.pairs = ()
    look_at(100.0, "lab")
    look_at(159.0, "lab")
    with pytest.raises(
        MissingError, match=r"^tcp://lab:8786: no worker has had the pair lab for 60.0 s: start one .*--resume"
    ):
        look_at(164.0, "lab")


def test_a_pair_that_has_nothing_left_to_run_needs_no_worker(said):
    look_at = watch(Client("lab"), said, limit_s=EVERY_S)
    look_at(0.0, "lab", "rack")
    look_at(EVERY_S, "lab")
    assert said[1:] == ["1 of 1 pairs with cells to run have a worker"]


def test_a_scheduler_that_went_is_told(said):
    with pytest.raises(PeerError, match=r"^tcp://lab:8786: the scheduler does not answer any more: .*--resume"):
        watch(Client("gone"), said)(0.0, "lab")


def test_a_busy_fleet_asks_the_scheduler_only_now_and_then(said):
    client = Client("lab")
    look_at = watch(client, said)
    for step in range(100):
        look_at(step * EVERY_S / 100, "lab")
    assert client.asked == 1


class Failed:
    """A future of dask's, which has ended with an error."""

    status = "error"

    def done(self) -> bool:
        return True

    def exception(self) -> Exception:
        return RuntimeError("can't start new thread")


def test_an_end_that_dask_could_tell_nobody_is_seen(monkeypatch):
    """It calls back in a thread of its own; where the host refused it one, the fleet waited for ever."""
    monkeypatch.setattr(fleet, "EVERY_S", 0.01)
    [(name, end)] = fleet._next(queue.SimpleQueue(), {"a cell": Failed()})
    assert name == "a cell"
    assert "can't start new thread" in end.problem


def test_what_comes_behind_a_cells_end_is_passed_over():
    heard = queue.SimpleQueue()
    heard.put(("a cell", Ended(None)))
    assert fleet._next(heard, {}) == []
