"""A fleet's cells: each a scenario on a pair."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.experiment.campaign import Part
from harness.experiment.runner import is_whole
from harness.fleet.orders import Order
from harness.hosts.agent.identity import code_digest
from harness.links.pair import across
from harness.results.identity import Identity
from harness.scenario.inventory import Pair
from harness.scenario.model import Scenario

THIS_MACHINE = "this machine"
"""The pair where none is named: both sides of a migration are here. No pair of a file of hosts can be called so."""


@dataclass(frozen=True, slots=True)
class Cell:
    """``part``: the scenario as it is on ``pair``, and the folder of its result."""

    part: Part
    pair: str

    @property
    def name(self) -> str:
        """No other cell of a fleet has it."""
        return _name(self.part.scenario, self.pair)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.part.scenario.name} on {self.pair}"

    def is_whole(self) -> bool:
        """Whether all of its runs are on the disk. :raises PageferryError: its file cannot be gone on with."""
        return is_whole(self.part.scenario, self.part.result)

    def order(self, identity: Identity, session: str) -> Order:
        """For its worker."""
        part = replace(self.part, folder=self.part.folder.absolute())
        return Order(self.name, session, code_digest(), pickle.dumps((part, identity)))


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker took the cell; more than once where one died."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The cell is over; ``problem``: why it is not whole, in a line."""

    problem: str | None


def spread(scenarios: Sequence[Scenario], pairs: Mapping[str, Pair]) -> list[tuple[str, Scenario, str]]:
    """Each of them on each pair, or on this machine where there is none: a cell's name, scenario and pair.

    :raises UserError: a scenario cannot be run across a pair.
    """
    if not pairs:
        return [(scenario.name, scenario, THIS_MACHINE) for scenario in scenarios]
    return [
        (_name(scenario, name), across(scenario, name, pair), name)
        for scenario in scenarios
        for name, pair in pairs.items()
    ]


def _name(scenario: Scenario, pair: str) -> str:
    return scenario.name if pair == THIS_MACHINE else f"{scenario.name}@{pair}"


def apart(pairs: Mapping[str, Pair]) -> list[tuple[str, ...]]:
    """Names of pairs in groups: pairs of two groups have no host in common, so cells may run on both at a time."""
    groups: list[tuple[tuple[str, ...], set[tuple[Path | None, str]]]] = []
    for name, pair in pairs.items():
        mine = {(pair.ssh_config, host) for host in (pair.source, pair.destination)}
        joined = [group for group in groups if group[1] & mine]
        names = (*(one for group in joined for one in group[0]), name)
        groups = [group for group in groups if group not in joined]
        groups.append((names, mine.union(*(group[1] for group in joined))))
    return [names for names, _ in groups]
