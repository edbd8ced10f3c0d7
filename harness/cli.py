"""The command ``pageferry``: arguments in, exit status out. Each command is a module of ``harness.commands``.

Command modules are imported when they are used, and import what is heavy when they run, so that ``--help`` is quick. A shell that
completes a line starts it with ``_PAGEFERRY_COMPLETE``, as click has it.
Exit statuses are drawn in ``harness.errors``; 70 is a bug of ours, 141 a reader of our output that went away; 130 is Ctrl-C, 143
SIGTERM, 129 SIGHUP.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from harness.errors import PageferryError, ResultError, refused
from harness.hosts.claims import release_all
from harness.hosts.signals import WORDS, arrived, interruptible, raise_if_arrived
from harness.terminal import OutputError, cover_absent_streams, give_up_output, guarded_output, tell

_COMPLETE = "_PAGEFERRY_COMPLETE"
EXIT_BUG = 70
EXIT_SIGNAL = 128
EXIT_BROKEN_PIPE = 141

_COMMANDS = {
    "run": "harness.commands.run",
    "fleet": "harness.commands.fleet",
    "advise": "harness.commands.advise",
    "list": "harness.commands.listing",
    "bench": "harness.commands.bench",
    "doctor": "harness.commands.doctor",
    "send": "harness.commands.send",
    "receive": "harness.commands.receive",
    "record": "harness.commands.record",
    "info": "harness.commands.info",
    "report": "harness.commands.report",
    "compare": "harness.commands.compare",
    "selftest": "harness.commands.selftest",
    "qualify": "harness.commands.qualify",
    "opencl": "harness.commands.opencl",
    "tls": "harness.commands.tls",
    "faults": "harness.commands.faults",
    "hosts": "harness.commands.hosts",
    "agent": "harness.commands.agent",
}

_EPILOG = """\b
Examples:
  pageferry doctor
  pageferry run throttled --out out/throttled
  pageferry run unlimited throttled --set guest.memory=2GiB --out out/both

\b
Exit status:
  0 done                    4 QEMU failed
  1 a run failed            5 the other side or the link failed
  2 arguments or scenario   6 a codec failed
  3 missing on this machine 7 a result file; 8 worse than before (compare --fail-on)
  130 Ctrl-C, 143 SIGTERM, 129 hung up

\b
So that the Tab key completes commands, options and scenarios (in ~/.bashrc; zsh_source and fish_source are the others' words):
  eval "$(_PAGEFERRY_COMPLETE=bash_source pageferry)"
"""


@dataclass(slots=True)
class Settings:
    """What the options that every command has were set to. ``owns_process``: nothing runs in it but this command line."""

    debug: bool = False
    owns_process: bool = False


class _Commands(click.Group):
    """Commands by name, each imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.command is not a click command")
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(_debug_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from harness.names import unknown

            raise click.UsageError(unknown("command", args[0], list(_COMMANDS)), ctx)
        return super().resolve_command(ctx, args)


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Settings).debug = True  # type: ignore[union-attr]
        from harness.commands.debugging import log_details

        log_details()


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help="Log details; show errors in full."
    )


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"pageferry {version('pageferry')}")
        ctx.exit()


_CLI = _Commands(
    name="pageferry",
    help="Moves the memory of a running QEMU/KVM guest, compressed, with an unmodified QEMU, and measures what that bought.",
    epilog=_EPILOG,
    params=[
        _debug_option(),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line ``args`` (default: the process's own) and give its exit status."""
    settings = Settings(owns_process=args is None)
    cover_absent_streams()
    _have_a_home()
    try:
        with guarded_output(), interruptible(release_all, ends_program=args is None):
            if args is None and _COMPLETE in os.environ:
                return _complete(os.environ[_COMPLETE])
            # Not click's own main(): it swallows Ctrl-C and broken pipes.
            with _CLI.make_context("pageferry", list(sys.argv[1:] if args is None else args), obj=settings) as ctx:
                _CLI.invoke(ctx)
            sys.stdout.flush()
            raise_if_arrived()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except OutputError as exc:
        give_up_output()
        return EXIT_BROKEN_PIPE if exc.reader_left and arrived() is None else _report(ResultError(str(exc)))
    except BaseException as exc:  # every error ends as one line and a status; --debug shows the rest
        if settings.debug and not isinstance(exc, click.ClickException):
            import traceback

            for line in traceback.format_exc().splitlines():
                tell(line)
        return _report(exc)
    return 0


def _complete(instruction: str) -> int:
    """What a shell asks for: the script that teaches it (``bash_source``), or the words that may stand next."""
    from click.shell_completion import shell_complete

    return shell_complete(_CLI, {"obj": Settings()}, "pageferry", _COMPLETE, instruction)


def _have_a_home() -> None:
    """Libraries ask for it when imported. Whoever has none (a container's user) gets the root folder, as Docker has it."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def _as_ours(exc: BaseException) -> BaseException:
    """What it, or what it came of, was refused by the host, if that is so and nobody has put it into words."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(exc, PageferryError):
        if lack := refused(cause):
            return lack
        cause = cause.__cause__ or cause.__context__
    return exc


def _report(exc: BaseException) -> int:
    """Say ``exc`` in one line on stderr, and give the exit status for it."""
    if isinstance(exc, SystemExit):
        raise exc
    number = arrived() or (signal.SIGINT if isinstance(exc, KeyboardInterrupt) else None)
    if number is not None:
        tell(f"pageferry: {WORDS[number]}")
        return EXIT_SIGNAL + number
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        for line in exc.format_message().splitlines():
            tell(line)
        return exc.exit_code
    if isinstance(exc, click.UsageError):
        command = exc.ctx.command_path if exc.ctx is not None else "pageferry"
        message = exc.format_message().replace("\n", " ").rstrip(".")
        tell(f"pageferry: error: {message}; see `{command} --help`")
        return exc.exit_code
    if isinstance(exc, click.ClickException):
        tell(f"pageferry: error: {exc.format_message()}")
        return exc.exit_code
    if isinstance(exc := _as_ours(exc), PageferryError):
        tell(f"pageferry: error: {exc}")
        return exc.exit_status
    words = " ".join(f"{type(exc).__name__}: {exc}".split())
    tell(f"pageferry: error: a bug in pageferry: {words}; run again with --debug and report the output")
    return EXIT_BUG


if __name__ == "__main__":
    sys.exit(main())
