"""What pages are made of: each class by a page that is nothing else, entropy, and repeats, whatever the order of pages."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import sample_streams as s
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.streams.census import Census
from harness.streams.memory import memory
from harness.streams.passes import StreamNotes

RANDOM = random.Random(1).randbytes(4096)
PAGES = {
    "zero": bytes(4096),
    "repeated": b"\x90\x91\x92\x93\x94\x95\x96\x97" * 512,
    "mostly zeros": RANDOM[:1000] + bytes(3096),
    "text": b"A line of some log, with a number: 17.\r\n" * 103,
    "random": RANDOM,
    "mixed": bytes(range(32)) * 100 + RANDOM[:896],
}


def counted(*sections: bytes):
    census = Census()
    notes = StreamNotes(census.take)
    notes.take(b"".join([s.header(), s.config(), s.start_ram([("pc.ram", 4 << 20), ("vga", 1 << 20)]), *sections]), 0.0)
    notes.facts()
    return census.counted()


def records(*pages: tuple[int, bytes]) -> bytes:
    return s.part(*(s.raw_page(4096 * at, page[:4096], None if n else "pc.ram") for n, (at, page) in enumerate(pages)))


@pytest.mark.parametrize("name", PAGES)
def test_each_class_is_told_from_its_bytes(name):
    found = counted(records((0, PAGES[name]), (1, PAGES[name])))
    assert {key for key, count in found.classes.items() if count} == {name}
    assert found.classes[name] == 2


def test_entropy_is_of_bytes():
    two_values = bytes([0, 1]) * 2048
    found = counted(records((0, bytes(4096)), (1, two_values), (2, bytes(range(256)) * 16), (3, RANDOM)))
    assert found.entropy == (1, 1, 0, 0, 0, 0, 0, 2)


def test_records_without_bytes_are_counted_too():
    other = s.xbzrle_page(9 * 4096, b"x" * 10)
    found = counted(records((0, RANDOM)), s.part(s.zero_page(4096), other, s.zero_page(8192)))
    assert (found.classes["zero"], found.packed, sum(found.entropy)) == (2, 1, 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(PAGES.values()))), min_size=1, max_size=200))
@settings(max_examples=40, deadline=None)
def test_repeats_are_those_that_a_dictionary_finds(pages):
    last, again, unchanged = {}, 0, 0
    for at, page in pages:
        again += at in last
        unchanged += last.get(at) == page[:4096]
        last[at] = page[:4096]
    found = counted(records(*pages))
    assert found.duplicates == len(pages) - len({page[:4096] for _, page in pages})
    assert (found.sent_again, found.unchanged) == (again, unchanged)
    names = Counter(name for _, page in pages for name, example in PAGES.items() if page == example)
    assert found.classes == {name: names[name] for name in PAGES}


def test_the_same_address_in_another_block_is_another_page():
    found = counted(records((0, RANDOM)), s.part(s.raw_page(0, RANDOM, "vga")))
    assert (found.duplicates, found.sent_again) == (1, 0)


def test_no_stream_is_no_page():
    found = counted()
    assert (sum(found.classes.values()), found.duplicates, found.entropy) == (0, 0, (0,) * 8)


@pytest.mark.parametrize(("fill", "name"), [("text", "text"), ("random", "random")])
def test_generated_memory_is_what_its_class_says(fill, name):
    pages = b"".join(chunk.tobytes() for chunk in memory.generate({fill: 1.0}, 64, 1))
    found = counted(records(*((n, pages[4096 * n : 4096 * n + 4096]) for n in range(64))))
    assert found.classes[name] >= 60
