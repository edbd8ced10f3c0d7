"""Makes the guest's kernel and initrd once and keeps them: each a file with a note beside it of what it was made of.

They stay as they are until they are deleted, so that results compare; the note's digest tells a file that was cut short or changed.
The same packages give the same bytes. Processes may ask at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import MissingError
from harness.guests.linux.cpio import Tree, archive, data_file
from harness.guests.linux.debian import Debian
from harness.guests.linux.gather import Gathered, gather
from harness.guests.linux.recipe import KERNEL, Recipe
from harness.results.cache import ELSEWHERE

Tell = Callable[[str], None]
_FORMAT = 1
"""Raised whenever the same recipe and packages give other bytes."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file of the guest. ``sha256``: of its bytes. ``packages``: name -> version, of what is in it."""

    path: Path
    sha256: str
    packages: dict[str, str]


def make(recipe: Recipe, cache: Path, tell: Tell = lambda _: None) -> Made:
    """What ``recipe`` gives, from ``cache`` or made now. ``tell``: is told what takes long, in a sentence.

    :raises MissingError: apt cannot fetch a package, or there is no room.
    """
    folder = cache / "linux"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{recipe.name}.lock"):
            return _kept(recipe, folder) or _made(recipe, folder, tell)
    except OSError as exc:
        raise MissingError(f"{folder}: cannot keep the linux guest there: {exc.strerror}; {ELSEWHERE}") from exc


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Whoever comes second waits, and finds what the first has made."""
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _kept(recipe: Recipe, folder: Path) -> Made | None:
    path = folder / recipe.name
    try:
        note = json.loads(_note_of(path).read_bytes())
        with path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == note["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return Made(path, note["sha256"], note["packages"]) if whole and note["recipe"] == _digest(recipe) else None


def _made(recipe: Recipe, folder: Path, tell: Tell) -> Made:
    tell(f"making {recipe.name} of the linux guest, once")
    with tempfile.TemporaryDirectory(prefix=".packages-", dir=folder) as packages:
        debian = Debian(Path(packages), tell)
        found = gather(debian, recipe.packages, recipe.wanted)
        data = _kernel(found) if recipe is KERNEL else archive({**found.tree, **recipe.own, **_data(recipe, debian)})
    path = folder / recipe.name
    made = Made(path, hashlib.sha256(data).hexdigest(), found.packages)
    note = {"recipe": _digest(recipe), "sha256": made.sha256, "packages": made.packages}
    _note_of(path).unlink(missing_ok=True)  # a file without its note is not used
    _write(path, data)
    _write(_note_of(path), json.dumps(note, indent=1).encode())
    return made


def _kernel(found: Gathered) -> bytes:
    (entry,) = found.tree.values()
    return entry.data


def _data(recipe: Recipe, debian: Debian) -> Tree:
    if not recipe.data:
        return {}
    catalogue = debian.catalogue()
    return {path: data_file(make_from(catalogue)) for path, make_from in recipe.data.items()}


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _digest(recipe: Recipe) -> str:
    own = {path: (entry.mode, hashlib.sha256(entry.data).hexdigest()) for path, entry in recipe.own.items()}
    parts = [_FORMAT, recipe.packages, recipe.wanted, own, sorted(recipe.data)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    temporary.replace(path)
