"""``pageferry compare``: two saved results side by side, their verdicts, and a gate for whoever must stop a regression."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.terminal import one_line

if TYPE_CHECKING:
    from harness.results.result import Result
    from reports.run.comparison import Comparison

_EPILOG = """\b
Examples:
  pageferry compare out/before out/after
  pageferry compare out/before out/after --fail-on worse
  pageferry compare out/before out/after --fail-on worse:total_time,downtime:5%
  pageferry compare out/before out/after --markdown >mail.md
  pageferry compare out/amd out/intel --anyway --out out/compare.html

\b
Total time, downtime, data (wire_bytes) and CPU (cpu_total) get a verdict; the page and --json have the other
figures too. Results whose scenario, guest, link or kind of machine differ are refused without --anyway.
Exit status 0: compared, and nothing that --fail-on names is worse. 8: something is, or a method no longer
completes or verifies. 2: the two cannot be compared, or --fail-on could never fail for want of runs.
"""


@click.command(epilog=_EPILOG, short_help="Compare two saved results, and fail where one is worse.")
@click.argument("base", type=click.Path(path_type=Path), metavar="BASE")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@click.option("--fail-on", metavar="WHAT", help="Exit with 8 where NEW is worse: worse, or worse:METRIC[:PERCENT%],...")
@click.option("--smallest-effect", metavar="PERCENT%", help="The change that matters [as BASE's scenario says, or 2%].")
@click.option("--anyway", is_flag=True, help="Compare even unlike experiments.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, for a mail or a merge request.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Also write a page there.")
def command(
    *,
    base: Path,
    new: Path,
    fail_on: str | None,
    smallest_effect: str | None,
    anyway: bool,
    form: str | None,
    out: Path | None,
) -> None:
    """Compare the methods that the results BASE and NEW have in common: is NEW better, worse or the same?"""
    from harness.errors import UserError
    from harness.results.gate import parse_gate, share_of
    from harness.results.result import load_result
    from reports.run.comparison import compare
    from reports.run.page import write_comparison

    gate = None if fail_on is None else parse_gate(fail_on)
    smallest = None if smallest_effect is None else share_of(smallest_effect, "--smallest-effect")
    if smallest == 0:
        raise UserError("--smallest-effect 0%: must be above zero, for no two figures are wholly the same")
    before, after = load_result(base), load_result(new)
    view = compare(before, after, (str(base), str(new)), smallest)
    _check_alike(view, anyway=anyway)
    changes = [(line.method, line.of) for line in view.primary]
    if gate is not None:
        gate.check_can_fail(changes)
    _show(view, before, after, form)
    if out is not None:
        write_comparison(view, out)
        click.echo(one_line(f"comparison: {out}"), err=form is not None)
    if gate is not None:
        _judge([*gate.broken(changes), *view.lost], new)


def _check_alike(view: Comparison, *, anyway: bool) -> None:
    """:raises UserError: these are two experiments, or have nothing in common."""
    from harness.errors import UserError

    if view.unlike and not anyway:
        shown = "; ".join(view.unlike[:8]) + (f"; and {len(view.unlike) - 8} more" if len(view.unlike) > 8 else "")
        raise UserError(
            one_line(f"{view.label_a} and {view.label_b} are two experiments: {shown}; --anyway compares them")
        )


def _show(view: Comparison, before: Result, after: Result, form: str | None) -> None:
    import json

    from harness.console import make_console, plain
    from harness.errors import UserError
    from reports.run.mail import as_data, as_markdown
    from reports.terminal.comparison import frontier_changes, print_comparison

    searches = bool(before.frontiers and after.frontiers)
    if not (view.lines or searches):
        raise UserError(
            f"{view.label_a} and {view.label_b} have no completed method in common; compare results of like scenarios"
        )
    if form == "json":
        click.echo(json.dumps(as_data(view), indent=1, allow_nan=False))
    elif form == "markdown":
        click.echo(as_markdown(view), nl=False)
    elif searches:
        title = f"A = {plain(view.label_a)}, B = {plain(view.label_b)}: frontiers A -> B"
        make_console().print(frontier_changes(before, after, title))
    else:
        print_comparison(make_console(), view)


def _judge(reasons: list[str], new: Path) -> None:
    """:raises RegressionError: there is a reason."""
    from harness.errors import RegressionError

    if reasons:
        raise RegressionError(one_line(f"{new}: {'; '.join(reasons)}"))
