"""Registries of kinds: what a name in a scenario or on the command line stands for. One line adds one of ours; an entry point in
the group ``pageferry.guests`` (``links``, ``hosts``, ``transports``) one of somebody else's.

Nothing is imported before it is asked for by name, so a registry costs nothing and no layer imports a higher one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from harness.errors import UserError

Kind = TypeVar("Kind")


class Kinds(Generic[Kind]):
    """``what`` in the singular: "guest". ``contract``: the class that all of them extend. ``ours``: name -> "module:class"."""

    def __init__(self, what: str, contract: type[Kind], ours: Mapping[str, str]) -> None:
        self.what = what
        self.group = f"pageferry.{what}s"
        self._contract = contract
        self._ours = dict(ours)

    def names(self) -> list[str]:
        """Every name, ours first."""
        theirs = sorted({point.name for point in self._theirs()})
        return list(dict.fromkeys([*self._ours, *theirs]))

    def load(self, name: str) -> type[Kind]:
        """The class behind ``name``.

        :raises UserError: nobody, or more than one, claims the name, or what is behind it is broken or no such kind.
        """
        points = [EntryPoint(name, self._ours[name], self.group)] if name in self._ours else []
        points += [point for point in self._theirs() if point.name == name]
        if not points:
            raise UserError(self._unknown(name))
        if len(points) > 1:
            claimed = " and ".join(point.value for point in points)
            raise UserError(f"{self.what} kind {name!r} is claimed by {claimed}; uninstall all but one of them")
        try:
            found: object = points[0].load()
        except Exception as exc:  # a plug-in's module may raise anything
            why = " ".join(f"{type(exc).__name__}: {exc}".split())
            raise UserError(
                f"{self.what} kind {name!r} ({points[0].value}) cannot be loaded: {why}; fix or uninstall it"
            ) from exc
        if not (isinstance(found, type) and issubclass(found, self._contract)):
            raise UserError(f"{self.what} kind {name!r} ({points[0].value}) is not a {self._contract.__name__}")
        return found

    def _theirs(self) -> tuple[EntryPoint, ...]:
        return _installed(self.group, tuple(sys.path))

    def _unknown(self, name: str) -> str:
        known = self.names()
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown {self.what} kind {name!r}; {hint}known: {', '.join(known)}"


@functools.cache
def _installed(group: str, _: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What the distributions on that path bring. Kept: a look through all of them takes 12 ms, and a sweep asks for each cell."""
    return tuple(entry_points(group=group))
