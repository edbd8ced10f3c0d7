"""One instance for all codec threads: each call in its turn, and nothing behind a failure."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from backends import registry
from backends.api import BackendError
from harness.migrator.carry.codec import Encoder, Job
from harness.migrator.carry.serial import Serial
from harness.wire.batch import PageBatch
from harness.wire.pair.messages import Layout


def serial() -> Serial:
    return Serial([registry.create("none")])


def test_turns_are_taken_in_order_whoever_comes_first():
    shared, seen = serial(), []
    turns = list(range(40))
    random.Random(1).shuffle(turns)

    def call(turn):
        shared.call(turn, lambda _: (time.sleep(0.0005), seen.append(turn)))

    with ThreadPoolExecutor(len(turns)) as pool:
        list(pool.map(call, turns))
    assert seen == list(range(40))


def test_lanes_take_turns_and_do_not_wait_for_each_other():
    lanes = [registry.create("none") for _ in range(3)]
    shared, seen = Serial(lanes), []
    for turn in (2, 5, 0, 3, 8, 1):  # in order within each lane alone
        shared.call(turn, lambda backend, turn=turn: seen.append((turn, lanes.index(backend))))
    assert seen == [(2, 2), (5, 2), (0, 0), (3, 0), (8, 2), (1, 1)]


def test_a_failure_in_one_lane_ends_all():
    shared = Serial([registry.create("none"), registry.create("none")])

    def fail(_):
        raise BackendError("broken")

    with pytest.raises(BackendError, match="broken"):
        shared.call(0, fail)
    with pytest.raises(BackendError, match="its history ended: broken"):
        shared.call(1, lambda _: None)


def test_a_failed_turn_ends_all_later_ones():
    shared = serial()
    shared.call(0, lambda _: None)

    def fail(_):
        raise BackendError("out of memory")

    with pytest.raises(BackendError, match="out of memory"):
        shared.call(1, fail)
    for turn in (1, 2, 7):
        with pytest.raises(BackendError, match="backend 'none': its history ended: out of memory"):
            shared.call(turn, lambda _: None)


def test_whoever_waits_is_woken_by_the_end():
    shared, errors = serial(), []

    def wait():
        with pytest.raises(BackendError, match="the migration stopped") as caught:
            shared.call(5, lambda _: None)
        errors.append(caught.value)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    shared.stop()
    thread.join(10)
    assert len(errors) == 1


def test_history_travels_even_where_it_does_not_shrink():
    """A stored batch would be missing from the receiver's history."""
    cls = registry.load("zstd-long")
    shared = Serial([cls()])
    encoder = Encoder(shared.lanes[0], serial=shared)
    noise = random.Random(2).randbytes(300_000)
    for turn in range(2):
        packed = encoder.encode(Job(turn, PageBatch(memoryview(noise)), turn))
        assert packed.message.layout is Layout.PACKED
    assert packed.message.body_bytes < 10_000
