"""Generated streams: parsed by the slow reference, compared with a real QEMU's, equal everywhere."""

import hashlib
import io
import json
import shutil
import subprocess
import threading
from collections import Counter

import numpy as np
import pytest
import sample_streams

from harness.errors import MissingError, UserError
from harness.streams import synthetic
from harness.streams.memory import memory
from harness.streams.streamfile import digest_of
from harness.streams.synthetic import StreamSpec, passes_of, synthetic_stream, write_stream

MIB = 1 << 20
MIX = {"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1}
SMALL = StreamSpec(8 * MIB, MIX, seed=5, working_set_bytes=MIB)
RECORDS = {"page", "zero"}


def made(spec):
    file = io.BytesIO()
    write_stream(spec, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def small():
    return made(SMALL)


def ram_after(data):
    """``pc.ram`` as a destination would have it after each pass's records, by the reference parser alone."""
    ram, block = {}, None
    for kind, start, _ in sample_streams.parse(data):
        if kind not in RECORDS:
            continue
        word = int.from_bytes(data[start : start + 8], "big")
        at = start + 8
        if not word & sample_streams.CONTINUE:
            block = data[at + 1 : at + 1 + data[at]].decode()
            at += 1 + data[at]
        if block == "pc.ram":
            page = bytes(4096) if kind == "zero" else data[at : at + 4096]
            ram.setdefault(word & ~4095, []).append(page)
    return ram


def test_reference_parser_reads_it_to_the_tail(small):
    items = sample_streams.parse(small)
    assert sum(length for _, _, length in items) == len(small)
    kinds = Counter(kind for kind, _, _ in items)
    assert (
        kinds["header"] == kinds["config"] == kinds["start"] == kinds["mem_size"] == kinds["end"] == kinds["tail"] == 1
    )
    assert kinds["part"] > 4
    assert kinds["eos"] == kinds["footer"] == kinds["part"] + 2
    assert 150_000 < items[-1][2] < 170_000


def test_first_pass_is_the_generators_memory_and_the_last_is_dirtied(small):
    ram = ram_after(small)
    expected = b"".join(chunk.tobytes() for chunk in memory.generate(MIX, SMALL.ram_pages, SMALL.seed))
    assert b"".join(ram[at][0] for at in range(0, SMALL.memory_bytes, 4096)) == expected
    dirtied = {at: pages for at, pages in ram.items() if len(pages) > 1}
    assert len(dirtied) == sum(passes_of(SMALL))
    assert min(dirtied) >= SMALL.memory_bytes - SMALL.working_set_bytes
    for first, second in dirtied.values():
        assert first[:64] != second[:64]
        assert first[64:] == second[64:]


def test_the_same_arguments_give_the_same_bytes_on_every_machine(small):
    assert made(SMALL) == small
    assert made(StreamSpec(8 * MIB, MIX, seed=6, working_set_bytes=MIB)) != small


def test_passes_follow_the_dirty_rate_and_end_within_the_downtime_limit():
    slow = passes_of(StreamSpec(512 * MIB, MIX, dirty_rate_bytes_per_s=20 * MIB))
    fast = passes_of(StreamSpec(512 * MIB, MIX, working_set_bytes=256 * MIB, dirty_rate_bytes_per_s=60 * MIB))
    assert len(fast) > len(slow)
    assert all(passes[-1] * 4096 <= 0.3 * 125e6 for passes in (slow, fast))
    assert passes_of(StreamSpec(512 * MIB, MIX, dirty_rate_bytes_per_s=0)) == [0]


def test_a_guest_that_never_converges_ends_all_the_same():
    spec = StreamSpec(512 * MIB, MIX, working_set_bytes=128 * MIB, dirty_rate_bytes_per_s=1 << 30)
    assert len(passes_of(spec)) == 30


@pytest.mark.parametrize("pattern", ["sequential", "random"])
@pytest.mark.parametrize("changed", [0, 1, 64, 4096])
def test_several_passes_with_any_pattern_parse(monkeypatch, pattern, changed):
    monkeypatch.setattr(synthetic, "passes_of", lambda spec: [256, 100, 0, 17])
    spec = StreamSpec(2 * MIB, MIX, working_set_bytes=MIB, pattern=pattern, changed_bytes_per_page=changed)
    data = made(spec)
    assert Counter(kind for kind, _, _ in sample_streams.parse(data))["tail"] == 1
    assert sum(len(pages) - 1 for pages in ram_after(data).values()) == 256 + 100 + 17


@pytest.mark.parametrize("shape", ["all zero", "all used", "alternating", "random"])
def test_records_of_any_alternation_are_whole(shape):
    rng = np.random.default_rng(2)
    pages = rng.integers(1, 256, (64, 4096), dtype=np.uint8)
    zero = {
        "all zero": np.ones(64, bool),
        "all used": np.zeros(64, bool),
        "alternating": np.arange(64) % 2 == 0,
        "random": rng.random(64) < 0.5,
    }[shape]
    pages[zero] = 0
    numbers = np.sort(rng.permutation(1000)[:64])
    pieces = synthetic._RecordWriter().records("pc.ram", numbers, pages)
    expected = b""
    for index, (number, page, empty) in enumerate(zip(numbers, pages, zero, strict=True)):
        block = "pc.ram" if index == 0 else None
        at = int(number) * 4096
        expected += (
            sample_streams.zero_page(at, 0, block) if empty else sample_streams.raw_page(at, page.tobytes(), block)
        )
    assert b"".join(map(bytes, pieces)) == expected


def test_a_stream_is_made_once_and_kept_with_its_digest(tmp_path, monkeypatch, small):
    first = synthetic_stream(SMALL, tmp_path / "new" / "cache")
    assert first.path.read_bytes() == small
    assert first.digest == digest_of(first.path)
    monkeypatch.setattr(synthetic, "write_stream", lambda *_: pytest.fail("made again"))
    assert synthetic_stream(SMALL, tmp_path / "new" / "cache").digest == first.digest


def test_makers_side_by_side_leave_one_whole_stream(tmp_path):
    threads = [threading.Thread(target=synthetic_stream, args=(SMALL, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 2
    found = synthetic_stream(SMALL, tmp_path)
    assert digest_of(found.path) == found.digest


def test_a_failed_making_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="whole 4 KiB pages"):
        synthetic_stream(StreamSpec(4097, MIX), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingError, match="cannot keep a stream of about 8 MiB"):
        synthetic_stream(SMALL, tmp_path / "file")


@pytest.mark.qemu
def test_layout_is_that_of_a_real_qemu(tmp_path, small):
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    path = tmp_path / "real"
    qmp = [
        {"execute": "qmp_capabilities"},
        {"execute": "migrate", "arguments": {"uri": f"exec:cat > {path}"}},
    ]
    argv = [
        "qemu-system-x86_64",
        "-machine",
        "pc",
        "-m",
        "8",
        "-accel",
        "tcg",
        "-display",
        "none",
        "-S",
        "-qmp",
        "stdio",
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("\n".join(map(json.dumps, [*qmp, {"execute": "query-migrate"}])) + "\n")
        process.stdin.flush()
        try:
            wait_completed(process)
        finally:
            process.kill()
    real = path.read_bytes()
    assert shape_of(real) == shape_of(small)


def wait_completed(process):
    for line in process.stdout:
        status = json.loads(line).get("return", {}).get("status")
        if status == "completed":
            return
        assert status != "failed"
        if status is not None:
            process.stdin.write('{"execute": "query-migrate"}\n')
            process.stdin.flush()
    pytest.fail("QEMU ended")


def shape_of(data):
    """Kinds in order with repetitions folded, up to the tail, and the set of sizes that records have."""
    items = sample_streams.parse(data)
    order = [kind for kind, _, _ in items if kind not in RECORDS]
    folded = [kind for kind, before in zip(order, [None, *order], strict=False) if kind != before]
    sections = [kind for kind in folded if kind in {"header", "config", "start", "mem_size", "end", "tail"}]
    continued = {length for kind, _, length in items if kind in RECORDS and length in (9, 4104)}
    return sections, continued, hashlib.sha256(data[:8]).hexdigest()
