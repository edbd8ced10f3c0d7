"""``pageferry qualify``: a backend in, a certificate and an exit status out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import pair_options, tell_undrawn
from harness.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from harness.qualify.runner import Plan
    from harness.results.certificate import Certificate, CheckResult

_EPILOG = """\b
Examples:
  pageferry qualify isal
  pageferry qualify opencl --option device=cpu
  pageferry qualify mycard --profile full --soak 60 --thresholds lab.toml --out out/mycard
  pageferry qualify mycard --only hostile --only speed.latency
  pageferry qualify --compare out/old/certificate.json out/new/certificate.json
  pageferry qualify --verify out/mycard/certificate.json
  pageferry qualify mycard --pair lab --hosts hosts.toml

\b
Fills DIR with certificate.json, certificate.html, certificate.xml (JUnit) and logs/. Checks run in child processes, so
that a crash or a hang is a failed check, and the rest goes on. Let nothing else run meanwhile: it measures.
With --pair it runs on both hosts, one after the other: DIR/source and DIR/destination have a certificate each, which says
of which host it is, and DIR/comparison.html both beside each other.
Exit status 0: pass. 1: a check failed. 2: could not run; what is missing is named.
--verify judges a certificate by the shipped checks and limits, whatever it says itself. 0: all of it passes.
1: it does not pass, or something was changed; each change is named. 2: it is no certificate. It cannot tell invented values.
"""
_COULD_NOT_RUN = 2
_MARKS = {"pass": "[green]pass[/]", "fail": "[bold red]FAIL[/]", "n/a": "[dim]n/a [/]"}


@click.command(epilog=_EPILOG, short_help="Certify a backend: does it work, and does it pay?")
@click.argument("backend", required=False, metavar="BACKEND")
@click.option(
    "--level",
    type=int,
    metavar="LEVEL",
    help="Compression level, as `pageferry list backends` has them [the backend's default].",
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the backend; VALUE as in TOML."
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="quick takes up to 3 min.",
)
@click.option(
    "--class",
    "backend_class",
    type=click.Choice(["software", "accelerator", "stand-in"]),
    help="Class of thresholds to apply [by the device].",
)
@click.option(
    "--thresholds", type=click.Path(path_type=Path), metavar="FILE", help="A lab's own limits, over the shipped ones."
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check, group or shell pattern.")
@click.option(
    "--soak",
    type=click.FloatRange(0.01, 1e5),
    metavar="MINUTES",
    help="How long to watch its rate under load [4 s; full: 10 min].",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Folder [out/qualify/BACKEND]."
)
@click.option("--list", "listed", is_flag=True, help="List the checks and the reason for each.")
@click.option("--compare", nargs=2, type=click.Path(path_type=Path), metavar="A B", help="Compare two certificates.")
@click.option(
    "--verify",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Check that a certificate's verdict follows from its results.",
)
@pair_options
def command(
    *,
    backend: str | None,
    level: int | None,
    options: tuple[str, ...],
    profile: str,
    backend_class: str | None,
    thresholds: Path | None,
    only: tuple[str, ...],
    soak: float | None,
    out: Path | None,
    listed: bool,
    compare: tuple[Path, Path] | None,
    verify: Path | None,
    pair: str | None,
    hosts: Path,
) -> None:
    """Try everything that BACKEND must do in a live migration, measure what it costs, and write a certificate."""
    from harness.commands.options import parse_options
    from harness.console import make_console
    from harness.errors import CodecError, MissingError
    from harness.qualify.runner import Plan

    console = make_console()
    if listed or compare or verify:
        if listed:
            _list(console)
        if compare:
            _compare(console, *compare, out)
        if verify:
            click.get_current_context().exit(_verify(console, verify))
        return
    if backend is None:
        raise click.UsageError("Missing argument 'BACKEND'", click.get_current_context())
    out = out or Path("out") / "qualify" / backend
    plan = Plan(
        backend,
        level,
        parse_options(options),
        profile,
        backend_class,
        thresholds,
        only,
        None if soak is None else soak * 60,
    )
    try:
        if pair is not None:
            from harness.commands.qualify_pair import qualify_pair
            from harness.scenario.inventory import load_pair

            verdicts = qualify_pair(console, plan, options, load_pair(pair, hosts), pair, out=out)
        else:
            verdicts = [_qualify(console, plan, out).verdict]
    except (MissingError, CodecError) as exc:
        tell(f"pageferry: could not run: {exc}")
        click.get_current_context().exit(_COULD_NOT_RUN)
    if set(verdicts) != {"pass"}:
        click.get_current_context().exit(1)


def _qualify(console: Console, plan: Plan, out: Path) -> Certificate:
    from harness.commands.interrupted import telling_files
    from harness.commands.qualify_pair import PAGES, write_pages
    from harness.console import plain
    from harness.experiment.outputs import CERTIFICATE_FILES, replacing
    from harness.qualify.runner import check_plan, qualify
    from harness.results.certificate import save_certificate

    check_plan(plan)
    with telling_files(out, "certificate.json", *PAGES):
        with replacing(out, CERTIFICATE_FILES) as settle:
            certificate = qualify(plan, out, _printer(console))
            save_certificate(certificate, out / "certificate.json")
            settle()
        write_pages(certificate, out)
        _print_verdict(console, certificate)
    console.print(f"certificate: {plain(out / 'certificate.html')}", soft_wrap=True)
    return certificate


def _printer(console: Console) -> Callable[[CheckResult, int, int], None]:
    from harness.console import plain

    def show(result: CheckResult, number: int, total: int) -> None:
        head = f"{number:>2}/{total} {_MARKS[result.status]} {plain(result.id):<27} {result.duration_s:>5.1f} s  "
        console.print(head + plain(result.evidence), soft_wrap=True)

    return show


def _print_verdict(console: Console, certificate: Certificate) -> None:
    from harness.console import plain, print_note
    from reports.certificate.view import doubts

    counts = {status: sum(check.status == status for check in certificate.checks) for status in ("pass", "fail", "n/a")}
    partial = ", only the checks asked for" if certificate.partial else ""
    word = "[bold green]PASS[/]" if certificate.verdict == "pass" else "[bold red]FAIL[/]"
    console.print(
        f"\n{word}: {plain(certificate.backend)} ({plain(certificate.version)}) as {plain(certificate.backend_class)}, "
        f"{certificate.profile}{partial}: {counts['pass']} passed, {counts['fail']} failed, {counts['n/a']} not applicable, "
        f"{certificate.duration_s:.0f} s",
        soft_wrap=True,
    )
    for check in certificate.checks:
        if check.status == "fail":
            console.print(f"  {plain(check.id)}: again with: {plain(check.command)}", soft_wrap=True)
    for sentence in doubts(certificate):
        print_note(console, sentence)
    for finding in certificate.findings:
        console.print(plain(finding), soft_wrap=True)


def _verify(console: Console, path: Path) -> int:
    """Its exit status."""
    from harness.console import plain
    from harness.errors import ResultError
    from harness.qualify.audit import audit
    from harness.results.certificate import read_certificate

    try:
        certificate = read_certificate(path)
    except ResultError as exc:
        tell(f"pageferry: error: {exc}")
        return _COULD_NOT_RUN
    found = audit(certificate)
    for sentence in found:
        console.print(plain(sentence), soft_wrap=True, highlight=False)
    good = certificate.verdict == "pass" and not found
    words = "passes by the shipped checks and limits" if good else "is no pass by the shipped checks and limits"
    console.print(f"{plain(path)}: {plain(certificate.backend)} {words}", soft_wrap=True, highlight=False)
    return 0 if good else 1


def _list(console: Console) -> None:
    from harness.console import make_table, plain
    from harness.qualify.catalogue import CHECKS

    table = make_table("checks", "check", "what is true where it passes", "why it is made")
    for check in CHECKS.values():
        table.add_row(plain(check.id), check.title, check.reason)
    console.print(table)


def _compare(console: Console, a: Path, b: Path, out: Path | None) -> None:
    from harness.console import make_table, plain, print_warning
    from harness.qualify.audit import audit
    from harness.results.certificate import load_certificate
    from reports.certificate.page import comparison_rows, write_certificate_comparison

    first, second = load_certificate(a), load_certificate(b)
    for path, one in ((a, first), (b, second)):
        for sentence in audit(one):
            print_warning(console, f"{path}: {sentence}")
    table = make_table(f"A: {plain(a)}, B: {plain(b)}", "check", "value", "A", "B", "change", "A", "B")
    for row in comparison_rows(first, second):
        table.add_row(
            *(plain(cell) for cell in (row.check, row.name, row.a, row.b, row.change, row.status_a, row.status_b))
        )
    console.print(table)
    if out is not None:
        write_certificate_comparison(first, second, out / "comparison.html", (str(a), str(b)))
        tell_undrawn()
        console.print(f"page: {plain(out / 'comparison.html')}", soft_wrap=True)
