"""A comparison for others to read: Markdown for a mail or a merge request, and plain data for a program. Knows no file."""

from __future__ import annotations

from typing import Any

from reports.run.comparison import Comparison, Line

SCHEMA = 1


def as_markdown(view: Comparison) -> str:
    """The primary figures as a table of GitHub's flavour; names are text, whatever they hold."""
    heads = ("Method", "Figure", "Base", "New", "Change", "Interval", "n", "Verdict")
    rows = [heads, ("---",) * len(heads), *map(_row, view.primary)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows) if view.primary else ""
    doubts = "\n".join(f"- {_text(line)}" for line in (*(f"lost: {each}" for each in view.lost), *view.warnings))
    title = f"**{_text(view.label_b)}** against **{_text(view.label_a)}**"
    parts = (title, *map(_text, view.sentences), table, doubts, f"<sub>{_text(view.note)}</sub>")
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(line: Line) -> tuple[str, ...]:
    verdict = f"**{line.meaning}**" if line.of.word in ("better", "worse") else line.meaning
    counts = f"{line.of.reference_runs}, {line.of.runs}"
    figures = (line.method, line.metric, line.a, line.b, line.change, line.interval, counts)
    return (*map(_text, figures), verdict)


def _text(text: str) -> str:
    """Nothing in it is markup."""
    for special in "\\`*_|[]<>":
        text = text.replace(special, f"\\{special}" if special not in "<>" else {"<": "&lt;", ">": "&gt;"}[special])
    return " ".join(text.replace("\u00a0", " ").replace("\u202f", " ").split())


def as_data(view: Comparison) -> dict[str, Any]:
    """For JSON; fields are added, never renamed. Shares are of 1, and figures in their base units have none here."""
    return {
        "schema": SCHEMA,
        "base": view.label_a,
        "new": view.label_b,
        "sentences": view.sentences,
        "unlike": view.unlike,
        "lost": view.lost,
        "warnings": view.warnings,
        "changes": [_entry(line) for line in view.lines],
    }


def _entry(line: Line) -> dict[str, Any]:
    change = line.of
    return {
        "method": line.method,
        "metric": change.metric.key,
        "verdict": change.word,
        "words": change.words,
        "ratio": change.ratio,
        "interval": change.interval,
        "confidence": 1 - change.level,
        "p_value": change.p_value,
        "base_n": change.reference_runs,
        "new_n": change.runs,
        "smallest_effect": change.smallest,
        "visible": change.visible,
        "needed_n": change.needed,
    }
