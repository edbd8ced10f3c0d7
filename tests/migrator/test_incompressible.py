"""Random memory is recognised, and nothing that shrinks is taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from backends import registry
from harness.migrator.carry.codec import Encoder, Job
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.incompressible import looks_incompressible
from harness.streams.memory import memory
from harness.wire.batch import PageBatch
from harness.wire.pair.messages import Layout

PAGES = 200


def batch(fill: dict[str, float], pages: int = PAGES, *, seed: int = 3) -> PageBatch:
    """Page records as a stream has them: a word before each page."""
    body = np.concatenate(list(memory.generate(fill, pages, seed)))
    words = np.arange(pages, dtype=">u8").view(np.uint8).reshape(pages, 8)
    return PageBatch(memoryview(np.hstack([words, body]).reshape(-1)), ((8, pages),))


def test_random_pages_are_recognised():
    found = [looks_incompressible(batch({"random": 1.0}, seed=seed)) for seed in range(1, 21)]
    assert sum(found) >= 19


@pytest.mark.parametrize("page_class", ["zero", "text", "code", "heap", "duplicate"])
def test_no_other_memory_is(page_class):
    assert not looks_incompressible(batch({page_class: 1.0}))


def test_nor_is_random_memory_with_an_eighth_of_text():
    assert not any(looks_incompressible(batch({"random": 0.875, "text": 0.125}, seed=seed)) for seed in range(1, 11))


def test_random_pages_that_are_there_twice_are_left_to_the_codec():
    once = batch({"random": 1.0})
    raw = np.concatenate([np.frombuffer(once.raw, dtype=np.uint8)] * 2)
    twice = PageBatch(memoryview(raw), ((8, 2 * PAGES),))
    assert not looks_incompressible(twice)


def test_little_is_not_worth_a_look():
    assert not looks_incompressible(batch({"random": 1.0}, 10))


class _CountingZlib(registry.load("zlib")):
    calls = 0

    def compress(self, data):
        type(self).calls += 1
        return super().compress(data)


def test_the_codec_does_not_see_it_and_it_is_counted():
    encoder = Encoder(_CountingZlib())
    packed = encoder.encode(Job(0, batch({"random": 1.0})))
    assert packed.message.layout is Layout.STORED
    assert (encoder.stored_batches, encoder.incompressible_batches, _CountingZlib.calls) == (1, 1, 0)
    assert encoder.encode(Job(1, batch({"text": 1.0}))).message.layout is Layout.PACKED
    assert (encoder.incompressible_batches, _CountingZlib.calls) == (1, 1)


def test_a_history_sees_all():
    backend = _CountingZlib()
    before = _CountingZlib.calls
    encoder = Encoder(backend, serial=Serial(backend))
    encoder.encode(Job(0, batch({"random": 1.0})))
    assert (encoder.incompressible_batches, _CountingZlib.calls) == (0, before + 1)
