"""What measured values are held to: shipped defaults per class, and a lab's own over them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.names import near
from harness.qualify.identity import CLASSES
from harness.scenario.document import parse_toml

Limits = Mapping[str, Mapping[str, float]]
"""Value's name -> {"least": ..., "most": ...}, each optional."""


def load_thresholds(own: Path | None, backend_class: str) -> Limits:
    """The limits of a class. :raises UserError: ``own`` cannot be read, or names what is not; with file, key and value."""
    shipped = tomllib.loads(resources.files("harness.qualify").joinpath("thresholds.toml").read_text(encoding="utf-8"))
    if own is None:
        return _limits(shipped[backend_class])
    known = sorted({name for table in shipped.values() for name in table})
    given = _read(own)
    for class_name, table in given.items():
        if class_name not in CLASSES:
            raise UserError(f"{own}: [{_key(class_name)}]: unknown class; known: {', '.join(CLASSES)}")
        if not isinstance(table, dict):
            raise UserError(f"{own}: {class_name}: must be a table, as in [{class_name}]")
        for name, limit in table.items():
            _check(own, class_name, name, limit, known)
    return _limits({**shipped[backend_class], **given.get(backend_class, {})})


def _limits(table: Mapping[str, Any]) -> Limits:
    return {name: {side: float(value) for side, value in limit.items()} for name, limit in table.items() if limit}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise UserError(f"{path}: cannot read the thresholds: {exc.strerror}") from exc
    return parse_toml(data, str(path))


def _check(path: Path, class_name: str, name: str, limit: object, known: list[str]) -> None:
    where = f"{path}: {class_name}.{_key(name)}"
    if name not in known:
        raise UserError(f"{where}: no such value; {near(name, known)}known: {', '.join(known)}")
    if not isinstance(limit, dict) or not set(limit) <= {"least", "most"}:
        raise UserError(f"{where} = {limit!r}: must be like {{least = 1}}, {{most = 2}}, both, or {{}} for no limit")
    for side, value in limit.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{where}.{side} = {value!r}: must be a number")
    if limit.get("least", -math.inf) > limit.get("most", math.inf):
        raise UserError(f"{where} = {limit!r}: nothing is both; least must not be above most")


def _key(name: str) -> str:
    """As TOML has it: a quoted key may hold anything."""
    return name if name.replace("-", "_").isidentifier() else repr(name)
