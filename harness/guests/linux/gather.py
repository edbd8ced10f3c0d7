"""Picks files out of packages, with the libraries that they need and nothing else.

Which packages hold the libraries is found from file to file: what a program names is looked for in what its package depends on.
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from harness.errors import MissingError
from harness.guests.linux.cpio import Entry
from harness.guests.linux.debian import Debian, Package, merged
from harness.guests.linux.elf import needs

_LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64")
_MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Gathered:
    """``tree``: path -> what is there. ``packages``: name -> version, of those from which something was taken."""

    tree: dict[str, Entry]
    packages: dict[str, str]


@dataclass(slots=True)
class _Round:
    """What can be taken from the packages at hand, and what cannot."""

    tree: dict[str, Entry] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def gather(debian: Debian, roots: Sequence[str], wanted: Sequence[str]) -> Gathered:
    """What ``wanted`` names (patterns with * and ?) out of the packages ``roots``, and of those that they depend on where need be.

    :raises MissingError: a package, or what is wanted of one, is not there.
    """
    held: dict[str, Package] = {}
    asked: set[str] = set()
    names = list(roots)
    for _ in range(_MOST_ROUNDS):
        held |= {package.name: package for package in (debian.fetch(names) if names else ())}
        asked |= {*names, *held}
        owners = {path: package for package in held.values() for path in package.paths}
        found = _take(owners, wanted)
        suppliers = {owners[path].name: owners[path].version for path in found.tree}
        if not (found.unmatched or found.missing):
            return Gathered(found.tree, suppliers)
        # A package without what is wanted may stand for another; a library is one of what its user depends on.
        names = [name for name in debian.depends(held if found.unmatched else suppliers) if name not in asked]
        if not names:
            break
    lacking = ", ".join([*found.unmatched, *found.missing])
    raise MissingError(f"{lacking}: not in Debian's {' '.join(roots)} of this release, nor in what that depends on")


def _take(owners: Mapping[str, Package], wanted: Sequence[str]) -> _Round:
    found = _Round()
    open_paths: list[str] = []
    for pattern in wanted:
        matches = [path for path in owners if fnmatchcase(path, pattern)]
        open_paths += matches
        if not matches:
            found.unmatched.append(pattern)
    while open_paths:
        path = open_paths.pop()
        if path in found.tree:
            continue
        entry = found.tree[path] = owners[path].read(path)
        for need in _needed(path, entry):
            home = next((at for at in need if at in owners), None)
            if home is not None:
                open_paths.append(home)
            elif need[0] not in found.missing:
                found.missing.append(need[0])
    return found


def _needed(path: str, entry: Entry) -> list[list[str]]:
    """What else must be there, each as the paths at which it may be."""
    if stat.S_ISLNK(entry.mode):
        target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), entry.data.decode()))
        return [[merged(target.lstrip("/"))]]
    has = needs(entry.data)
    libraries = [[f"{folder}/{name}" for folder in _LIBRARY_FOLDERS] for name in has.libraries]
    return [*libraries, *([[merged(has.interpreter.lstrip("/"))]] if has.interpreter else [])]
