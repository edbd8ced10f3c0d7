"""What codecs are measured on: the pages that a stream sends as they are, in their order, and no more of them than asked for."""

import random

import numpy as np
import pytest
import sample_streams as qemu

from harness.bench.pages import read_pages
from harness.errors import MissingError, UserError

PAGES = [random.Random(number).randbytes(4096) for number in range(5)]


@pytest.fixture
def stream(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    records = [qemu.raw_page(number << 13, page, None if number else "pc.ram") for number, page in enumerate(PAGES)]
    records.insert(2, qemu.zero_page(9 << 12))
    whole = qemu.header() + qemu.config() + qemu.start_ram([("pc.ram", 1 << 20)]) + qemu.part(*records) + qemu.eof()
    path = tmp_path / "guest.stream"
    path.write_bytes(whole)
    return path


def test_pages_come_in_their_order_without_the_zero_ones(stream):
    pages = read_pages(str(stream), 1 << 20)
    assert bytes(pages.data) == b"".join(PAGES)
    assert [len(unit) for unit in pages.units(8192)] == [8192, 8192, 4096]
    assert "guest.stream" in pages.name


def test_no_more_is_taken_than_was_asked_for(stream):
    assert bytes(read_pages(str(stream), 3 * 4096).data) == b"".join(PAGES[:3])


def test_generated_pages_are_the_same_each_time_and_none_is_zero():
    one, two = (read_pages("synthetic", 1 << 20) for _ in range(2))
    assert one.data == two.data
    assert np.frombuffer(one.data, dtype=np.uint8).reshape(-1, 4096).any(axis=1).all()


def test_bad_input_is_one_line_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"'nothing': unknown input; .*pageferry record"):
        read_pages("nothing", 1 << 20)
    (tmp_path / "text").write_text("no stream")
    with pytest.raises(UserError, match="not a QEMU migration stream"):
        read_pages(str(tmp_path / "text"), 1 << 20)
    bare = tmp_path / "bare"
    bare.write_bytes(qemu.header() + qemu.config() + qemu.eof())
    with pytest.raises((UserError, MissingError), match="no page of its stream"):
        read_pages(str(bare), 1 << 20)
