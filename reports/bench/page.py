"""A bench as one self-contained page: which codecs are worth a look, speed against ratio, and every figure."""

from __future__ import annotations

from pathlib import Path

from harness.results.bench import Bench, dump_bench
from reports import html
from reports.bench.charts import fronts
from reports.bench.view import bench_view, place_text, places
from reports.drawing.chart import Chart, finished
from reports.intervals import interval_sentence
from reports.printable import printable

_FRONT = "The dashed line joins the codecs that no other beats in both. {intervals}"


def _charts(bench: Bench) -> list[Chart]:
    rounds = (len(cell.compress_s) for cell in bench.cells)
    caption = _FRONT.format(intervals=interval_sentence(rounds, "Upright lines"))
    shown = []
    for number, (place, cells) in enumerate(places(bench).items()):
        for way, draw in (("compressing", fronts.compressing), ("restoring", fronts.restoring)):
            title = f"Speed and ratio, {way}: {place_text(place)}"
            shown.append(finished(f"{way}-{number}", title, caption, draw(bench, cells)))
    return shown


def render_bench(bench: Bench) -> str:
    """The page."""
    shown = printable(bench)
    return html.render(
        "bench.html",
        interactive=True,
        bench=shown,
        page=bench_view(shown),
        charts=_charts(shown),
        download=html.download("bench.json", dump_bench(bench)),
    )


def write_bench(bench: Bench, path: Path) -> None:
    """One file, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_bench(bench))
