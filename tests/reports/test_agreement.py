"""The same results in a terminal, on a page, in a mail and for a program: one figure and one verdict, whoever shows it."""

from __future__ import annotations

import html
import io
import re

import pytest
import report_samples as samples
from rich.console import Console

from reports.effects import against_baseline
from reports.run.comparison import compare
from reports.run.mail import as_data, as_markdown
from reports.run.page import render_comparison
from reports.run.verdict import verdict
from reports.terminal.comparison import print_comparison
from reports.terminal.summary import print_summary

REPEATS = pytest.mark.parametrize("repeats", [1, 3, 6, 10])


def cells(print_it, *told):
    """Of each row of the table its cells."""
    console = Console(width=240, file=io.StringIO())
    print_it(console, *told)
    return [re.split(r"\s{2,}", line.strip()) for line in console.file.getvalue().splitlines()]


def bare(text):
    """Without what a page groups thousands by, and with plain spaces."""
    return text.replace("\u202f", "").replace("\u00a0", " ")


@REPEATS
def test_a_report_and_the_terminal_show_the_same_figures_and_verdicts(repeats):
    result = samples.live(repeats=repeats, extras=False)
    shown = {row[0]: row for row in cells(print_summary, result)}
    for row in verdict(result, against_baseline(result)).rows:
        total, downtime, data = row.cells[:3]
        figures = [
            bare(each.value if each.interval is None else f"{each.value} [{each.interval.replace(' to ', ', ')}]")
            for each in (total, downtime, data)
        ]
        judged = ["-", "-"] if row.baseline else [bare(total.effect), bare(total.meaning)]
        n = row.n + (f" ({row.coverage})" if row.coverage else "")
        found = shown[row.method]
        assert [found[0], *found[1:6], *found[-2:]] == [
            row.method, *figures, *judged, row.verified_text.replace(" of ", "/"), n,
        ]  # fmt: skip


@REPEATS
def test_a_comparison_has_one_verdict_on_the_screen_on_a_page_in_a_mail_and_for_a_program(repeats):
    old, new = (samples.live(repeats, extras=False, bandwidth=each) for each in (125_000_000, None))
    view = compare(old, new, ("old", "new"))
    words = [line.of.words for line in view.primary]
    assert words
    figures = {line.metric for line in view.primary}
    screen = [row for row in cells(print_comparison, view) if figures & set(row[:2])]
    assert [row[-1] for row in screen] == words
    mail = [line.split(" | ")[-1].strip(" |*") for line in as_markdown(view).splitlines() if line.startswith("| ")][2:]
    assert [each.partition(";")[0] for each in mail] == words
    assert [each["words"] for each in as_data(view)["changes"] if each["verdict"] != "unjudged"] == words
    page = [bare(html.unescape(each)) for each in re.findall('data-label="Verdict">([^<]*)<', render_comparison(view))]
    assert [each.partition(";")[0] for each in page if each != "no verdict"] == words
