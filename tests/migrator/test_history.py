"""A codec with history holds batches back only while others follow: what the source wrote arrives, and no end is needed for it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import Pair, carry, received

from backends import registry
from backends.conformance import KINDS, sample
from harness.migrator.carry import channel, serial
from harness.migrator.choose.method_policy import MethodPolicy

KIB = 1 << 10


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Long enough to hold batches on a busy machine too."""
    monkeypatch.setattr(serial, "_LINGER_S", 0.03)


@pytest.fixture
def asked(monkeypatch):
    """How often batches were held, and not, where a batch that follows may take half a second to come, and no link has enough to
    do."""
    monkeypatch.setattr(serial, "_LINGER_S", 0.5)
    monkeypatch.setattr(channel, "_BUSY_BYTES", 1 << 40)
    calls, cls = Counter(), registry.load("zstd-long")
    for name, real in (("hold", cls.hold), ("compress", cls.compress)):

        def counted(self, data, name=name, real=real):
            calls[name] += 1
            return real(self, data)

        monkeypatch.setattr(cls, name, counted)
    return calls


@given(
    pieces=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 400_000)), min_size=1, max_size=5),
    threads=st.integers(1, 3),
    inflight_bytes=st.sampled_from([None, 1, 200_000]),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_was_written_arrives_before_more_comes(tmp_path_factory, pieces, threads, inflight_bytes):
    with Pair(
        tmp_path_factory.mktemp("p"),
        "zstd-long",
        threads=threads,
        batch_bytes=16 * KIB,
        inflight_bytes=inflight_bytes,
        options={"window": "1MiB"},
    ) as pair:
        for number, (kind, size) in enumerate(pieces):
            data = b"no migration" * (number == 0) + sample(kind, size, number)
            pair.source.sendall(data)
            assert received(pair.destination, len(data)) == data
        pair.source.close()
        assert pair.drain() == b""
        pair.destination.close()
    assert pair.sender.error is None
    assert pair.receiver.error is None
    assert pair.receiver.result.batches == pair.sender.result.batches


def test_batches_that_follow_each_other_are_held(tmp_path, asked):
    data = b"no migration" + sample("heap", 4 << 20)
    with Pair(tmp_path, "zstd-long", batch_bytes=64 * KIB, inflight_bytes=8 << 20, options={"window": "1MiB"}) as pair:
        pair.source.sendall(data)
        assert received(pair.destination, len(data)) == data
        pair.source.close()
        assert pair.drain() == b""
        pair.destination.close()
    assert pair.sender.error is None
    assert asked["hold"] > asked["compress"] > 0
    assert asked["hold"] + asked["compress"] == pair.sender.result.batches
    assert pair.sender.result.codec_cpu_s > 0


def test_where_the_link_has_enough_to_do_nothing_is_held(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(channel, "_BUSY_BYTES", 0)
    data = b"no migration" + sample("heap", 1 << 20)
    with Pair(tmp_path, "zstd-long", batch_bytes=64 * KIB, options={"window": "1MiB"}) as pair:
        assert carry(pair, data, []) == data
    assert asked["compress"] == pair.sender.result.batches
    assert asked["hold"] == 0


def test_choices_that_change_with_every_batch_and_two_histories_of_one_codec_keep_every_byte(
    tmp_path, asked, monkeypatch
):
    rng = random.Random(4)

    def choose(self, _now_s, _batch_bytes):
        other = rng.choice([None, *range(1, len(self._candidates))])
        return rng.choice(range(len(self._candidates))), other if other not in {1, 2} else None

    monkeypatch.setattr(MethodPolicy, "choose", choose)
    data = b"no migration" + sample("heap", 3 << 20)
    with Pair(tmp_path, "auto", batch_bytes=32 * KIB, options={"candidates": "zstd-long:1,zstd-long:3,zlib:1"}) as pair:
        assert carry(pair, data, []) == data
    assert pair.sender.error is None
    assert pair.receiver.error is None
    assert set(pair.sender.result.policy.shares) == {"none", "zstd-long:1", "zstd-long:3", "zlib:1"}
    assert asked["hold"] > 0
