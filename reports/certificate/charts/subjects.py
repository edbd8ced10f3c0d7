"""What a certificate's raw rows look like drawn: charts and tables by subject. A subject without rows is left out.

Rows are what a check wrote down and may lack fields: a row that cannot be drawn is not. Knows no HTML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from harness.results.certificate import Certificate, CheckResult
from harness.units import format_bytes
from reports.certificate.charts import plots
from reports.certificate.charts.plots import figure_text
from reports.numbers import amount, share_percent
from reports.run.charts.build import Chart, finished
from reports.run.charts.runs import Datum, texts

__all__ = ["Subject", "Table", "raw_tables", "subjects"]

_DIRECTIONS = ("compress", "decompress")
_THIS_BACKEND = "this backend"  # as the check of a migration may call it
_LARGEST = 1e15
_MOST_ROWS = 200  # of a raw table on a page; the raw JSON holds them all


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in columns; ``numeric`` says which columns are."""

    title: str
    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """Charts and tables that are read together."""

    title: str
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _drawable(row: Mapping[str, object]) -> Datum:
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def _rows(certificate: Certificate, check_id: str, name: str, *numbers: str, above: float = -math.inf) -> list[Datum]:
    """The rows ``name`` of a check in which every field of ``numbers`` is a number above ``above``."""
    found = [_drawable(row) for check in certificate.checks if check.id == check_id for row in check.data.get(name, ())]
    return [row for row in found if all(_is_number(row.get(field)) and row[field] > above for field in numbers)]


def _facing(rows: Sequence[Datum], direction: str) -> list[Datum]:
    return [row for row in rows if row.get("direction") == direction]


def _text(row: Datum, field: str) -> str:
    return figure_text(row.get(field))


def _knee_text(knee: Datum) -> str:
    share = f" ({share_percent(knee['share_of_best'])} of the best)" if _is_number(knee.get("share_of_best")) else ""
    where = f"{format_bytes(knee['unit_bytes'])}, threads {_text(knee, 'threads')}"
    return f" The knee: {where}, {amount(knee['mb_per_s'])}\u00a0MB/s{share}."


def _throughput(certificate: Certificate) -> Subject:
    fields = ("unit_bytes", "threads", "mb_per_s")
    every = _rows(certificate, "speed.surface", "surface", *fields, above=0)
    knees = _rows(certificate, "speed.surface", "knee", *fields, above=0)
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
    curve = _rows(certificate, "speed.latency", "curve", "unit_bytes", "percentile", "ms", above=-1e-9)
    curve = [row for row in curve if row["percentile"] < 100]
    caption = "The axis is stretched towards the slowest requests. Marks at 50, 95, 99 and 99.9\u00a0%."
    shown = (finished("latency", "Latency by percentile", caption, plots.tail(curve)),) if curve else ()
    rows = _rows(certificate, "speed.latency", "percentiles", "unit_bytes")
    fields = ("n", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "worst_ms")
    table = Table(
        "Latency in milliseconds",
        ("Direction", "Unit", "Requests", "50\u00a0%", "95\u00a0%", "99\u00a0%", "99.9\u00a0%", "Worst"),
        (False, *(True,) * 7),
        tuple((str(r.get("direction")), format_bytes(r["unit_bytes"]), *(_text(r, f) for f in fields)) for r in rows),
    )
    return Subject("Latency", shown, (table,) if rows else ())


def _cost(certificate: Certificate) -> Subject:
    codecs = _rows(certificate, "cost.cpu", "cpu", "cpu_s_per_gib")
    parts = _rows(certificate, "cost.offload", "parts", "ms")
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
    headings = ("Codec", "CPU (s per GiB)", "Rate (MB/s)", "Ratio")
    fields = ("codec", "cpu_s_per_gib", "mb_per_s", "ratio")
    beside = _tables("Codecs side by side", headings, fields, codecs, words=(0,))
    whole = sum(row["ms"] for row in parts) or 1.0
    shares = [{**row, "share": share_percent(row["ms"] / whole)} for row in parts]
    within = _tables("Parts of a request", ("Part", "Time (ms)", "Share"), ("part", "ms", "share"), shares, words=(0,))
    return Subject("Cost", tuple(shown), (*beside, *within))


def _waterfall(rows: Sequence[Datum]) -> list[Datum]:
    """Each part's bar begins where the one before it ended."""
    ends = [sum(row["ms"] for row in rows[:count]) for count in range(len(rows) + 1)]
    return [
        {"bar": str(row.get("part")), "start": start, "end": end, "label": f"{_text(row, 'ms')} ms"}
        for row, (start, end) in zip(rows, pairwise(ends), strict=True)
    ]


def _soak(certificate: Certificate) -> Subject:
    panels = (
        ("mb_per_s", "Rate (MB/s)", "Rate during the soak", "Mean of each window. A level line is what is wanted."),
        ("rss_mb", "Memory (MB)", "Memory during the soak", "Resident memory after each window. A line that climbs is a leak."),
    )  # fmt: skip
    drawn = []
    for field, axis, title, caption in panels:
        if rows := _rows(certificate, "endurance.soak", "windows", "t_s", field):
            drawn.append(finished(f"soak-{field}", title, caption, plots.over_time(rows, field, axis)))
    return Subject("Endurance", tuple(drawn), ())


def _migration(certificate: Certificate) -> Subject:
    rows = _rows(certificate, "migration.throttled", "runs")
    timed = _rows(certificate, "migration.throttled", "runs", "total_ms")
    methods = texts(timed, "method") if all("method" in row for row in timed) else []
    middle = {m: median(float(row["total_ms"]) for row in timed if str(row["method"]) == m) for m in methods}
    bars = [{"bar": m, "start": 0, "end": ms, "label": f"{amount(ms)} ms"} for m, ms in middle.items()]
    caption = "Median of the runs of each method over the same throttled link. Less is better."
    own = certificate.backend if certificate.backend in methods else _THIS_BACKEND
    spec = plots.labelled_bars(bars, "Total time (ms)", own) if bars else None
    shown = (finished("migration", "Time of a migration", caption, spec),) if spec else ()
    headings = ("Method", "Total (ms)", "Downtime (ms)", "Wire (bytes)", "CPU, source (s)", "Verified")
    fields = ("method", "total_ms", "downtime_ms", "wire_bytes", "cpu_source_s", "verified")
    return Subject("Live migration", shown, _tables("Every migration", headings, fields, rows, words=(0, 5)))


def _faults(certificate: Certificate) -> Subject:
    headings = ("Fault", "Check", "Detected after (ms)", "Fallback after (ms)", "Pages lost")
    fields = ("fault", "check", "detected_ms", "fallback_ms", "pages_lost")
    rows = [{"check": check.id, **row} for check in certificate.checks for row in check.data.get("faults", ())]
    return Subject("Faults", (), _tables("Faults that were planted", headings, fields, rows, words=(0, 1)))


def _tables(
    title: str, headings: tuple[str, ...], fields: tuple[str, ...], rows: Sequence[Datum], *, words: tuple[int, ...]
) -> tuple[Table, ...]:
    """One table of ``fields``, or none where there are no rows. ``words``: the columns that hold no numbers."""
    if not rows:
        return ()
    numeric = tuple(index not in words for index in range(len(fields)))
    return (Table(title, headings, numeric, tuple(tuple(_text(row, field) for field in fields) for row in rows)),)


def raw_tables(check: CheckResult) -> tuple[Table, ...]:
    """Every row that a check wrote down, as it is; of many the first."""
    tables: list[Table] = []
    for name, rows in check.data.items():
        fields = tuple(dict.fromkeys(field for row in rows for field in row))
        words = tuple(i for i, field in enumerate(fields) if not any(_is_number(row.get(field)) for row in rows))
        more = f" (the first {_MOST_ROWS} of {len(rows)} rows)" if len(rows) > _MOST_ROWS else ""
        tables += _tables(f"{name}{more}", fields, fields, rows[:_MOST_ROWS], words=words)
    return tuple(tables)


_SUBJECTS: tuple[Callable[[Certificate], Subject], ...] = (_throughput, _latency, _cost, _soak, _migration, _faults)


def subjects(certificate: Certificate) -> tuple[Subject, ...]:
    """Every subject that the certificate holds rows of."""
    every = (subject(certificate) for subject in _SUBJECTS)
    return tuple(subject for subject in every if subject.charts or subject.tables)
