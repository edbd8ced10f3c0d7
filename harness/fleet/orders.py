"""What the client, a worker and its leader say to each other: plain data. Light, for a worker reads no scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

INTERRUPTED = "interrupted"
"""The problem of a cell that was told to end."""

Said = tuple[Literal["event"], bytes] | tuple[Literal["ended"], str | None]
"""A leader's word: an event, pickled; or that the cell is over, and why it is not whole."""


@dataclass(frozen=True, slots=True)
class Order:
    """A cell to run. ``session``: of this very command. ``code``: of which sources it is.

    ``packed``: scenario, folder and identity, pickled.
    """

    name: str
    session: str
    code: str
    packed: bytes
