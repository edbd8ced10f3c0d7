"""Writes docs/reference/result.md from the models: ``python tests/result_page.py``. Its test holds the file to them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.results.document import Scalar
from harness.results.doubt import Doubt
from harness.results.doubts import KINDS
from harness.results.identity import Identity
from harness.results.metrics import METRICS
from harness.results.result import CpuSeconds, MetricSummary, Result, Run, Sample
from harness.results.search import Attempt, Frontier
from harness.results.work import GuestWork, WorkPoint

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "result.md"
PARTS = (Result, Identity, Run, CpuSeconds, GuestWork, WorkPoint, Sample, Attempt, MetricSummary, Frontier)
HEAD = """# Fields of result.json

`pageferry run` saves one such file, and every page, table and comparison is made of it. This page is made from the models that
write and read it. Schema 1: fields are added, never renamed. A field that is not there has its default; `null` means that it was
not measured or does not apply. "Any value" is text, a number, true, false or null.
"""
_UNITS = {"_bytes_per_s": "bytes/s", "_per_s": "1/s", "_bytes": "bytes", "_s": "seconds"}
_PLAIN = {
    Scalar: "any value",
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for part in PARTS for line in _part(part)), *_metrics(), *_doubts()])


def _part(part: type) -> Iterator[str]:
    yield from (f"## {part.__name__}", "", _line(part.__doc__ or ""), "")
    yield from ("| field | type | unit | what it is |", "| --- | --- | --- | --- |")
    hints, said = typing.get_type_hints(part), described(part)
    for field in dataclasses.fields(part):
        yield _row(field.name, _type(hints[field.name]), said[field.name], "seconds" if part is CpuSeconds else "")
    if "warnings" in vars(part):
        yield _row("warnings", "list of text", "The doubts' sentences.")
    yield ""


def described(part: type) -> dict[str, str]:
    """The text that stands below each field."""
    (body,) = (node for node in ast.parse(inspect.getsource(part)).body if isinstance(node, ast.ClassDef))
    return {
        field.target.id: ast.literal_eval(text.value)
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _row(name: str, kind: str, said: str, unit: str = "") -> str:
    unit = unit or next((words for end, words in _UNITS.items() if name.endswith(end)), "")
    return f"| `{name}` | {kind} | {unit} | {_line(said)} |"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _type(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(_type(each) for each in inner if not (each is int and float in inner))
    if origin is typing.Literal:
        return " or ".join(f'"{each}"' for each in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}" if inner[-1] is Ellipsis else f"{len(inner)} of {_type(inner[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_type(inner[1])}"
    return f"[{hint.__name__}](#{'doubts' if hint is Doubt else hint.__name__.lower()})"


def _metrics() -> Iterator[str]:
    yield from ("## Metrics", "", "What `summary` holds of each method, under these names.", "")
    yield from ("| metric | unit | better | what it is |", "| --- | --- | --- | --- |")
    for metric in METRICS.values():
        unit = {"second": "seconds", "byte": "bytes"}.get(metric.unit.stored, "")
        yield f"| `{metric.key}` | {unit} | {'more' if metric.more_is_better else 'less'} | {_line(metric.meaning)} |"
    yield ""


def _doubts() -> Iterator[str]:
    yield from ("## Doubts", "")
    yield "Each has `kind`, `subject` (what it is about), `weight`, `sentence` (also among `warnings`) and `values`."
    yield "`invalidates`: a figure is not what its name says. `weakens`: it is less sure than it looks."
    yield "`explains`: it is right, and this is why it looks as it does."
    yield from ("", "| kind | subject | weight | values | what it is |", "| --- | --- | --- | --- | --- |")
    for name, kind in KINDS.items():
        values = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind)) or "none"
        yield f"| `{name}` | {kind.subject} | {kind.weight} | {values} | {_line(kind.__doc__ or '')} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
