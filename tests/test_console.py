"""Tables keep words whole on every terminal: narrower ones where a column may wrap, and blocks of lines where none may any more."""

import io

import pytest
import report_samples
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.console import make_table
from reports.terminal.summary import print_summary

WORDS = st.text(alphabet="abcxyz019-", min_size=1, max_size=16)
CELLS = st.lists(WORDS, max_size=4).map(" ".join)
TABLES = st.integers(1, 8).flatmap(
    lambda columns: st.tuples(
        st.lists(st.text(alphabet="ABC", min_size=1, max_size=9), min_size=columns, max_size=columns),
        st.lists(st.lists(CELLS, min_size=columns, max_size=columns), max_size=4),
    )
)


def printed(table, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, emoji=False)
    console.print(table)
    return console.file.getvalue()


@given(TABLES, st.integers(40, 200), st.booleans())
def test_no_word_is_broken_and_none_is_lost_or_too_wide(table, width, numbers):
    heads, rows = table
    made = make_table("t", *heads, numbers=numbers)
    for row in rows:
        made.add_row(*row)
    text = printed(made, width)
    assert all(len(line) <= width for line in text.splitlines())
    there = text.split()
    for row in rows:
        for word in " ".join(row).split():
            assert word in there
            there.remove(word)


@given(TABLES)
def test_where_all_fits_each_row_is_one_line(table):
    heads, rows = table
    made = make_table("t", *heads)
    for row in rows:
        made.add_row(*row)
    assert len(printed(made, 1000).splitlines()) == len(rows) + 5  # title, head and rule, and a blank line twice


def test_a_word_longer_than_any_of_ours_is_broken_so_that_a_table_stays_one():
    made = make_table("t", "name", "where")
    made.add_row("isal", "/" + "x" * 60)
    assert "name   where" in printed(made, 60)


def test_a_block_leaves_out_what_is_empty_and_goes_on_where_its_first_column_is():
    made = make_table("t", "method", "figure", "figure of merit", "note")
    made.add_row("isal-1", "total", "1250-1300-1350", "")
    made.add_row("", "downtime", "41", "short")
    assert [line.rstrip() for line in printed(made, 36).splitlines()] == [
        "t",
        "",
        "isal-1",
        "  figure           total",
        "  figure of merit  1250-1300-1350",
        "",
        "  figure           downtime",
        "  figure of merit  41",
        "  note             short",
    ]


@pytest.mark.parametrize("width", [40, 80, 100, 170])
def test_a_summary_keeps_its_figures_whole_on_any_terminal(width):
    console = Console(width=width, file=io.StringIO(), highlight=False, emoji=False)
    print_summary(console, report_samples.live())
    words = console.file.getvalue().split()
    for word in ("qemu-compress-zlib-1", "[1351,", "1395]", "verified", "better"):
        assert word in words
