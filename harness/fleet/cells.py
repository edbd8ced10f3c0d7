"""A fleet's cells: each a scenario on a pair."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from harness.experiment.campaign import Part
from harness.experiment.runner import is_whole
from harness.fleet.orders import Order
from harness.results.identity import Identity

__all__ = ["THIS_MACHINE", "Begun", "Cell", "Ended"]

THIS_MACHINE = "local"
"""The pair where no other is named: both sides of a migration are here."""


@dataclass(frozen=True, slots=True)
class Cell:
    """``part``: the scenario as it is on ``pair``, and the folder of its result."""

    part: Part
    pair: str

    @property
    def name(self) -> str:
        """No other cell of a fleet has it."""
        return self.part.scenario.name

    def is_whole(self) -> bool:
        """Whether all of its runs are on the disk. :raises PageferryError: its file cannot be gone on with."""
        return is_whole(self.part.scenario, self.part.result)

    def order(self, identity: Identity, session: str) -> Order:
        """For its worker."""
        return Order(self.name, session, pickle.dumps((self.part, identity)))


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker took the cell; more than once where one died."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The cell is over; ``problem``: why it is not whole, in a line."""

    problem: str | None
