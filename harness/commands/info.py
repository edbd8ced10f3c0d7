"""``pageferry info``: what a recorded stream is made of, as tables and bars or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from harness.streams.info import StreamInfo
    from harness.streams.recording.layout import About

_BAR_WIDTH = 30
_MOST_ROWS = 50
_EPILOG = """\b
Examples:
  pageferry info guest.pfs
  pageferry info guest.pfs --json | jq .pages.classes
FILE may also be a name of `pageferry list recordings`.

\b
All of the stream is read, and a recording's checksums are checked. Page classes, the first that fits:
  zero          nothing but zeros
  repeated      one value of 8 bytes, over and over
  mostly zeros  at least three quarters of its bytes are zero
  text          at least 95 % of its bytes are printable ASCII, spaces and line ends
  random        at least 7.5 bits of entropy in a byte: compressed, encrypted or random data
  mixed         the rest: code, pointers, structures
"""


@click.command(epilog=_EPILOG, short_help="Show what a recorded stream is made of.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, file: Path, as_json: bool) -> None:
    """Show the guest, the passes and the pages of a stream that pageferry record kept in FILE."""
    import scenarios
    from harness.console import make_console, plain
    from harness.streams.info import DOCUMENT, read_info

    console, shipped = make_console(), scenarios.find_recording(str(file))
    file = file if shipped is None or file.exists() else shipped
    if as_json or not console.is_terminal:
        found = read_info(file)
    else:
        with console.status(f"reading {plain(file)}") as status:
            found = read_info(file, lambda read, of: status.update(f"reading {plain(file)}: {read / max(of, 1):.0%}"))
    if as_json:
        click.echo(DOCUMENT.dump_json(found, indent=1))
    else:
        _print(console, found)


def _print(console: Console, found: StreamInfo) -> None:
    from harness.console import plain, print_warning

    for name, value in _facts(found):
        console.print(f"[bold]{plain(name)}[/]  {plain(value)}", soft_wrap=True)
    if found.facts.opaque_reason is not None:
        print_warning(console, f"not all pages are known: {found.facts.opaque_reason}")
    console.print()
    pages = found.pages
    sent = sum(pages.classes.values()) + pages.packed
    raw = sum(pages.entropy)
    classes = [*pages.classes.items(), *([("packed by QEMU", pages.packed)] if pages.packed else [])]
    console.print(_counts("pages sent, by class", "class", classes, sent))
    bins = [(f"{n} to {n + 1}", count) for n, count in enumerate(pages.entropy)]
    console.print(_counts("pages sent with their bytes, by entropy", "bits a byte", bins, raw))
    repeats = [
        ("same contents as an earlier page", pages.duplicates),
        ("address sent before", pages.sent_again),
        ("address sent before, unchanged", pages.unchanged),
    ]
    console.print(_counts("pages sent with their bytes, repeats", "repeat", repeats, raw))
    console.print(_passes(found))


def _facts(found: StreamInfo) -> Iterator[tuple[str, str]]:
    from harness.units import format_bytes

    facts, about = found.facts, found.about
    size = format_bytes(facts.stream_bytes)
    if found.chunk_bytes is not None:
        ratio = facts.stream_bytes / max(found.file_bytes, 1)
        size += f", kept in {format_bytes(found.file_bytes)} (ratio {ratio:.2f})"
        size += f", chunks of {format_bytes(found.chunk_bytes)}"
    yield "stream", f"{size}, machine {facts.machine or 'not known'}, XXH3 {facts.digest}"
    if about is not None:
        yield from _told(about)


def _told(about: About) -> Iterator[tuple[str, str]]:
    from harness.units import format_bandwidth

    scenario = f", scenario {about.scenario}" if about.scenario else ""
    yield "recorded", f"{about.recorded_at} by pageferry {about.pageferry}{scenario}"
    if about.sample is not None:
        yield "a sample", f"{about.sample.words}; the rest is left out"
    if about.guest:
        yield "guest", ", ".join(_said(name, value) for name, value in about.guest.items())
    if about.environment:
        known = [_said(name, value) for name, value in about.environment.items() if value is not None]
        yield "ran in", ", ".join([*known, f"bandwidth {format_bandwidth(about.bandwidth_bytes_per_s)}"])
    if about.licences:
        first, *more = about.licences.strip().splitlines() or [""]
        yield "licences", first + (f" ... ({len(more)} lines more: --json)" if more else "")


def _said(name: str, value: object) -> str:
    """A setting with its unit, as its name has it."""
    from harness.units import format_bytes

    for ending, unit in (("_bytes", ""), ("_bytes_per_s", "/s")):
        if name.endswith(ending) and isinstance(value, int):
            return f"{name.removesuffix(ending)} {format_bytes(value)}{unit}"
    return f"{name} {value}"


def _counts(title: str, what: str, rows: Sequence[tuple[str, int]], total: int) -> Table:
    from rich.bar import Bar

    from harness.console import make_table

    table = make_table(title, what, "pages", "share", "", numbers=True)
    for name, count in rows:
        share = count / total if total else 0.0
        table.add_row(name, f"{count:,}", f"{share:.1%}", Bar(max(total, 1), 0, count, width=_BAR_WIDTH))
    return table


def _passes(found: StreamInfo) -> Table:
    from rich.bar import Bar

    from harness.console import make_table
    from harness.units import format_bytes, format_duration

    table = make_table("passes", "pass", "begins", "pages", "zero", "packed", "stream", "", numbers=True)
    passes = found.facts.passes
    places = [*(each.stream_at for each in passes), found.facts.stream_bytes]
    sizes = [end - begin for begin, end in pairwise(places)]
    for number, (each, size) in enumerate(zip(passes[:_MOST_ROWS], sizes, strict=False), start=1):
        table.add_row(
            f"{number}, guest stopped" if each.stopped else str(number),
            "-" if found.about is None else format_duration(each.began_s),
            *(f"{count:,}" for count in (each.raw_pages, each.zero_pages, each.other_pages)),
            format_bytes(size),
            Bar(max(sizes), 0, size, width=_BAR_WIDTH),
        )
    if more := passes[_MOST_ROWS:]:
        table.caption = f"and {len(more)} more: --json has all"
    return table
