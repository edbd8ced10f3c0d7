"""A stream with a long memory: what was sent before costs next to nothing, and what is damaged ends it."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from alone import said_alone
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import registry
from backends.api import MAX_BATCH_BYTES, BackendError, BackendUnavailable
from backends.conformance import KINDS, sample
from backends.zstd_long import _zeros

MIB = 1 << 20


@pytest.fixture(scope="module")
def backend():
    cls = registry.load("zstd-long")
    try:
        cls.probe()
    except BackendUnavailable as exc:
        pytest.skip(str(exc))
    return cls


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 100_000), st.integers(0, 2)), max_size=12),
)
def test_every_batch_comes_back_in_its_order(backend, batches):
    writer, reader = backend(window="1MiB"), backend()
    for kind, size, seed in batches:
        data = sample(kind, size, seed)
        packed = writer.compress(data)
        assert len(packed) <= backend.info.bound_bytes(size)
        assert reader.decompress(packed, size) == data


def test_a_stream_that_wants_more_than_was_agreed_is_refused(backend):
    packed = backend(window="2MiB").compress(b"x" * 1000)
    assert backend(window="2MiB").decompress(packed, 1000) == b"x" * 1000
    with pytest.raises(BackendError, match="memory"):
        backend(window="1MiB").decompress(packed, 1000)


def test_its_history_is_its_window(backend):
    assert backend(window="2MiB").history_bytes == 2 * MIB


HELD = """
from pathlib import Path
from backends import registry

def resident_bytes():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024

one = registry.load("zstd-long")(window="256MiB")
before_bytes = resident_bytes()
one.{method}()
open_bytes = resident_bytes()
one.close()
print(open_bytes - before_bytes, resident_bytes() - before_bytes)
"""


@pytest.mark.parametrize("method", ["open", "open_decoder"])
def test_closed_it_gives_its_windows_memory_back(backend, method):
    open_bytes, closed_bytes = map(int, said_alone(HELD.format(method=method)).split())
    assert open_bytes > 192 * MIB
    assert closed_bytes < 64 * MIB


def test_what_was_sent_before_is_a_reference(backend):
    writer, noise = backend(), random.Random(1).randbytes(4 * MIB)
    first = len(writer.compress(noise))
    for _ in range(8):
        writer.compress(random.Random(2).randbytes(4 * MIB))
    assert len(writer.compress(noise)) < first / 100


def test_a_page_of_which_64_bytes_changed_costs_a_tenth_at_most(backend):
    rng, writer, reader = random.Random(3), backend(), backend()
    pages = bytearray(rng.randbytes(4 * MIB))
    for turn in range(3):
        packed = writer.compress(bytes(pages))
        assert reader.decompress(packed, len(pages)) == pages
        if turn:
            assert len(packed) <= len(pages) / 10
        for page in range(0, len(pages), 4096):
            at = page + rng.randrange(4096 - 64)
            pages[at : at + 64] = rng.randbytes(64)


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-1], lambda packed: packed + b"\0", lambda packed: packed[:-1] + b"\1"]
)
def test_damage_ends_the_stream_and_says_so(backend, damage):
    writer, reader = backend(), backend()
    data = sample("text", 50_000)
    good = writer.compress(data)
    with pytest.raises(BackendError, match=r"backend 'zstd-long': \d+ bytes for 50000: the"):
        reader.decompress(damage(good), len(data))
    with pytest.raises(BackendError, match="its stream ended with an earlier error: the"):
        reader.decompress(good, len(data))


def test_a_batch_out_of_its_order_is_refused_or_other_data(backend):
    writer, reader = backend(), backend()
    first, second = writer.compress(sample("text", 9000)), writer.compress(sample("text", 9000, 1))
    with pytest.raises(BackendError):
        reader.decompress(second, 9000)
    assert first


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": "3MiB"}, "option window = '3MiB': must be one of 1MiB, 2MiB"),
        ({"window": 27}, "option window = 27: must be one of"),
    ],
)
def test_a_wrong_option_is_refused(backend, options, says):
    with pytest.raises(BackendError, match=says):
        backend(**options)


def test_a_window_beyond_the_largest_is_refused_before_it_is_allocated(backend):
    # A frame's header with a window of 2 GiB (RFC 8878, 3.1.1.1.2), and an empty last block.
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, (31 - 10) << 3]) + (1).to_bytes(3, "little")
    with pytest.raises(BackendError, match=r"for 4096: .*(memory|too large|error)"):
        backend().decompress(frame + (4096).to_bytes(4, "little"), 4096)


@pytest.mark.parametrize("window", ["1MiB", "8MiB"])
def test_opened_beforehand_it_writes_the_same_bytes_and_restores_them(backend, window):
    cold, writer, reader = backend(window=window), backend(window=window), backend(window=window)
    writer.open()
    reader.open_decoder()
    for seed in range(6):
        data = sample("heap", MIB, seed % 3)
        packed = writer.compress(data)
        assert packed == cold.compress(data)
        assert reader.decompress(packed, len(data)) == data


@pytest.mark.parametrize("log", [20, 27])
def test_what_fills_a_decoders_window_is_a_frame_of_that_many_zeros(backend, log):
    zstandard = pytest.importorskip("zstandard")
    frame = _zeros(log)
    assert zstandard.get_frame_parameters(frame).window_size == 1 << log
    restored = zstandard.ZstdDecompressor(max_window_size=1 << 30).decompressobj().decompress(frame)
    assert len(restored) == 1 << log
    assert restored.count(0) == len(restored)


@pytest.mark.parametrize("method", ["open", "open_decoder"])
def test_memory_that_is_not_there_is_told_with_a_remedy(backend, monkeypatch, method):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(backend, "_stream", refuse)
    monkeypatch.setattr(backend, "_restorer", refuse)
    with pytest.raises(BackendError, match=r"no memory for a window of 2MiB \(MemoryError\); choose a smaller one"):
        getattr(backend(window="2MiB"), method)()


def test_the_largest_batch_is_restored(backend):
    data = sample("heap", MAX_BATCH_BYTES)
    assert backend().decompress(backend().compress(data), len(data)) == data


@pytest.mark.parametrize("opened", [False, True])
def test_the_cpu_time_of_its_own_threads_is_known_and_nobody_elses(backend, opened):
    name = Path("/proc/thread-self/comm").read_text()
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    one = backend(window="8MiB")
    one.threads = 3
    if opened:
        one.open()
    other.start()
    before_s = one.threads_cpu_s
    for seed in range(4):
        one.hold(sample("heap", 2 * MIB, seed))
    one.compress(b"end")
    assert len(one._workers) == 3
    assert other.native_id not in one._workers
    assert 0 < one.threads_cpu_s - before_s < 60
    assert Path("/proc/thread-self/comm").read_text() == name
    end.set()
    other.join()
    one.close()
    assert one.threads_cpu_s == 0


def test_alone_it_has_no_threads(backend):
    one = backend(window="1MiB")
    one.compress(sample("heap", 2 * MIB))
    assert (one._workers, one.threads_cpu_s) == ((), 0)


def test_more_threads_write_the_same_stream_whoever_is_ready_first(backend):
    streams = []
    for _ in range(3):
        one = backend(window="8MiB")
        one.threads = 2
        streams.append(b"".join([*(one.hold(sample("heap", MIB, seed)) for seed in range(6)), one.compress(b"end")]))
    assert len(set(streams)) == 1
