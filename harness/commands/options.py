"""What several commands share: option types that speak pageferry's units, and statistics written as JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import ResultError, UserError
from harness.terminal import tell
from harness.units import parse_bandwidth, parse_bytes, parse_duration, parse_rate, parse_share

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Quantity(click.ParamType[Any]):
    """Text with a unit. ``parse``: raises ValueError with what is wrong; ``problem``: of a value, or "" where it will do."""

    def __init__(self, name: str, parse: Callable[[str], Any], problem: Callable[[Any], str] = lambda _: "") -> None:
        self.name, self._parse, self._problem = name, parse, problem

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            quantity = self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if problem := self._problem(quantity):
            self.fail(f"{value!r}: {problem}", param, ctx)
        return quantity


def _too_small(quantity: float) -> str:
    return "" if quantity > 0 else "must be above zero"


BANDWIDTH = _Quantity("bandwidth", parse_bandwidth)
RATE = _Quantity("rate", parse_rate)
SIZE = _Quantity("size", parse_bytes, _too_small)
DURATION = _Quantity("duration", parse_duration, _too_small)
SHARE = _Quantity("share", parse_share, lambda share: "" if share <= 1 else "must be at most 100%")


def experiment_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--set``, ``--only``, ``--tag`` and ``--resume`` of what runs scenarios into folders of their own."""
    for option in (
        click.option("--resume", is_flag=True, help="Go on with OUT/latest: run what of it has not been run."),
        click.option(
            "--tag", "tags", multiple=True, metavar="TAG", help="Keep this word in the results, such as nightly."
        ),
        click.option(
            "--only", multiple=True, metavar="METHOD", help="Run only this method (or shell pattern) and the baseline."
        ),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of the scenarios."),
    ):
        command = option(command)
    return command


def pair_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--pair`` and ``--hosts``."""
    hosts = click.option(
        "--hosts", type=click.Path(path_type=Path), default=Path("hosts.toml"), show_default=True, metavar="FILE",
        help="The file that has the pair.",
    )  # fmt: skip
    pair = click.option("--pair", metavar="NAME", help="Between the two hosts of this pair, by ssh; see docs/hosts.md.")
    return pair(hosts(command))


def complete_scenarios(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the Tab key: those that come with us, and files."""
    from click.shell_completion import CompletionItem

    import scenarios

    found = [CompletionItem(name) for name in scenarios.names() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def announce(line: str) -> None:
    """A line for whoever waits for it (a person, a script): at once, on stderr, for stdout may carry data."""
    tell(f"pageferry: {line}")


def parse_options(pairs: Sequence[str]) -> dict[str, str | int | float | bool]:
    """``NAME=VALUE`` as TOML reads the value (a bare word is text). :raises UserError: no ``=``."""
    import tomllib

    options: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UserError(f"--option {pair}: write NAME=VALUE")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        if not isinstance(value, bool | int | float | str):
            raise UserError(f"--option {pair}: must be true, false, a number or text; put text in quotes")
        options[key] = value
    return options


def check_writable(path: Path | None, what: str = "statistics") -> None:
    """Find out before the work that its document could not be written after it. :raises UserError: so it is."""
    if path is None:
        return
    target = Path(os.path.realpath(path))
    special = os.path.exists(target) and not os.path.isfile(target)  # noqa: PTH110, PTH113 - no access is no exception
    written = target if special else target.parent
    if target.is_dir():
        reason = "it is a folder; name a file"
    elif not special and not written.is_dir():
        reason = f"{written} is not a folder; choose another place"
    elif not os.access(written, os.W_OK):
        reason = f"{written} may not be written to; choose another place"
    else:
        return
    raise UserError(f"{path}: cannot write the {what} there: {reason}")


def write_statistics(report: object, path: Path | None) -> None:
    """As JSON to ``path``, whole or not at all, once the migration is over. :raises ResultError: it cannot be written."""
    from harness.migrator.document import dumped
    from harness.results.saving import save_whole

    if path is None:
        return
    try:
        save_whole(dumped(report), path, "statistics", "place")
    except ResultError as exc:
        raise ResultError(f"the migration is done, only its statistics are not kept: {exc}") from exc


def tell_undrawn(told: str = "") -> None:
    """A line on why the pages just written lack charts, if they do; ``told``: what another process said of it."""
    from reports.drawing.vega import undrawn

    if why := undrawn() or told:
        tell(f"pageferry: {why}")
