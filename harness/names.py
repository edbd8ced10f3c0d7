"""What to say of a name that nobody knows: the nearest ones that somebody does. Knows no list of names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from harness.terminal import one_line

_MOST_NAMES = 30


def near(name: str, known: Sequence[str]) -> str:
    """``did you mean 'zstd'? ``, or nothing where no name is near."""
    found = get_close_matches(name, known, n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """A sentence for a name nobody knows: the nearest one, then the known ones."""
    shown = one_line(repr(name if len(name) <= 80 else f"{name[:77]}..."))
    return f"{shown}: {_told(what, name, known)}"


def unknown_key(key: str, known: Sequence[str]) -> str:
    """The same of a key, for a line that begins with its place, and so with its name."""
    return _told("key", key, known)


def _told(what: str, name: str, known: Sequence[str]) -> str:
    some = ", ".join(known[:_MOST_NAMES]) + (
        f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    )
    return f"unknown {what}; {near(name, known)}known: {some or 'none'}"
