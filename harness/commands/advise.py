"""``pageferry advise``: what to migrate a guest with over a link, from a few replays of its pages and the model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import BANDWIDTH, DURATION, RATE
from harness.units import MIB

if TYPE_CHECKING:
    from rich.console import Console

    from harness.advise.adviser import Measured
    from harness.advise.subject import Subject
    from harness.results.advice import Advice

_DEFAULT_DOWNTIME_LIMIT_S = 0.3

_EPILOG = """\b
Examples:
  pageferry advise --bandwidth 1Gbit/s
  pageferry advise --guest throttled --bandwidth 1Gbit/s
  pageferry advise --guest guest.pfs --bandwidth 100Mbit/s --dirty-rate 20MiB/s --downtime-limit 500ms
  pageferry advise --guest my/scenario.toml --bandwidth 10Gbit/s --cores 4 --repeats 9 --out out/advice

\b
Takes a minute or two: each method that is installed replays the guest's pages through the real pair a few times, without a
link limit; the rest is the model. DIR gets advice.html, advice.json, and the replays in measured/result.json.
Exit status 0: there is an advice, which may be that the guest does not converge.
"""


@click.command(epilog=_EPILOG, short_help="Say what to migrate a guest with over a link.")
@click.option(
    "--guest",
    default="linux-redis",
    metavar="SCENARIO|STREAM",
    help="A scenario's name or file, a recorded stream, or a recording of `pageferry list recordings` [linux-redis].",
)
@click.option("--bandwidth", required=True, type=BANDWIDTH, help="The link's bandwidth, such as 1Gbit/s, or unlimited.")
@click.option(
    "--cores", type=click.IntRange(1), metavar="N", help="How many cores of this machine to measure on [all]."
)
@click.option("--downtime-limit", type=DURATION, help="QEMU's downtime-limit [the scenario's, or 300ms].")
@click.option("--dirty-rate", type=RATE, help="The guest's dirty rate, such as 20MiB/s [the scenario's].")
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=5, metavar="N", help="How often each method is replayed [5]."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for page and data [out/advise].",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the advice there too."
)
def command(
    *,
    guest: str,
    bandwidth: int | None,
    cores: int | None,
    downtime_limit: float | None,
    dirty_rate: int | None,
    repeats: int,
    out: Path | None,
    json_file: Path | None,
) -> None:
    """Measure what each method costs on this guest's pages, and say which one suits the link, and up to which bandwidth."""
    from harness.advise.adviser import conclude
    from harness.advise.subject import read_subject
    from harness.commands.interrupted import telling_files
    from harness.commands.options import check_writable, tell_undrawn
    from harness.console import make_console, plain
    from harness.experiment.outputs import ADVICE_FILES, replacing
    from harness.hosts.pinning import on_cores
    from harness.results.advice import Question, save_advice
    from reports.advice.page import write_advice

    check_writable(json_file, "advice")
    console, folder = make_console(), out or Path("out", "advise")
    subject = read_subject(guest, dirty_rate)
    with telling_files(folder, "measured/result.json", "advice.json", "advice.html"):
        with on_cores(cores) as measured_on, replacing(folder, ADVICE_FILES) as settle:
            measured = _measure(
                console, subject, bandwidth=bandwidth, cores=measured_on, repeats=repeats, folder=folder / "measured"
            )
            settle()
        question = Question(
            guest=subject.name,
            stream_bytes=round(subject.guest.first_pass_bytes),
            bandwidth_bytes_per_s=bandwidth,
            cores=measured_on,
            downtime_limit_s=downtime_limit or subject.downtime_limit_s or _DEFAULT_DOWNTIME_LIMIT_S,
            dirty_bytes_per_s=subject.dirty_bytes_per_s,
            working_set_bytes=round(subject.guest.working_set_bytes),
        )
        advice = conclude(question, subject.guest, measured, subject.notes)
        for path in [folder / "advice.json", *([json_file] if json_file else [])]:
            save_advice(advice, path)
        write_advice(advice, folder / "advice.html")
        tell_undrawn()
        _print(console, advice)
    console.print(f"advice: {plain(folder / 'advice.html')}", soft_wrap=True)


def _measure(
    console: Console, subject: Subject, *, bandwidth: int | None, cores: int, repeats: int, folder: Path
) -> Measured:
    from harness.advise.costing import measure
    from harness.console import plain
    from harness.experiment.progress import progress
    from harness.migrator.choose.auto import CANDIDATES

    console.print(
        f"{plain(subject.name)}: {len(CANDIDATES)} methods, {repeats} replays each, {cores} cores", soft_wrap=True
    )
    return measure(
        subject.settings,
        bandwidth_bytes_per_s=bandwidth,
        cores=cores,
        repeats=repeats,
        folder=folder,
        progress=partial(progress, console),
    )


def _print(console: Console, advice: Advice) -> None:
    from harness.console import make_table, plain, print_warning
    from harness.results.advice_words import pays_up_to, rate_text, time_text
    from harness.units import format_bandwidth, format_duration
    from reports.intervals import held_text

    link = format_bandwidth(advice.question.bandwidth_bytes_per_s)
    console.print(f"\n[bold]{plain(link)}: {plain(advice.recommended)}[/]")
    for sentence in advice.because:
        console.print(plain(sentence), soft_wrap=True)
    table = make_table(
        "medians \\[interval], and beside n how surely it holds",
        "method",
        "n",
        "ratio",
        "MiB/s, no limit",
        f"MiB/s at {link}",
        "total",
        "downtime",
        "faster than none up to",
        numbers=True,
    )
    for method in advice.methods:
        mark = "[green]>[/] " if method.method == advice.recommended else "  "
        downtime = f"{format_duration(method.downtime_least_s)} to {format_duration(method.downtime_most_s)}"
        table.add_row(
            mark + plain(method.method),
            f"{method.n} ({held_text(method.n)})" if method.n > 1 else "1",
            f"{method.ratio.value:.2f}",
            plain(rate_text(method.pair_bytes_per_s)),
            f"{method.delivered_bytes_per_s.value / MIB:.0f}",
            plain(time_text(method.total_time_s)),
            downtime if method.converges else "-",
            plain(pays_up_to(method.break_even)),
        )
    console.print(table)
    for name, reason in advice.missing.items():
        console.print(f"{plain(name)}: not measured: {plain(reason)}", soft_wrap=True)
    for note in advice.notes:
        print_warning(console, note)
    for line in ("", *advice.commands):
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
    if advice.qemu:
        console.print(f"\n{plain(advice.qemu_why)}\n", soft_wrap=True)
        for line in advice.qemu:
            console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
