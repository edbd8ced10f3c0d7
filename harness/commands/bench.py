"""``pageferry bench``: codecs alone on a guest's pages, every cell measured in turn with every other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import SIZE
from harness.units import MIB, format_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from harness.bench.codecs import Choice
    from harness.bench.measure import Cell
    from harness.bench.pages import Pages
    from harness.results.bench import Bench, BenchCell, Middle

_UNIT_SIZES = (64 << 10, MIB)

_EPILOG = """\b
Examples:
  pageferry bench
  pageferry bench linux-build --threads 1
  pageferry bench guest.pfs --codec lz4 --codec zstd:-5..3 --codec isal:1
  pageferry bench --unit 4KiB --unit 64KiB --unit 1MiB --threads 1 --threads 4 --values 10
  pageferry bench --baseline isal:1 --out out/bench-isal
  pyperf compare_to monday/pyperf.json tuesday/pyperf.json --table

\b
INPUT is a recording's name (pageferry list recordings) [linux-redis], a file that pageferry record made, or "synthetic": generated
pages, as many as --size asks for.
A cell is a codec, a unit's size and a number of threads. The table's ratios are of one round each, in which every cell took its
turn, so that a machine that slows down meanwhile is unfair to none. memcpy is the ceiling: no codec is faster.
DIR gets bench.html, bench.json, and pyperf.json for pyperf's tools.
Exit status 0: measured. 6: a codec failed, or gave other bytes than it was given.
"""


@click.command(epilog=_EPILOG, short_help="Measure codecs alone: speed and ratio on a guest's pages.")
@click.argument("source", metavar="[INPUT]", default="linux-redis")
@click.option(
    "--codec",
    "codecs",
    multiple=True,
    metavar="BACKEND[:LEVEL]",
    help="Measure this one, or its levels LOW..HIGH [each backend that is here].",
)
@click.option("--baseline", default="zlib:1", metavar="BACKEND[:LEVEL]", help="What speeds are given against [zlib:1].")
@click.option("--unit", "units", multiple=True, type=SIZE, help="Compress so much at once [64KiB and 1MiB].")
@click.option(
    "--threads", multiple=True, type=click.IntRange(1, 1024), metavar="N", help="On so many threads [1 and all cores]."
)
@click.option("--values", type=click.IntRange(6, 1000), default=6, metavar="N", help="Rounds, 6 or more [6].")
@click.option("--size", type=SIZE, default=32 * MIB, help="Of the input's pages take so much [32MiB].")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for page and data [out/codecs].",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write bench.json there too."
)
def command(
    *,
    source: str,
    codecs: tuple[str, ...],
    baseline: str,
    units: tuple[int, ...],
    threads: tuple[int, ...],
    values: int,
    size: int,
    out: Path | None,
    json_file: Path | None,
) -> None:
    """Compress and restore INPUT's pages with each codec, over unit size, level and threads, and say how fast and how small."""
    from harness.bench.codecs import chosen
    from harness.bench.measure import cells_of
    from harness.bench.pages import read_pages
    from harness.bench.pyperf_suite import write_pyperf_suite
    from harness.commands.interrupted import telling_files
    from harness.commands.options import check_writable, tell_undrawn
    from harness.console import make_console, plain
    from harness.experiment.outputs import held
    from harness.hosts.limits import cores
    from harness.results.bench import save_bench
    from reports.bench.page import write_bench

    check_writable(json_file, "measurements")
    _check_sizes(units, size)
    choice = chosen(codecs, baseline)
    console, folder = make_console(), out or Path("out", "codecs")
    cells = cells_of(choice.specs, sorted(set(units or _UNIT_SIZES)), sorted(set(threads or (1, cores()))))
    with telling_files(folder, "bench.json", "pyperf.json", "bench.html"), held(folder):
        bench = _measured(console, read_pages(source, size), cells, choice, values)
        for path in [folder / "bench.json", *([json_file] if json_file else [])]:
            save_bench(bench, path)
        write_pyperf_suite(bench, folder / "pyperf.json")
        write_bench(bench, folder / "bench.html")
        tell_undrawn()
        _print(console, bench)
    console.print(f"page: {plain(folder / 'bench.html')}\npyperf: {plain(folder / 'pyperf.json')}", soft_wrap=True)


def _check_sizes(units: tuple[int, ...], size: int) -> None:
    from backends.api import MAX_BATCH_BYTES
    from harness.errors import UserError
    from harness.units import PAGE_BYTES

    for unit in units:
        if unit % PAGE_BYTES or unit > MAX_BATCH_BYTES:
            limits = f"whole pages of 4 KiB, at most {format_bytes(MAX_BATCH_BYTES)}"
            raise UserError(f"--unit {format_bytes(unit)}: must be {limits}")
    largest = max(units or _UNIT_SIZES)
    if size < largest or size % PAGE_BYTES:
        raise UserError(f"--size {format_bytes(size)}: must be whole pages of 4 KiB, at least {format_bytes(largest)}")


def _measured(console: Console, pages: Pages, cells: list[Cell], choice: Choice, values: int) -> Bench:
    import datetime

    from harness.bench.measure import measure
    from harness.console import plain
    from harness.experiment.environment import collect
    from harness.results.bench import Bench

    console.print(f"{plain(pages.name)}: {len(cells)} cells, {values} rounds and one to warm up", soft_wrap=True)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with console.status("") as status:

        def tell(done: int, of: int, cell: Cell) -> None:
            status.update(f"{done * 100 // of} %: {cell.spec}, {format_bytes(cell.unit_bytes)}, {cell.threads} threads")

        measured = measure(pages, cells, values, tell)
    return Bench(pages.name, len(pages.data), str(choice.specs[0]), measured, started_at, choice.missing, collect())


def _print(console: Console, bench: Bench) -> None:
    from harness.console import make_table, plain
    from reports.intervals import held_text

    rounds = len(bench.cells[0].compress_s)
    held = f" ({held_text(rounds)})" if rounds > 1 else ""
    heads = ("codec", "compress MiB/s", "", "restore MiB/s", "ratio", "CPU s/GiB", "best")
    for place in dict.fromkeys(cell.place for cell in bench.cells):
        cells = [cell for cell in bench.cells if cell.place == place]
        front = {cell.codec for cell in bench.front(cells, "compress_s")}
        threads = "1 thread" if place[1] == 1 else f"{place[1]} threads"
        title = f"units of {format_bytes(place[0])}, {threads}: medians \\[interval], n = {rounds}{held}"
        table = make_table(title, *heads[:2], f"x {bench.baseline}", *heads[3:], numbers=True)
        for cell in sorted(cells, key=lambda cell: -bench.rate(cell.compress_s).value):
            table.add_row(plain(cell.codec), *_row(bench, cell), "*" if cell.codec in front else "")
        console.print(table)
    console.print('"best": no other compresses both faster and smaller. MiB are of input.', soft_wrap=True)
    for name, reason in bench.missing.items():
        console.print(f"{plain(name)}: not measured: {plain(reason)}", soft_wrap=True)


def _row(bench: Bench, cell: BenchCell) -> tuple[str, ...]:
    from harness.results.bench import middle

    against = bench.times_baseline(cell)
    per_gib = middle([seconds * (1 << 30) / bench.raw_bytes for seconds in cell.compress_cpu_s])
    return (
        _figure(bench.rate(cell.compress_s), 1 / MIB),
        "-" if against is None else _figure(against, 1, 2),
        _figure(bench.rate(cell.decompress_s), 1 / MIB),
        f"{bench.ratio(cell):.2f}",
        f"{per_gib.value:.2f}",
    )


def _figure(figure: Middle, factor: float, digits: int = 0) -> str:
    middle, low, high = (f"{value * factor:.{digits}f}" for value in (figure.value, figure.low, figure.high))
    return f"{middle} \\[{low}, {high}]"
