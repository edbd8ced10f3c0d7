"""``pageferry list``: what there is to run and to run it with, and why what is missing is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from harness.kinds import Kinds
    from harness.scenario.kinds import GuestKind, LinkKind

Kind = TypeVar("Kind", "GuestKind", "LinkKind")

_EPILOG = """\b
Examples:
  pageferry list
  pageferry list backends
  pageferry list scenarios

\b
scenarios come with pageferry: `pageferry run NAME`. methods are those of a scenario that names none.
"""


@click.command(
    name="list", epilog=_EPILOG, short_help="List scenarios, methods, backends, guests, links and recordings."
)
@click.argument(
    "what",
    required=False,
    type=click.Choice(["scenarios", "methods", "backends", "guests", "links", "recordings"]),
)
def command(*, what: str | None) -> None:
    """List scenarios, methods, backends, guests, links or recordings (all when not told), and why what is missing is missing."""
    from harness.console import make_console

    console = make_console()
    tables = {
        "scenarios": _scenarios,
        "methods": _methods,
        "backends": _backends,
        "guests": _guests,
        "links": _links,
        "recordings": _recordings,
    }
    for name, table in tables.items():
        if what in (None, name):
            console.print(table())


def _backends() -> Table:
    from backends.registry import survey
    from harness.console import make_table, plain

    table = make_table(
        "backends", "name", "here", "levels", "default", "device", "from", "version, or why it is missing"
    )
    for backend in survey():
        levels = "-" if backend.levels is None else f"{backend.levels[0]} to {backend.levels[1]}"
        why = backend.version if backend.available else f"{backend.reason}; {backend.remedy}"
        default = "-" if backend.default_level is None else str(backend.default_level)
        here = "[green]yes[/]" if backend.available else "[red]no[/]"
        table.add_row(
            plain(backend.name),
            here,
            levels,
            default,
            plain(backend.device or "-"),
            plain(backend.origin),
            plain(why or ""),
        )
    return table


def _scenarios() -> Table:
    import scenarios
    from harness.console import make_table, plain
    from harness.scenario.model import load_scenario

    table = make_table("scenarios (pageferry run NAME)", "name", "what it tells", "guest", "methods")
    for name in scenarios.names():
        scenario = load_scenario(name)
        table.add_row(plain(name), plain(scenario.description), scenario.guest.kind, str(len(scenario.methods)))
    return table


def _methods() -> Table:
    from harness.console import make_table, plain
    from harness.scenario.fault import shown
    from harness.scenario.usual import USUAL_METHODS

    table = make_table("methods (of a scenario that names none)", "name", "engine", "as a scenario says it")
    for method in USUAL_METHODS:
        said = [f"{key} = {shown(value)}" for key, value in method.items() if key not in ("name", "engine")]
        table.add_row(method["name"], method["engine"], plain(", ".join(said)))
    return table


def _guests() -> Table:
    from harness.experiment.environment import kvm_problem, qemu_version
    from harness.scenario.kinds import GUESTS

    qemu = qemu_version("qemu-system-x86_64")
    problem = kvm_problem()
    speed = "under KVM if a probe boot works" if problem is None else f"under TCG, for {problem}"
    live = f"QEMU {qemu}, {speed}" if qemu else "qemu-system-x86_64 is not on PATH; apt install qemu-system-x86"

    def look(kind: type[GuestKind]) -> tuple[bool, str]:
        return (bool(qemu), live) if kind.settings.has_qemu else (True, "-")

    return _kinds("guests (guest.kind of a scenario)", "runs on, or why not", GUESTS, look)


def _links() -> Table:
    from harness.scenario.kinds import LINKS

    def look(kind: type[LinkKind]) -> tuple[bool, str]:
        missing = kind.missing()
        return missing is None, missing or "-"

    return _kinds("links (link.kind of a scenario)", "why not", LINKS, look)


def _recordings() -> Table:
    import scenarios
    from harness.console import make_table, plain
    from harness.streams.recording.reader import open_recording
    from harness.units import format_bytes

    table = make_table(
        "recordings (guest.stream of a scenario)", "name", "stream", "file", "passes", "guest", "recorded"
    )
    for name in scenarios.recording_names():
        if (path := scenarios.find_recording(name)) is not None:
            found = open_recording(path)
            facts, about = found.index.facts, found.about
            sizes = (format_bytes(facts.stream_bytes), format_bytes(found.file_bytes), str(len(facts.passes)))
            guest = " ".join(str(about.guest[key]) for key in ("kind", "workload") if key in about.guest)
            table.add_row(plain(name), *sizes, plain(guest), plain(about.recorded_at))
    if not table.row_count:
        table.caption = "none is here; `make recordings` in pageferry's repository makes those of three Linux guests"
    return table


def _kinds(title: str, last: str, kinds: Kinds[Kind], look: Callable[[type[Kind]], tuple[bool, str]]) -> Table:
    """``look``: whether a kind is here, and what to say of that. One that cannot be loaded is told, and hides no other."""
    from harness.console import make_table, plain
    from harness.errors import UserError

    table = make_table(title, "kind", "here", "what it is", last)
    for name in kinds.names():
        try:
            kind = kinds.load(name)
            summary, (here, said) = kind.summary or "-", look(kind)
        except UserError as exc:
            summary, here, said = "-", False, str(exc)
        table.add_row(plain(name), "[green]yes[/]" if here else "[red]no[/]", plain(summary), plain(said))
    return table
