"""One instance for all codec threads: each call in its turn, nothing behind a failure, and nothing held without an end."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from backends import registry
from backends.api import BackendError
from harness.migrator.carry.codec import Decoder, Encoder, Job
from harness.migrator.carry.groups import Groups
from harness.migrator.carry.serial import Serial
from harness.wire.batch import PageBatch
from harness.wire.pair.messages import Layout


def serial() -> Serial:
    return Serial(registry.create("none"))


def test_turns_are_taken_in_order_whoever_comes_first():
    shared, seen = serial(), []
    turns = list(range(40))
    random.Random(1).shuffle(turns)

    def call(turn):
        shared.call(turn, lambda _: (time.sleep(0.0005), seen.append(turn)))

    with ThreadPoolExecutor(len(turns)) as pool:
        list(pool.map(call, turns))
    assert seen == list(range(40))


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
    thread.join(120)
    assert len(errors) == 1


def test_history_travels_even_where_it_does_not_shrink():
    """A stored batch would be missing from the receiver's history."""
    cls = registry.load("zstd-long")
    shared = Serial(cls())
    encoder = Encoder(shared.backend, serial=shared)
    noise = random.Random(2).randbytes(300_000)
    for turn in range(2):
        packed = encoder.encode(Job(turn, PageBatch(memoryview(noise)), turn))
        assert packed.message.layout is Layout.PACKED
    assert packed.message.body_bytes < 10_000


@pytest.mark.parametrize(
    ("announced", "goes_on"),
    [
        ({3: 7}, False),
        ({3: 7, 4: 8}, True),
        ({3: 7, 4: 9}, False),  # another codec's batch lies between
        ({}, False),
    ],
)
def test_a_batch_is_followed_only_by_one_that_was_announced_right_behind_it(announced, goes_on):
    shared = serial()
    for turn, sequence in announced.items():
        shared.announce(turn, sequence)
    assert shared.goes_on(3) is goes_on


@pytest.mark.parametrize("alone", [3, 4])
def test_a_batch_whose_size_is_asked_for_stands_alone(alone):
    """A trial compares what two codecs made of one batch. Of several that are one piece only the sum is known."""
    shared = serial()
    for turn in (3, 4):
        shared.announce(turn, turn + 4, alone=turn == alone)
    assert not shared.goes_on(3)


def jobs(sizes: list[int], most_held_bytes: int) -> list[Job]:
    return [
        Job(n, PageBatch(memoryview(random.Random(n % 3).randbytes(size))), n, most_held_bytes=lambda: most_held_bytes)
        for n, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_held_is_bounded_and_neither_the_first_batch_nor_the_last_is(threads):
    shared = Serial(registry.create("zstd-long"))
    shared.backend.threads = threads
    encoder = Encoder(shared.backend, serial=shared)
    asked = jobs([100_000] * 6, 250_000)
    for job in asked:
        shared.announce(job.turn, job.sequence)
    packed = [encoder.encode(job).message for job in asked]
    assert [message.layout.name for message in packed] == ["PACKED", "HELD", "HELD", "PACKED", "HELD", "PACKED"]
    decoder, theirs, groups = Decoder(()), Serial(registry.create("zstd-long")), Groups([1])
    restored = [
        bytes(each.raw)
        for message in packed
        if (group := groups.add(message.joined())) is not None
        for each in decoder.decode(*group, theirs)
    ]
    groups.require_whole()
    assert restored == [bytes(job.batch.raw) for job in asked]


def test_with_a_fallback_nothing_is_held():
    shared = Serial(registry.create("zstd-long"))
    encoder = Encoder(shared.backend, registry.create("zlib"), shared)
    for job in jobs([1000] * 3, 1 << 20):
        shared.announce(job.turn + 1, job.sequence + 1)
        assert encoder.encode(job).message.layout is Layout.PACKED


def test_what_waits_for_the_link_is_what_was_made_and_not_sent():
    shared = Serial(registry.create("zstd-long"))
    encoder = Encoder(shared.backend, serial=shared)
    packed = [encoder.encode(job).message for job in jobs([50_000] * 3, 0)]
    assert shared.waiting_bytes == sum(message.body_bytes for message in packed)
    for message in packed:
        shared.sent(message.body_bytes)
    assert shared.waiting_bytes == 0
