"""``pageferry opencl``: which OpenCL devices are here, and programs saved for them, so that no compiler runs in a migration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.errors import CodecError, MissingError
from harness.terminal import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from backends.opencl.devices import DeviceRow
    from backends.opencl.manifest import Manifest

T = TypeVar("T")

_EPILOG = """\b
Examples:
  pageferry opencl devices
  pageferry opencl build --device cpu --block 64KiB --out deflate.bin
  pageferry opencl manifest --device accelerator --binary deflate.xclbin --block 64KiB --style task

\b
A scenario names the device, and the binary if there is one, in a method's options:
  options = {device = "opencl:0:0", binary = "deflate.xclbin", block = "64KiB"}
"""

_BLOCKS = {"4KiB": 4096, "64KiB": 65536}
_STYLES = ("wi", "wg", "task")


class _DeviceName(click.ParamType[Any]):
    name = "device"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from backends.opencl.devices import check_name
        from backends.opencl.errors import OpenclError

        try:
            check_name(str(value))
        except OpenclError as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


_device = click.option(
    "--device", type=_DeviceName(), metavar="DEVICE",
    help="opencl:PLATFORM:DEVICE, each an index or a part of the name; gpu, accelerator or cpu; [a GPU, else an accelerator].",
)  # fmt: skip
_block = click.option(
    "--block",
    type=click.Choice(list(_BLOCKS)),
    default="64KiB",
    show_default=True,
    help="What is compressed as a unit.",
)


@click.group(epilog=_EPILOG, short_help="Show OpenCL devices; save programs for them.")
def command() -> None:
    """Show the OpenCL devices of this machine, and save the programs that the backend opencl runs on them."""


@command.command(epilog="\b\nExample:\n  pageferry opencl devices", short_help="List the devices of every driver.")
@click.option("--json", "as_json", is_flag=True, help="Print the devices as JSON.")
def devices(*, as_json: bool) -> None:
    """List the devices of every driver, by the names that --device and scenarios take."""
    import dataclasses
    import json

    from backends.opencl.probe import probe_in_child
    from harness.console import make_console

    rows = _told(probe_in_child)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
        return
    _print_devices(make_console(), rows)


@command.command(
    epilog="\b\nExample:\n  pageferry opencl build --device gpu --block 4KiB --out deflate.bin",
    short_help="Build the kernels for a device, and save them.",
)
@_device
@_block
@click.option("--style", type=click.Choice(_STYLES), help="Kernel style that suits the device [by its type].")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The program."
)
def build(*, device: str | None, block: str, style: str | None, out: Path) -> None:
    """Build the kernels for a device, test them on it, and save the program with a manifest (FILE.json) beside it."""
    from backends.opencl.binary import save_in_child
    from backends.opencl.devices import DeviceConfig

    config = DeviceConfig(device=device, block_bytes=_BLOCKS[block], style=style)
    click.echo(one_line(_line(out, _told(lambda: save_in_child(config, out)))))


@command.command(
    epilog="\b\nExample:\n"
    "  pageferry opencl manifest --device accelerator --binary deflate.xclbin --block 64KiB --style task\n\n"
    "The device must be here, as the manifest names it and its driver's version.",
    short_help="Describe a program that the device's own tools made.",
)
@_device
@click.option(
    "--binary", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The program."
)
@_block
@click.option("--style", type=click.Choice(_STYLES), required=True, help="Kernel style of the program.")
@click.option(
    "--kernel", "kernels", multiple=True, metavar="NAME", help="A kernel in the program; repeat it [all three]."
)
def manifest(*, device: str | None, binary: Path, block: str, style: str, kernels: tuple[str, ...]) -> None:
    """Write the manifest (FILE.json) of a program that the device's own tools made, such as an .aocx or .xclbin."""
    from backends.opencl.binary import describe_binary
    from backends.opencl.contract import KERNELS
    from backends.opencl.devices import DeviceConfig

    config = DeviceConfig(device=device, binary=str(binary), block_bytes=_BLOCKS[block], style=style)
    click.echo(one_line(_line(binary, _told(lambda: describe_binary(config, kernels or KERNELS)))))


def _told(action: Callable[[], T]) -> T:
    """:raises MissingError: something is not on this machine. :raises CodecError: a device or a file of its is faulty."""
    from backends.opencl.errors import OpenclError, OpenclMissing

    try:
        return action()
    except OpenclMissing as exc:
        raise MissingError(str(exc)) from exc
    except OpenclError as exc:
        raise CodecError(str(exc)) from exc


def _line(path: Path, made: Manifest) -> str:
    what = f"{made.size_bytes} bytes, SHA-256 {made.sha256[:16]}..., blocks of {made.block_bytes} bytes, style {made.style}"
    return f"{path}: {what}, for {made.platform} / {made.device}, driver {made.driver}"


def _print_devices(console: Console, rows: list[DeviceRow]) -> None:
    from backends.opencl.devices import DeviceConfig, choose
    from backends.opencl.errors import OpenclError
    from harness.console import make_table, plain
    from harness.units import format_bytes

    table = make_table(
        "OpenCL devices", "name here", "type", "device", "platform", "driver", "units", "memory", "local"
    )
    for row in rows:
        memory = format_bytes(row.global_memory_bytes) + (" (the host's)" if row.unified_memory else "")
        cells = (row.type, row.name, row.platform, row.driver, str(row.compute_units), memory)
        table.add_row(plain(row.selector), *map(plain, cells), format_bytes(row.local_memory_bytes))
    console.print(table)
    try:
        by_rule = str(choose(rows, DeviceConfig()))
    except OpenclError:
        by_rule = "none, as there is no GPU or accelerator here; a CPU must be named"
    console.print(f"used where none is named: {plain(by_rule)}", soft_wrap=True)
