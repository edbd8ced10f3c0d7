"""A certificate's rows by subject: what is drawn of them and what stands in tables. A subject without rows is left out.

A row that cannot be drawn is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from harness.results.certificate import Certificate
from harness.units import MIB, format_bytes
from reports.certificate.charts import plots
from reports.certificate.rows import is_number, rows_of, tables_of
from reports.drawing.chart import Chart, finished
from reports.drawing.parts import Datum, texts
from reports.numbers import amount, figure_text, share_percent
from reports.table import Table

_DIRECTIONS = ("compress", "decompress")
_THIS_BACKEND = "this backend"  # as the check of a migration may call it


@dataclass(frozen=True, slots=True)
class Subject:
    """Charts and tables that are read together."""

    title: str
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]


def _facing(rows: Sequence[Datum], direction: str) -> list[Datum]:
    return [row for row in rows if row.get("direction") == direction]


def _knee_text(knee: Datum) -> str:
    share = f" ({share_percent(knee['share_of_best'])} of the best)" if is_number(knee.get("share_of_best")) else ""
    where = f"{format_bytes(knee['unit_bytes'])}, threads {figure_text(knee.get('threads'))}"
    return f" The knee: {where}, {amount(knee['mib_per_s'])}\u00a0MiB/s{share}."


def _throughput(certificate: Certificate) -> Subject:
    fields = ("unit_bytes", "threads", "mib_per_s")
    every = rows_of(certificate, "speed.surface", "surface", *fields, above=0)
    knees = rows_of(certificate, "speed.surface", "knee", *fields, above=0)
    shown = []
    for direction in _DIRECTIONS:
        rows, mine = _facing(every, direction), _facing(knees, direction)
        if not rows:
            continue
        level = rows[0].get("level")  # the one that is qualified comes first; one chart holds one level
        rows = [row for row in rows if row.get("level") == level]
        at = "" if level is None else f" Level {figure_text(level)}."
        caption = f"By the unit that is handed over at once.{at}{''.join(map(_knee_text, mine))}"
        shown.append(finished(f"surface-{direction}", f"Rate, {direction}", caption, plots.surface(rows, mine)))
    return Subject("Throughput", tuple(shown), ())


def _latency(certificate: Certificate) -> Subject:
    curve = rows_of(certificate, "speed.latency", "curve", "unit_bytes", "percentile", "ms", above=-1e-9)
    curve = [row for row in curve if row["percentile"] < 100]
    caption = "The axis is stretched towards the slowest requests. Marks at 50, 95, 99 and 99.9\u00a0%."
    shown = (finished("latency", "Latency by percentile", caption, plots.tail(curve)),) if curve else ()
    rows = rows_of(certificate, "speed.latency", "percentiles", "unit_bytes")
    named = [{**row, "direction": str(row.get("direction")), "unit": format_bytes(row["unit_bytes"])} for row in rows]
    headings = ("Direction", "Unit", "Requests", "50\u00a0%", "95\u00a0%", "99\u00a0%", "99.9\u00a0%", "Worst")
    fields = ("direction", "unit", "n", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "worst_ms")
    return Subject("Latency", shown, tables_of("Latency in milliseconds", headings, fields, named, words=(0,)))


def _cost(certificate: Certificate) -> Subject:
    codecs = rows_of(certificate, "cost.cpu", "cpu", "cpu_s_per_gib")
    parts = rows_of(certificate, "cost.offload", "parts", "ms")
    shown = []
    if codecs:
        bars = [{"bar": str(r.get("codec")), "start": 0, "end": r["cpu_s_per_gib"]} for r in codecs]
        bars = [{**bar, "label": f"{figure_text(bar['end'])} s"} for bar in bars]
        caption = "CPU seconds of this host for one GiB of uncompressed memory. Less is better."
        spec = plots.labelled_bars(bars, "CPU seconds per GiB", certificate.backend)
        shown.append(finished("cpu", "CPU time per GiB", caption, spec))
    if parts:
        caption = "Where the time of one request goes, part after part."
        spec = plots.labelled_bars(_waterfall(parts), "Time (ms)", "")
        shown.append(finished("offload", "Parts of a request", caption, spec))
    headings = ("Codec", "CPU (s per GiB)", "Rate (MiB/s)", "Ratio")
    fields = ("codec", "cpu_s_per_gib", "mib_per_s", "ratio")
    beside = tables_of("Codecs side by side", headings, fields, codecs, words=(0,))
    whole = sum(row["ms"] for row in parts) or 1.0
    shares = [{**row, "share": share_percent(row["ms"] / whole)} for row in parts]
    within = tables_of(
        "Parts of a request", ("Part", "Time (ms)", "Share"), ("part", "ms", "share"), shares, words=(0,)
    )
    return Subject("Cost", tuple(shown), (*beside, *within))


def _waterfall(rows: Sequence[Datum]) -> list[Datum]:
    """Each part's bar begins where the one before it ended."""
    ends = [sum(row["ms"] for row in rows[:count]) for count in range(len(rows) + 1)]
    return [
        {"bar": str(row.get("part")), "start": start, "end": end, "label": f"{figure_text(row['ms'])} ms"}
        for row, (start, end) in zip(rows, pairwise(ends), strict=True)
    ]


def _soak(certificate: Certificate) -> Subject:
    panels = (
        ("mib_per_s", "Rate (MiB/s)", "Rate during the soak", "Mean of each window. A level line is what is wanted."),
        ("rss_mib", "Memory (MiB)", "Memory during the soak", "Resident memory after each window. A line that climbs is a leak."),
    )  # fmt: skip
    drawn = []
    for field, axis, title, caption in panels:
        if rows := rows_of(certificate, "endurance.soak", "windows", "t_s", field):
            drawn.append(finished(f"soak-{field}", title, caption, plots.over_time(rows, field, axis)))
    return Subject("Endurance", tuple(drawn), ())


def _migration(certificate: Certificate) -> Subject:
    rows = rows_of(certificate, "migration.throttled", "runs")
    timed = rows_of(certificate, "migration.throttled", "runs", "total_ms")
    methods = texts(timed, "method") if all("method" in row for row in timed) else []
    middle = {m: median(float(row["total_ms"]) for row in timed if str(row["method"]) == m) for m in methods}
    bars = [{"bar": m, "start": 0, "end": ms, "label": f"{amount(ms)} ms"} for m, ms in middle.items()]
    caption = "Median of the runs of each method over the same throttled link. Less is better."
    own = certificate.backend if certificate.backend in methods else _THIS_BACKEND
    spec = plots.labelled_bars(bars, "Total time (ms)", own) if bars else None
    shown = (finished("migration", "Time of a migration", caption, spec),) if spec else ()
    headings = ("Method", "Total (ms)", "Downtime (ms)", "Wire (MiB)", "CPU, source (s)", "Verified")
    fields = ("method", "total_ms", "downtime_ms", "wire_mib", "cpu_source_s", "verified")
    rows = [row | {"wire_mib": row["wire_bytes"] / MIB} if is_number(row.get("wire_bytes")) else row for row in rows]
    return Subject("Live migration", shown, tables_of("Every migration", headings, fields, rows, words=(0, 5)))


def _faults(certificate: Certificate) -> Subject:
    headings = ("Fault", "Check", "Detected after (ms)", "Fallback after (ms)", "Pages lost")
    fields = ("fault", "check", "detected_ms", "fallback_ms", "pages_lost")
    rows = [{"check": check.id, **row} for check in certificate.checks for row in check.data.get("faults", ())]
    return Subject("Faults", (), tables_of("Faults that were planted", headings, fields, rows, words=(0, 1)))


_SUBJECTS: tuple[Callable[[Certificate], Subject], ...] = (_throughput, _latency, _cost, _soak, _migration, _faults)


def subjects(certificate: Certificate) -> tuple[Subject, ...]:
    """Every subject that the certificate holds rows of."""
    every = (subject(certificate) for subject in _SUBJECTS)
    return tuple(subject for subject in every if subject.charts or subject.tables)
