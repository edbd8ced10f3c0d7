"""Cells are measured in turn, each on all of the input, and a codec that gives other bytes is not measured but refused."""

import numpy as np
import pytest
from broken_histories import Stateful
from planted_backends import Good

from backends.api import BackendUnavailable
from backends.registry import BackendStatus
from harness.bench import codecs, measure
from harness.bench.codecs import chosen
from harness.bench.measure import Cell, cells_of
from harness.bench.pages import Pages
from harness.errors import CodecError, MissingError, UserError
from harness.migrator.spec import Spec

PAGES = Pages("sixteen pages", memoryview(np.arange(1 << 16, dtype=np.uint32).view(np.uint8)[: 1 << 16]))
ZLIB = Spec("zlib", 1)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(measure, "_LEAST_S", 0.0)


@pytest.fixture
def planted(monkeypatch):
    """``planted(cls)``: the codec "zlib" is that one."""
    made = codecs.made
    return lambda cls: monkeypatch.setattr(measure, "made", lambda spec: cls() if spec == ZLIB else made(spec))


def test_every_cell_has_a_value_for_each_round_and_they_take_turns(planted):
    planted(Stateful)
    cells = cells_of([ZLIB, Spec("isal", 1)], [8192, 65536], [1, 2])
    order = []
    found = measure.measure(PAGES, cells, 6, lambda done, of, cell: order.append((done, of, cell)))
    assert [(each.codec, each.unit_bytes, each.threads) for each in found] == [
        (codec, unit, threads)
        for threads in (1, 2)
        for unit in (8192, 65536)
        for codec in ("memcpy", "zlib:1", "isal:1")
    ]
    for each in found:
        assert len(each.compress_s) == len(each.decompress_s) == len(each.compress_cpu_s) == 6
        assert min(each.compress_s + each.decompress_s) > 0
    assert {each.packed_bytes for each in found if each.codec == "memcpy"} == {len(PAGES.data)}
    assert all(each.packed_bytes < len(PAGES.data) for each in found if each.codec != "memcpy")
    assert [done for done, _, _ in order] == list(range(7 * len(cells)))
    for number in range(7):  # each round has each cell once
        assert {cell for _, _, cell in order[number * len(cells) : (number + 1) * len(cells)]} == set(cells)
    assert order[0][2] == order[2 * len(cells) - 1][2]  # and turns the order round


def test_more_threads_than_units_is_no_error():
    (found,) = measure.measure(PAGES, [Cell(ZLIB, 65536, 3)], 1, lambda *_: None)
    assert found.packed_bytes > 0


class Wrong(Good):
    def decompress(self, data, raw_bytes):
        return bytes(raw_bytes)


class Failing(Good):
    def compress(self, data):
        raise self._error("on fire")


class Absent(Good):
    def open(self):
        raise BackendUnavailable("good", "no card", "plug one in")


@pytest.mark.parametrize(
    ("cls", "error", "words"),
    [
        (Wrong, CodecError, r"zlib:1: unit 0 of 8192 bytes came back different"),
        (Failing, CodecError, "zlib:1: .*on fire"),
        (Absent, MissingError, "no card; plug one in"),
    ],
)
def test_a_codec_that_does_not_work_ends_it_with_its_name(planted, cls, error, words):
    planted(cls)
    with pytest.raises(error, match=words):
        measure.measure(PAGES, cells_of([ZLIB], [8192], [1]), 1, lambda *_: None)


def test_codecs_are_named_with_a_level_or_a_range_and_the_baseline_comes_first():
    choice = chosen(["zlib:3..5", "zlib:4"], "zlib:1")
    assert [str(spec) for spec in choice.specs] == ["zlib:1", "zlib:3", "zlib:4", "zlib:5"]
    assert choice.missing == {}


def test_without_names_all_that_is_here_is_measured_and_the_rest_has_its_reason(planted, monkeypatch):
    def status(name, reason=None):
        return BackendStatus(name, "pageferry", available=reason is None, reason=reason)

    def made(spec):
        return Absent() if spec.backend == "opencl" else Good()

    here = [status("none"), status("zlib"), status("isal"), status("opencl"), status("qatzip", "no library")]
    monkeypatch.setattr(codecs.registry, "survey", lambda: here)
    monkeypatch.setattr(codecs, "made", made)
    choice = chosen([], "zlib:1")
    assert [str(spec) for spec in choice.specs] == ["zlib:1", "isal:1"]
    assert choice.missing == {"qatzip": "no library", "opencl": "no card"}


@pytest.mark.parametrize("text", ["zlob", "zlib:x", "zlib:1..99"])
def test_a_codec_that_does_not_exist_is_one_line(text):
    with pytest.raises(UserError, match=text):
        chosen([text], "zlib:1")


def test_a_codec_with_history_is_one_instance_with_its_own_threads_and_holds_units(planted):
    told = []

    class Told(Stateful):
        def hold(self, data):
            told.append((id(self), self.threads, len(data)))
            return super().hold(data)

    planted(Told)
    cells = [Cell(ZLIB, 8192, threads) for threads in (1, 4)]
    alone, several = measure.measure(PAGES, cells, 1, lambda *_: None)
    assert alone.packed_bytes == several.packed_bytes
    assert {size for _, _, size in told} == {8192}
    for threads in (1, 4):
        owners = [owner for owner, many, _ in told if many == threads]
        assert len(owners) == 2 * 8  # a warm-up and a round, of eight units each
