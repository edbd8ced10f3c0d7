"""A device worker that errs or lies does not hold up or mislead the sender. With a fake device."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offload_rig import PAGES, config, counts, fails, fault, recovers, restored, until, worker_pids

from backends.api import MAX_BATCH_BYTES
from backends.conformance.samples import KINDS, sample
from backends.opencl.errors import OpenclError
from backends.opencl.sharing import acquire, release

# ---------------------------------------------------------------- what comes back


@pytest.fixture(scope="module")
def sound():
    offload = acquire(config(verify_every=3))
    offload.wait_started()
    yield offload
    release(offload)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=70_000).filter(lambda data: not data.startswith(b"!")), st.integers(0, 7))
def test_any_batch_comes_back(sound, data, cut):
    view = memoryview(data)[min(cut, len(data) - 1) :]
    if view[0] != ord("!"):
        assert restored(sound.compress(view, counts())) == view


@pytest.mark.parametrize("size", [1, 4095, 4096, 65537, MAX_BATCH_BYTES])
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_and_kind_comes_back(sound, kind, size):
    data = memoryview(sample(kind, size))
    assert restored(sound.compress(data, counts())) == data


def test_counters_tell_what_was_done(start):
    offload, counted = start(verify_every=4), counts()
    packed = [offload.compress(PAGES, counted) for _ in range(9)]
    assert counted["batches"] == 9
    assert counted["raw_bytes"] == 900_000
    assert counted["joined_bytes"] == sum(map(len, packed))
    assert counted["blocks"] == 18
    assert counted["verified_batches"] == 3
    assert counted["kernel_s"] == pytest.approx(0.018)
    assert counted["queue_s"] == pytest.approx(0.036)
    assert 0 < counted["worker_cpu_s"] < counted["wait_s"] + 1
    offload.claim(counted)
    assert [counted[name] for name in ("errors", "timeouts", "deaths", "mismatches", "refused", "restarts")] == [0] * 6


def test_instances_of_one_configuration_share_a_worker():
    settings = config()
    first, second = acquire(settings), acquire(settings)
    assert first is second
    release(first)
    second.wait_started()
    assert restored(second.compress(PAGES, counts())) == PAGES
    release(second)


def test_more_threads_than_slots_take_turns(start):
    offload, faults = start(slots=2), []

    def work(seed):
        try:
            for size in range(1, 60_000, 3_000):
                data = memoryview(sample("text", size, seed))
                assert restored(offload.compress(data, counts())) == data
        except BaseException as exc:
            faults.append(exc)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    assert not any(thread.is_alive() for thread in threads)


# ---------------------------------------------------------------- faults of a live worker


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out_of_memory", "MemoryError: clEnqueueNDRangeKernel failed: MEM_OBJECT_ALLOCATION_FAILURE"),
        ("busy", "the device is busy with another process"),
        ("talks", "RuntimeError: word word"),
    ],
)
def test_a_device_error_fails_its_batch_alone_and_the_third_in_a_row_opens_the_breaker(start, away, name, says):
    offload, counted = start(f"waits-while {away}"), counts()
    away.touch()
    for _ in range(3):
        assert says in fails(offload, fault(name), counted)
        assert restored(offload.compress(PAGES, counted)) == PAGES
    assert (counted["errors"], counted["batches"], counted["refused"]) == (3, 3, 0)
    for _ in range(3):
        fails(offload, fault(name), counted)
    refusal = fails(offload, PAGES, counted)
    assert says in refusal
    assert "tried again" in refusal
    assert (counted["errors"], counted["refused"]) == (6, 1)
    away.unlink()
    recovers(offload)
    offload.claim(counted)
    assert (counted["restarts"], counted["deaths"]) == (1, 0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("too_long", "compressed bytes, outside 2.."),
        ("too_many_blocks", "1000 zero and 0 stored, where there are 1"),
        ("no_time", "times of"),
        ("negative_time", "times of"),
    ],
)
def test_an_answer_that_cannot_be_is_not_used_and_costs_the_worker(start, away, name, says):
    offload, counted = start(f"waits-while {away}"), counts()
    away.touch()
    assert says in fails(offload, fault(name), counted)
    assert "tried again" in fails(offload, PAGES, counted)
    assert (counted["errors"], counted["refused"], counted["batches"]) == (1, 1, 0)
    away.unlink()
    recovers(offload)


@pytest.mark.parametrize("name", ["wrong", "short", "junk", "nothing"])
def test_wrong_bytes_are_never_handed_out_and_quarantine_the_device(start, name):
    offload, counted = start(verify_every=1), counts()
    assert restored(offload.compress(PAGES, counted)) == PAGES
    assert "the device compressed a batch of 50000 bytes to" in fails(offload, fault(name), counted)
    assert "not used again by this process" in fails(offload, PAGES, counted)
    assert (counted["mismatches"], counted["refused"], counted["errors"]) == (1, 1, 0)
    until(lambda: not worker_pids(offload))
    again = acquire(offload.config)
    with pytest.raises(OpenclError, match="the device compressed a batch of 50000 bytes to"):
        again.wait_started()
    release(again)


def test_quarantine_outlives_the_last_user():
    settings = config(verify_every=1)
    offload = acquire(settings)
    fails(offload, fault("wrong"))
    release(offload)
    later = acquire(settings)
    assert "not used again by this process" in fails(later, PAGES)
    release(later)


def test_sampling_looks_at_the_first_batch_and_one_in_so_many(start):
    offload, counted = start(verify_every=5), counts()
    for _ in range(5):
        offload.compress(PAGES, counted)
    assert counted["verified_batches"] == 1
    assert "inflate" in fails(offload, fault("wrong"), counted)
    assert (counted["verified_batches"], counted["mismatches"]) == (2, 1)


def test_the_first_batch_after_a_restart_is_looked_at(start):
    offload, counted = start(verify_every=1000), counts()
    offload.compress(PAGES, counted)
    fails(offload, fault("dies 9"), counted)
    until(lambda: offload._breaker.is_closed)
    fails(offload, fault("wrong"), counted)
    assert counted["mismatches"] == 1
