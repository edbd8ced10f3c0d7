"""What the pages tell a user to type, to open and to follow is there."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from pathlib import Path

import click
import pytest

import scenarios
from harness import cli

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = ("agents", "auto", "dask", "dirty", "docs", "libvirt", "multifd", "pageferry", "systemd", "zstd")
"""Words that begin a sentence as they are."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """With a mark in place of what is quoted of files, terminals and tables, which a sentence may go on behind."""
    fenced = re.sub(r"^```.*?^```", "@", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return "\n".join("@" if line.startswith(("    ", "|", "<!--")) else line for line in fenced.splitlines())


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page):
    lost = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def files_named(page: Path) -> list[str]:
    """All but those of QEMU's own sources."""
    found = re.findall(r"(?<![\w/.:-])(?:harness|backends|reports|scenarios|tests|docs|\.ci)/[\w./-]+\w", text_of(page))
    return [name for name in found if not name.startswith("tests/migration-stress/")]


@each_page
def test_files_that_a_page_names_are_there(page):
    assert [name for name in files_named(page) if not (ROOT / name).exists()] == []


def test_the_rules_here_find_what_they_look_for():
    assert len(files_named(ROOT / "docs" / "architecture.md")) > 80
    assert {name for page in PAGES for _, name, _ in typed(page)} >= set(cli._COMMANDS) - {"selftest"} - {"list"}
    assert "what-the-guest-felt" in anchors(ROOT / "docs" / "guests.md")


def typed(page: Path) -> list[tuple[click.Command, str, str]]:
    """Each command of ours on the page, with what stands behind it in that line."""
    root = cli._CLI
    joined = text_of(page).replace("\\\n", " ")
    found = []
    for name, rest in re.findall(r"\bpageferry ([a-z]+)\b([^`\n#|]*)", joined):
        command = root.get_command(click.Context(root), name)
        if isinstance(command, click.Group) and (word := re.match(r" ([a-z]+)", rest)):
            command = command.get_command(click.Context(command), word[1]) or command
        if command is not None:
            found.append((command, name, rest))
    return found


@each_page
def test_options_that_a_page_gives_to_a_command_are_its_own(page):
    unknown = []
    for command, name, rest in typed(page):
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        unknown += [
            f"{name} {option}" for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest) if option not in known
        ]
    assert unknown == []


@each_page
def test_scenarios_that_a_page_runs_come_with_pageferry_or_are_files(page):
    lost = []
    for _, name, rest in typed(page):
        if name in ("run", "fleet") and (word := re.match(r" ([a-z][\w-]*(?:\.toml)?)", rest)):
            lost += [word[1]] if not word[1].endswith(".toml") and word[1] not in scenarios.names() else []
    assert lost == []


@each_page
def test_environments_that_a_page_runs_are_tox_s(page):
    ini = RawConfigParser()
    ini.read(ROOT / "tox.ini")
    known = " ".join(ini.sections()) + ini["tox"]["labels"]
    named = re.findall(r"tox (?:run )?-[em] ([a-z]+)", text_of(page))
    assert [name for name in named if name not in known] == []


@each_page
def test_sentences_begin_with_a_capital_or_a_name(page):
    begun = re.findall(r"[a-z)][.?!] +([a-z][\w/]*)", " ".join(prose(page).splitlines()))
    assert [word for word in begun if not re.split(r"[/_-]", word)[0].startswith(NAMES)] == []
