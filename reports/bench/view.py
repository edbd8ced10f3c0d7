"""A bench as texts: a table for each unit and number of threads, and the sentences above them. Knows no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.bench import Bench, BenchCell, Middle, middle
from harness.units import MIB, format_bytes
from reports.facts import minute_text
from reports.intervals import interval_sentence
from reports.numbers import DASH, amount, plural
from reports.table import Table

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class BenchView:
    """All that the page says outside its charts."""

    facts: tuple[tuple[str, str], ...]
    intervals: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    missing: tuple[str, ...]


def places(bench: Bench) -> dict[tuple[int, int], list[BenchCell]]:
    """The cells by what they are compared within, unit and threads."""
    found: dict[tuple[int, int], list[BenchCell]] = {}
    for cell in bench.cells:
        found.setdefault(cell.place, []).append(cell)
    return found


def place_text(place: tuple[int, int]) -> str:
    """``64 KiB at once, 2 threads``."""
    return f"{format_bytes(place[0])} at once, {plural(place[1], 'thread')}"


def bench_view(bench: Bench) -> BenchView:
    """The bench as texts."""
    rounds = len(bench.cells[0].compress_s)
    facts = (
        ("Input", bench.subject),
        ("Rounds", str(rounds)),
        ("Measured on", str(bench.environment.get("cpu_model") or "a machine that was not recorded")),
        ("When", minute_text(bench.started_at)),
    )
    found = places(bench)
    sentences = tuple(_best(bench, place, cells) for place, cells in found.items())
    tables = tuple(_table(bench, place, cells) for place, cells in found.items())
    missing = tuple(f"{name} was not measured: {reason}" for name, reason in bench.missing.items())
    return BenchView(facts, interval_sentence([rounds], "Figures in brackets"), sentences, tables, missing)


def _best(bench: Bench, place: tuple[int, int], cells: Sequence[BenchCell]) -> str:
    """Which codecs are worth a look there, memcpy left out."""
    codecs = [cell for cell in bench.front(cells, "compress_s") if cell.packed_bytes < bench.raw_bytes]
    named = "; ".join(
        f"{cell.codec}, {amount(bench.rate(cell.compress_s).value / MIB)}\u00a0MiB/s at ratio {amount(bench.ratio(cell), 2)}"
        for cell in codecs
    )
    return f"{place_text(place)}: no other codec is both faster and smaller than {named or 'memcpy, for none shrinks this input'}."


def _table(bench: Bench, place: tuple[int, int], cells: Sequence[BenchCell]) -> Table:
    heads = (
        "Codec",
        "Compresses (MiB/s)",
        f"Times {bench.baseline}",
        "Restores (MiB/s)",
        "Ratio",
        "CPU to compress (s per GiB)",
    )
    front = {cell.codec for cell in bench.front(cells, "compress_s")}
    fastest_first = sorted(cells, key=lambda cell: -bench.rate(cell.compress_s).value)
    rows = tuple(_row(bench, cell) for cell in fastest_first)
    marks = tuple("best" if cell.codec in front else "" for cell in fastest_first)
    return Table(place_text(place), heads, rows, marks=marks)


def _row(bench: Bench, cell: BenchCell) -> tuple[str, ...]:
    times = bench.times_baseline(cell)
    per_gib = middle([seconds * _GIB / bench.raw_bytes for seconds in cell.compress_cpu_s])
    return (
        cell.codec,
        _figure(bench.rate(cell.compress_s), 1 / MIB),
        DASH if times is None else _figure(times, 1, 2),
        _figure(bench.rate(cell.decompress_s), 1 / MIB),
        amount(bench.ratio(cell), 2),
        amount(per_gib.value, 2),
    )


def _figure(figure: Middle, factor: float, digits: int = 0) -> str:
    value, low, high = (amount(each * factor, digits) for each in (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"
