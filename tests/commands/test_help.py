"""What a command says of itself: nothing cut off, no riddle; and the words that a shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

import scenarios
from backends import registry
from harness import cli
from harness.migrator.config import SendConfig
from harness.scenario.usual import USUAL_METHODS

RIDDLES = {"INTEGER", "INTEGER RANGE", "FLOAT", "FLOAT RANGE", "TEXT", "PATH", "DIRECTORY"}
COUNTED = {"N", "SIZE", "DURATION", "SHARE", "LEVEL", "MINUTES"}
"""Of these a reader asks at once what it is without him."""


def walked(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Every command, and those below it."""
    context = click.Context(command, info_name=" ".join(("pageferry", *words)))
    yield words, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walked(below, (*words, name))


ALL = [*walked(cli._CLI)]
OPTIONS = [
    (f"{' '.join(words)} {option.opts[0]}", option, context)
    for words, context in ALL
    for option in context.command.params
    if isinstance(option, click.Option)
]


def test_every_command_was_found():
    assert {("send",), ("opencl", "build"), ("tls", "init"), ("hosts", "prepare")} < {words for words, _ in ALL}
    assert len(OPTIONS) > 100


@pytest.mark.parametrize(("words", "context"), ALL, ids=[" ".join(words) or "pageferry" for words, _ in ALL])
def test_what_a_command_is_for_is_never_cut_off(words, context):
    commands = re.findall(r"(?s)\nCommands:\n(.*?)(?:\n\n|\Z)", context.get_help())
    assert bool(commands) == isinstance(context.command, click.Group)
    assert "..." not in "".join(commands)


@pytest.mark.parametrize(("option", "context"), [each[1:] for each in OPTIONS], ids=[each[0] for each in OPTIONS])
def test_every_option_says_what_it_is_in_what_unit_and_what_without_it(option, context):
    assert option.help
    shown = option.make_metavar(context)
    assert option.is_flag or shown not in RIDDLES
    if shown in COUNTED and not option.required:
        assert re.search(r"\[.+\]", option.help) or option.show_default, option.help


def test_send_names_the_levels_and_defaults_of_every_backend_that_comes_with_us():
    said = SendConfig.__dataclass_fields__["level"].type
    text = str(said)
    for name in registry.names():
        info = registry.load(name).info
        if info.levels is not None:
            assert f"{name} {info.levels[0]} to {info.levels[1]}" in text
            assert info.default_level == (0 if name == "lz4" else 1), "the help has the defaults as [1; lz4 0]"


def completed(*words: str) -> list[str]:
    """What bash is told when Tab is pressed behind them."""
    asked = {"COMP_WORDS": " ".join(("pageferry", *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli"],
        env={**os.environ, **asked, "_PAGEFERRY_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_shell_completes_commands_options_and_scenarios():
    assert completed("doc") == ["plain,doctor"]
    assert completed("send", "--lev") == ["plain,--level"]
    assert completed("list", "meth") == ["plain,methods"]
    wanted = [f"plain,{name}" for name in scenarios.names() if name.startswith("th")]
    for command in ("run", "fleet", "record"):
        assert completed(command, "th") == [*wanted, "file,th"]


def test_the_list_of_methods_is_what_a_scenario_without_any_gets(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["list", "methods"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows if " = " in row] == [table["name"] for table in USUAL_METHODS]
