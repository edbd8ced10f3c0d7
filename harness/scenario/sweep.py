"""A scenario with a table ``[sweep]`` -> one scenario per cell of its grid.

    [sweep]
    "link.bandwidth" = ["25Mbit/s", "1Gbit/s", "unlimited"]
    "guest.fill" = {text = {text = 1.0}, random = {random = 1.0}}

Each key is any key of the scenario, as ``--set`` writes it, with a list of values, or a table of labels and values. A key
that is ``--set`` has that value alone; ``--set 'sweep.link.bandwidth=["1Gbit/s", "unlimited"]'`` gives it others. Knows no rule of
a scenario: each cell is checked as a scenario of its own.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError
from harness.scenario import document
from harness.scenario.fault import shown
from harness.scenario.model import Scenario, scenario_of
from harness.scenario.usual import with_usual_methods
from harness.terminal import one_line

_MOST_CELLS = 500


def load_sweep(path_or_name: str | Path, overrides: Sequence[str] = (), only: Sequence[str] = ()) -> list[Scenario]:
    """The cells, in the order of the file, the last key's values changing fastest; the scenario itself without ``[sweep]``.

    :raises ScenarioError: as ``load_scenario``, or the table is not one of lists and tables.
    """
    path = document.find_file(path_or_name)
    doc = document.read_toml(path)
    usual = with_usual_methods(doc)
    table, place, by_set, overrides = _with_own_overrides(doc.get("sweep", {}), path, overrides)
    axes = _axes(table, place, {text.partition("=")[0].strip() for text in overrides})
    if math.prod(len(values) for values in axes.values()) > _MOST_CELLS:
        raise ScenarioError(f"{path}: sweep: more than {_MOST_CELLS} cells: shorten its lists")
    return [
        _cell(doc, path, axes, labels, by_set=by_set, overrides=overrides, only=only, usual=usual)
        for labels in itertools.product(*axes.values())
    ]


def _cell(
    doc: dict[str, Any],
    path: Path,
    axes: Mapping[str, Mapping[str, Any]],
    labels: Sequence[str],
    *,
    by_set: Container[str],
    overrides: Sequence[str],
    only: Sequence[str],
    usual: bool,
) -> Scenario:
    """One of the grid; the scenario itself where there is no grid. ``by_set``: the keys whose values are not the file's."""
    doc, chosen = copy.deepcopy(doc), dict(zip(axes, labels, strict=True))
    changed = [
        document.write(
            doc,
            key,
            axes[key][label],
            one_line(f"{'--set' if key in by_set else f'{path}:'} sweep.{key}: {label}"),
            Path.cwd() if key in by_set else path.parent.resolve(),
        )
        for key, label in chosen.items()
    ]
    changed += [document.apply_override(doc, override) for override in overrides]
    scenario = scenario_of(doc, path, changed, only, usual=usual)
    return scenario.model_copy(update={"name": _name(scenario.name, labels), "cell": chosen}) if axes else scenario


def _with_own_overrides(table: object, path: Path, overrides: Sequence[str]) -> tuple[object, str, set[str], list[str]]:
    """The table with what ``--set sweep=`` and ``--set sweep.KEY=`` say of it, whose word it was last, the keys of which they say
    something, and the other overrides."""
    place, by_set, others = str(path), set[str](), list[str]()
    for text in overrides:
        name, equals, value = text.partition("=")
        first, dot, key = name.strip().partition(".")
        if first != "sweep" or not equals:
            others.append(text)
            continue
        place = f"--set {text}"
        if not dot:
            table = document.value_of(value)
            by_set.update(table if isinstance(table, dict) else ())
        elif isinstance(table, dict):
            by_set.add(key.strip('"'))
            table = {**table, key.strip('"'): document.value_of(value)}
    return table, place, by_set, others


def _axes(table: object, place: str, fixed: set[str]) -> dict[str, dict[str, Any]]:
    """Key -> label -> value."""
    if not isinstance(table, dict):
        raise ScenarioError(one_line(f"{place}: sweep: {shown(table)}: must be a table: write [sweep]"))
    axes: dict[str, dict[str, Any]] = {}
    for key, values in table.items():
        labelled = {str(value): value for value in values} if isinstance(values, list) else values
        if not isinstance(labelled, dict) or not labelled:
            raise ScenarioError(
                one_line(
                    f"{place}: sweep.{key}: {shown(values)}: must be a list of values, or a table of labels and values;"
                    ' a key with a dot stands in quotes: "link.bandwidth"'
                )
            )
        if key not in fixed:
            axes[key] = labelled
    return axes


def _name(name: str, labels: Sequence[str]) -> str:
    return "+".join([name, *(re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-") for label in labels)])
