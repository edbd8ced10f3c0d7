"""A sample of a recording: the chosen MiB of memory with all passes over them, a stream that parses, and what it says of itself."""

from __future__ import annotations

import random
import struct
import sys

import pytest
import sample_streams as streams
from recorded import ABOUT, save_recording

from harness.errors import UserError
from harness.streams import sample as sampling
from harness.streams.recording.layout import Sample
from harness.streams.recording.reader import open_recording
from harness.streams.sample import sample

MIB = 1 << 20
BLOCKS = [("pc.ram", 12 * MIB), ("vga", 6 * MIB)]


def page(block: str, address: int, turn: int) -> tuple[str, int, bytes | None]:
    """A raw page, which says where and when it was sent; every fifth is a zero page."""
    words = f"{block} {address} {turn} ".encode()
    return block, address, None if address // 4096 % 5 == 0 else (words * (4096 // len(words) + 1))[:4096]


def walk(turn: int, step: int) -> list[tuple[str, int, bytes | None]]:
    return [page(block, at, turn) for block, size in BLOCKS for at in range(turn * 4096, size, step)]


def records(pages: list[tuple[str, int, bytes | None]]) -> list[bytes]:
    told, found = None, []
    for block, address, data in pages:
        name = None if block == told else block
        found.append(streams.zero_page(address, block=name) if data is None else streams.raw_page(address, data, name))
        told = block
    return found


TURNS = [walk(0, 64 << 10), walk(1, 192 << 10), walk(2, 448 << 10)]
PAGES = [each for turn in TURNS for each in turn]


def whole_stream() -> bytes:
    first, second, last = (records(turn) for turn in TURNS)
    tail = streams.section(streams.FULL, 7, "device", random.Random(1).randbytes(500))
    ram = streams.start_ram(BLOCKS) + streams.part(*first) + streams.part(*second) + streams.end(*last)
    return streams.header() + streams.config() + ram + tail + bytes([streams.EOF])


def kept_pages(data: bytes) -> list[tuple[str, int, bytes | None]]:
    """By the tests' own parser."""
    found, block = [], ""
    for kind, at, length in streams.parse(data):
        if kind in ("page", "zero"):
            end = at + length
            (word,) = struct.unpack_from(">Q", data, at)
            if not word & streams.CONTINUE:
                block = data[at + 9 : at + 9 + data[at + 8]].decode()
            found.append((block, word & ~0xFFF, data[end - 4096 : end] if kind == "page" else None))
    return found


@pytest.fixture
def source(tmp_path):
    return save_recording(tmp_path / "whole.pfs", whole_stream(), at_s=1.5)


def test_with_one_of_one_every_page_is_kept(source, tmp_path):
    sample(source, tmp_path / "all.pfs", Sample(1, 1), level=1)
    recording = open_recording(tmp_path / "all.pfs")
    assert b"".join(recording.stream()) == whole_stream()
    assert (recording.about, recording.index.facts) == (ABOUT, open_recording(source).index.facts)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_each_group_of_mebibytes_one_is_kept_with_all_its_pages_in_their_order(source, tmp_path, seed):
    sample(source, tmp_path / "part.pfs", Sample(3, seed), level=1)
    recording = open_recording(tmp_path / "part.pfs")
    data = b"".join(recording.stream())
    kept = kept_pages(data)
    chosen = {(block, address // MIB) for block, address, _ in kept}
    assert sorted((block, place // 3) for block, place in chosen) == sorted(
        (block, turn) for block, size in BLOCKS for turn in range(size // MIB // 3)
    )
    assert kept == [each for each in PAGES if (each[0], each[1] // MIB) in chosen]
    assert data.endswith(whole_stream()[-500:])
    assert recording.about.sample == Sample(3, seed)
    facts = recording.index.facts
    assert (facts.opaque_reason, facts.pages[:2]) == (
        None, (sum(each[2] is not None for each in kept), sum(each[2] is None for each in kept)),
    )  # fmt: skip
    assert [each.began_s for each in facts.passes] == [1.5] * 3


def test_the_seed_chooses(source, tmp_path):
    for seed in range(3):
        sample(source, tmp_path / f"{seed}.pfs", Sample(4, seed), level=1)
    assert len({open_recording(tmp_path / f"{seed}.pfs").index.facts.digest for seed in range(3)}) > 1


def test_a_damaged_recording_leaves_no_sample(source, tmp_path, monkeypatch, capsys):
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 1
    source.write_bytes(data)
    with pytest.raises(UserError, match="the checksum of block CHNK differs"):
        sample(source, tmp_path / "part.pfs", Sample(2, 1))
    assert not (tmp_path / "part.pfs").exists()
    monkeypatch.setattr(sys, "argv", ["sample", str(source), str(tmp_path / "part.pfs"), "--of", "2"])
    assert sampling.main() == 2
    assert "the checksum of block CHNK differs" in capsys.readouterr().err
