"""What a command says that a signal ends: where its results lie, which of its files are not written, and how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.hosts.signals import arrived
from harness.terminal import tell

if TYPE_CHECKING:
    from harness.experiment.campaign import Campaign


@contextlib.contextmanager
def telling(words: Callable[[], str]) -> Iterator[None]:
    """Where a signal ends what is inside: a line with them."""
    try:
        yield
    except BaseException as exc:
        if isinstance(exc, KeyboardInterrupt) or arrived() is not None:
            tell(f"pageferry: {words()}")
        raise


@contextlib.contextmanager
def telling_campaign(campaign: Campaign, pages: Callable[[], Mapping[Path, Sequence[Path]]] = dict) -> Iterator[None]:
    """The same of the runs that finished. ``pages``: what is made of them, and of which results each."""

    def words() -> str:
        if not campaign.is_used():
            return f"no run had finished: {campaign.folder.parent} is as it was"
        late = [
            str(page.relative_to(campaign.folder))
            for page, results in pages().items()
            if _written_ns(page) < max(map(_written_ns, results))
        ]
        return f"what finished is in {campaign.folder}{_without(late)}; the same command with --resume goes on"

    with telling(words):
        yield


@contextlib.contextmanager
def telling_files(folder: Path, *names: str, remedy: str = "") -> Iterator[None]:
    """The same of a command that fills ``folder`` with files of these ``names``, each whole or not at all."""
    before = {name: _written_ns(folder / name) for name in names}

    def words() -> str:
        there = [name for name in names if _written_ns(folder / name) not in (0, before[name])]
        if not there:
            return f"nothing was written: {folder} is as it was"
        late = [name for name in names if name not in there]
        return f"{folder} has {', '.join(there)}{_without(late)}{remedy}"

    with telling(words):
        yield


def _without(late: Sequence[str]) -> str:
    return f", without {', '.join(late)}" if late else ""


def _written_ns(path: Path) -> int:
    """When; 0: it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
