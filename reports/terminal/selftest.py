"""A self-test on the screen: how often a comparison of like with like found something. Knows its document and rich."""

from __future__ import annotations

from rich.console import Console

from harness.console import make_table, plain, print_note, print_warning
from harness.results.metrics import METRICS
from harness.results.selftest import Rate, SelfTest
from harness.results.verdicts import share_text
from reports.numbers import plural

_HEADS = ("what", "false alarms", "share", "with 95 %", "allowed at most")


def print_selftest(console: Console, told: SelfTest) -> None:
    """A table, what it adds up to, and how far that reaches."""
    compared = f"{plural(len(told.pairs), 'comparison')} of like with like"
    table = make_table(
        f"{plain(told.scenario)}: {compared}, {plural(len(told.methods), 'method')}, n = {told.repeats}", *_HEADS
    )
    table.add_row("whole comparison", *_row(told.whole))
    for key in told.metrics:
        table.add_row(plain(METRICS[key].words), *_row(told.rate(key)))
    console.print(table)
    console.print(plain(sentence(told.whole)), soft_wrap=True)
    for words, rate in [("comparisons", told.whole), *((METRICS[key].words, told.rate(key)) for key in told.metrics)]:
        if rate.broken:
            print_warning(
                console,
                f"{words}: more false alarms than the rule allows: `pageferry doctor` says what disturbs figures here",
            )
    if told.spoiled_runs:
        print_warning(console, f"{plural(told.spoiled_runs, 'run')} did not complete, or brought wrong memory")
    whole = told.whole
    if whole.comparisons < whole.needed and not whole.broken:
        words = f"that no more than {share_text(whole.allowed)} raise one, {whole.needed} comparisons without any would show"
        print_note(console, words)


def sentence(rate: Rate) -> str:
    """``0 false alarms in 20 comparisons: fewer than 13.9 % with 95 % confidence, where the rule allows 3 %.``"""
    low, high = rate.interval
    share = f"{low * 100:.1f} to {high * 100:.1f} %" if rate.alarms else f"fewer than {high * 100:.1f} %"
    counted = f"{plural(rate.alarms, 'false alarm')} in {plural(rate.comparisons, 'comparison')}"
    return f"{counted}: {share} with 95 % confidence, where the rule allows {share_text(rate.allowed)}."


def _row(rate: Rate) -> tuple[str, ...]:
    low, high = rate.interval
    share = f"{rate.alarms / rate.comparisons * 100:.1f} %"
    between = f"{low * 100:.1f} to {high * 100:.1f} %"
    return f"{rate.alarms} of {rate.comparisons}", share, between, share_text(rate.allowed)
