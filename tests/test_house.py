"""The house keeps its measures: rooms with a purpose, files that fit on a few screens, functions that do one thing."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "backends", "reports", "scenarios")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "backends").rglob("*.cl"))]
MOST_LINES, MOST_BODY_LINES, MOST_MEDIAN_LINES, MOST_ROOMS = 300, 60, 7, 17


def bodies(path: Path) -> list[tuple[int, str]]:
    """Each function's lines from its first statement on, docstring included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [((node.end_lineno or 0) - node.body[0].lineno + 1, f"{path.name}:{node.name}") for node in found]


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def test_functions_do_one_thing():
    lines = [body for path in SOURCES for body in bodies(path)]
    assert [name for count, name in lines if count > MOST_BODY_LINES] == []
    assert statistics.median(count for count, _ in lines) <= MOST_MEDIAN_LINES


def test_the_harness_has_few_rooms_and_each_says_its_purpose():
    rooms = [path.parent for path in sorted((ROOT / "harness").glob("*/__init__.py"))]
    assert len(rooms) <= MOST_ROOMS
    for room in rooms:
        first = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert first, room
