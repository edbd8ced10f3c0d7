"""What a target is, and the errors that any of them may end with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import PageferryError
from harness.terminal import one_line

__all__ = ["Target", "refused"]


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` gives what is wrong, or None; what it raises is wrong too. ``seeds``: right inputs, from which others are made.
    ``text``: inputs are text, of which whole words and lines are moved, not only bytes. ``most_bytes``: of an input."""

    name: str
    run: Callable[[bytes], str | None]
    seeds: Callable[[], list[bytes]]
    text: bool = False
    most_bytes: int = 1 << 14


def refused(act: Callable[[], object], *errors: type[Exception]) -> bool:
    """Whether ``act`` refused its input as it should: by one of our errors, or ``errors``, that can be shown in a line."""
    try:
        act()
    except (PageferryError, *errors) as exc:
        shown = one_line(str(exc))
        assert shown, "an error without words"
        shown.encode()
        return True
    return False
