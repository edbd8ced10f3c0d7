"""The beginning of a stream: fewer pages, and still a stream that ends as one does."""

from __future__ import annotations

import random
from pathlib import Path

import sample_streams as streams
from hypothesis import given
from hypothesis import strategies as st

from harness.streams.beginning import write_beginning
from harness.wire.qemu.stream import QStreamParser

PAGES = {"page", "zero", "xbzrle", "compress"}


def beginning(data: bytes, most_bytes: int, folder: Path) -> bytes:
    source, short = folder / "whole.stream", folder / "short.stream"
    source.write_bytes(data)
    with short.open("wb") as file:
        count = write_beginning(source, file, most_bytes)
    kept = short.read_bytes()
    assert len(kept) == count
    return kept


def without_pages(data: bytes) -> bytes:
    return b"".join(data[at : at + length] for kind, at, length in streams.parse(data) if kind not in PAGES)


def pages(data: bytes) -> list[bytes]:
    return [data[at : at + length] for kind, at, length in streams.parse(data) if kind in PAGES]


@given(seed=st.integers(0, 1000), share=st.floats(0, 1.1))
def test_the_first_pages_are_kept_and_all_that_is_no_page(tmp_path_factory, seed, share):
    data = streams.small_stream(seed)
    most_bytes = int(len(data) * share)
    kept = beginning(data, most_bytes, tmp_path_factory.mktemp("beginning"))
    assert without_pages(kept) == without_pages(data)
    first = [
        data[at : at + length]
        for kind, at, length in streams.parse(data)
        if kind in PAGES and at + length <= most_bytes
    ]
    assert pages(kept) == first
    parser = QStreamParser()
    parser.receive_data(kept)
    parser.finish()
    assert parser.is_whole()


def test_what_is_no_stream_that_we_know_is_kept_whole(tmp_path):
    data = b"QEVM" + random.Random(1).randbytes(5000)
    assert beginning(data, 1000, tmp_path) == data
