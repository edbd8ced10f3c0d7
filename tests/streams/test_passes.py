"""Passes of a stream: where each begins, its pages, its time; and nothing of a stream may let them grow without bound."""

from __future__ import annotations

import io

import pytest
import sample_streams as s
import xxhash

from harness.streams import passes
from harness.streams.passes import StreamNotes
from harness.streams.synthetic import StreamSpec, passes_of, write_stream

MIB = 1 << 20
PAGE = bytes(range(256)) * 16


def noted(data: bytes, piece: int = 50_000):
    notes = StreamNotes()
    for at in range(0, len(data), piece):
        notes.take(data[at : at + piece], at / 1e6)
    return notes.facts()


def stream(*sections: bytes) -> bytes:
    return b"".join([s.header(), s.config(), s.start_ram([("pc.ram", 64 << 20), ("vga", 1 << 20)]), *sections, s.eof()])


def test_passes_are_those_of_the_guest_that_was_generated():
    spec = StreamSpec(8 * MIB, {"zero": 0.5, "text": 0.5}, working_set_bytes=4 * MIB, dirty_rate_bytes_per_s=100 * MIB)
    file = io.BytesIO()
    write_stream(spec, file)
    found = noted(file.getvalue()).passes
    assert [each.raw_pages for each in found[1:]] == passes_of(spec)
    assert found[0].raw_pages + found[0].zero_pages > spec.ram_pages  # with ROMs
    assert [each.stopped for each in found] == [False] * (len(found) - 1) + [True]
    assert [each.began_s for each in found] == sorted(each.began_s for each in found)


def test_a_pass_begins_where_addresses_go_back_also_inside_a_section_and_between_blocks():
    def page(number, block=None):
        return s.raw_page(number * 4096, PAGE, block)

    first = s.part(page(3, "pc.ram"), page(4), s.zero_page(5 * 4096), page(0, "vga"))
    second = s.part(page(1, "pc.ram"), page(9), page(2), s.zero_page(2 * 4096))
    data = stream(first, second, s.end(page(7), page(6)))
    found = noted(data, piece=100).passes
    assert [(each.raw_pages, each.zero_pages, each.stopped) for each in found] == [
        (3, 1, False),
        (2, 0, False),
        (1, 0, False),
        (0, 1, False),
        (2, 0, True),
    ]
    for each in found:
        assert int.from_bytes(data[each.stream_at : each.stream_at + 8], "big") & 4095 in (8, 2, 0x28, 0x22)
    assert found[0].stream_at < found[1].stream_at < len(data)


def test_facts_are_of_the_whole_stream():
    data = s.small_stream(5)
    facts = noted(data)
    kinds = [kind for kind, _, _ in s.parse(data)]
    assert facts.stream_bytes == len(data)
    assert facts.digest == xxhash.xxh3_128(data).hexdigest()
    assert facts.machine == "pc-i440fx-7.2"
    assert facts.pages == (
        kinds.count("page"),
        kinds.count("zero"),
        kinds.count("xbzrle") + kinds.count("compress"),
    )


def test_what_is_no_stream_has_no_passes_and_says_why():
    facts = noted(b"nothing that QEMU sends" * 100)
    assert facts.passes == ()
    assert "not a QEMU migration stream" in (facts.opaque_reason or "")


@pytest.fixture
def few_passes(monkeypatch):
    monkeypatch.setattr(passes, "MAX_PASSES", 10)
    monkeypatch.setattr(passes, "_MOST_BLOCKS", 10)


def test_addresses_that_always_go_back_and_blocks_without_end_are_bounded(few_passes):
    down = s.part(*(s.raw_page((1000 - n) * 4096, PAGE, None if n else "pc.ram") for n in range(100)))
    facts = noted(stream(down, s.part(*(s.zero_page(0, 0, f"block {n}") for n in range(100)))))
    assert len(facts.passes) == 10
    assert facts.pages == (100, 100, 0)
