"""The sections of an index on what a sweep's cells say together: articles with a chart each, and the charts across links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.result import Result
from reports.drawing.chart import Chart
from reports.sweep import break_even, break_even_article, distance, encryption, matrix, regret
from reports.sweep.article import Article
from reports.sweep.charts import break_even as break_even_charts
from reports.sweep.charts import distance as distance_charts
from reports.sweep.charts import encryption as encryption_charts
from reports.sweep.charts import frontiers
from reports.sweep.charts import matrix as matrix_charts
from reports.sweep.charts import regret as regret_charts

across = frontiers.charts


@dataclass(frozen=True, slots=True)
class Section:
    """``key``: its name in a link."""

    key: str
    title: str
    articles: tuple[tuple[Article, Chart], ...]


def sections(results: Sequence[Result]) -> tuple[Section, ...]:
    """Those that the results have anything for."""
    every = (
        Section("matrix", "Cells beside each other", _matrices(results)),
        Section("regret", "auto beside the best fixed choice", _regrets(results)),
        Section("distance", "What distance costs", _distances(results)),
        Section("encryption", "What encrypting costs", _encryptions(results)),
        Section("break-even", "Where compression stops paying", _break_evens(results)),
    )
    return tuple(section for section in every if section.articles)


def _matrices(results: Sequence[Result]) -> tuple[tuple[Article, Chart], ...]:
    found = enumerate(matrix.matrices(results), 1)
    drawn = ((matrix.article(each), matrix_charts.chart(number, each)) for number, each in found)
    return tuple((article, chart) for article, chart in drawn if chart is not None)


def _regrets(results: Sequence[Result]) -> tuple[tuple[Article, Chart], ...]:
    rows = regret.regrets(results)
    return ((regret.article(rows), regret_charts.chart(rows)),) if rows else ()


def _distances(results: Sequence[Result]) -> tuple[tuple[Article, Chart], ...]:
    found = enumerate(distance.groups(results), 1)
    return tuple((distance.article(each), distance_charts.chart(number, each)) for number, each in found if each.times)


def _encryptions(results: Sequence[Result]) -> tuple[tuple[Article, Chart], ...]:
    found = enumerate(encryption.groups(results), 1)
    return tuple((encryption.article(each), encryption_charts.chart(number, each)) for number, each in found)


def _break_evens(results: Sequence[Result]) -> tuple[tuple[Article, Chart], ...]:
    found = enumerate(break_even.groups(results), 1)
    return tuple((break_even_article.article(each), break_even_charts.chart(number, each)) for number, each in found)
