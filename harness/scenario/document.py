"""A scenario as text and plain tables: finding and reading the file, ``--set``, and lists that stand for several methods.

Knows TOML and the shape "tables, and an array of tables named method"; which keys exist is ``harness.scenario.model``'s.
"""

from __future__ import annotations

import itertools
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scenarios
from harness.errors import ScenarioError
from harness.names import unknown
from harness.scenario.fault import Fault, shown
from harness.terminal import one_line

__all__ = [
    "Override", "apply_override", "check_name", "check_shape", "expand_methods", "find_file", "method_key", "parse_toml",
    "read_toml", "unknown", "value_of", "with_method_names", "write",
]  # fmt: skip

MAX_METHODS = 1000
MAX_FILE_BYTES = 1 << 20
_EXPANDED_KEYS = ("level", "threads", "decompress_threads")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}")
_NAME_RULE = "start with a letter or digit, then letters, digits, space, '.', '_', '+', '-', 64 at most"


@dataclass(frozen=True, slots=True)
class Override:
    """A value that was written over the file's. ``place``: how an error names where it came from. ``folder``: what paths in it are
    relative to."""

    place: str
    key: tuple[str, ...]
    folder: Path

    def explains(self, fault: Fault) -> bool:
        """Whether this wrote the key at fault, one above it or one below it."""
        keys = [key for key in (fault.key, fault.because) if key]
        return any(self.key[: len(key)] == key[: len(self.key)] for key in keys)


def find_file(path_or_name: str | Path) -> Path:
    """A path stays what it is; a bare name, or ``scenarios/NAME.toml`` where there is no such file, is a shipped one."""
    path = Path(path_or_name)
    bare = path.suffix != ".toml" and str(path_or_name) == path.name
    if not bare and path.is_file():
        return path
    shipped = scenarios.find(path.name.removesuffix(".toml"))
    if shipped is not None and (bare or str(path) in (path.name, f"scenarios/{path.name}")):
        return shipped
    if bare and not path.exists():
        raise ScenarioError(unknown("scenario", path.name, scenarios.names()))
    return path


def read_toml(path: Path) -> dict[str, Any]:
    """:raises ScenarioError: the file is missing, unreadable, not text, or not TOML; with line and column where known."""
    place = one_line(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ScenarioError(
            one_line(f"{place}: cannot read the scenario: {reason}; shipped ones: {', '.join(scenarios.names())}")
        ) from exc
    if len(data) > MAX_FILE_BYTES:
        raise ScenarioError(f"{place}: larger than {MAX_FILE_BYTES} bytes: this is not a scenario file")
    return parse_toml(data, place)


def parse_toml(data: bytes, place: str) -> dict[str, Any]:
    """A file's bytes. :raises ScenarioError: not text, or not TOML; with line and column where known."""
    try:
        text = data.decode("utf-8-sig")  # editors of Windows begin a file with a mark that is no text
    except UnicodeDecodeError as exc:
        raise ScenarioError(f"{place}: not UTF-8 text at byte {exc.start}: save it as UTF-8") from exc
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ScenarioError(one_line(f"{place}: not valid TOML: {exc}: fix that place{_invisible_in(text)}")) from exc


def _invisible_in(text: str) -> str:
    """The first character that a reader does not see but a parser does, and where; nothing where there is none."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        for column, char in enumerate(line, start=1):
            if not char.isprintable() and char != "\t":
                name = unicodedata.name(char, "a control character").lower()
                return f"; U+{ord(char):04X} ({name}) at line {number}, column {column} is invisible: remove it"
    return ""


def apply_override(doc: dict[str, Any], text: str) -> Override:
    """Write ``KEY=VALUE`` into ``doc``. A value that is TOML (``4``, ``true``, ``[1, 2]``) is taken so, else as text.

    :raises ScenarioError: there is no ``=``, or the key leads through something that is not a table.
    """
    place = one_line(f"--set {text}")
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ScenarioError(f"{place}: write KEY=VALUE, for example guest.memory=2GiB or method.isal-1.threads=4")
    return write(doc, name.strip(), value_of(value), place, Path.cwd())


def write(doc: dict[str, Any], name: str, value: object, place: str, folder: Path) -> Override:
    """Write ``value`` at a dotted key; ``place`` and ``folder``: as of an ``Override``.

    :raises ScenarioError: the key leads through something that is not a table.
    """
    table, above, rest = _start_of_key(doc, name, place)
    *tables, last = rest
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ScenarioError(one_line(f"{place}: {part!r} is a value, not a table; it has no keys to set"))
    table[last] = value
    return Override(place, (*above, *rest), folder)


def _start_of_key(
    doc: dict[str, Any], name: str, place: str
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The table to start from, the key of that table, the parts still to go. Of methods the longest name that fits."""
    if not name.startswith("method."):
        return doc, (), tuple(name.split("."))
    rest = name.removeprefix("method.")
    listed = doc["method"] if isinstance(doc.get("method"), list) else []
    tables = {m["name"]: m for m in listed if isinstance(m, dict) and isinstance(m.get("name"), str)}
    fitting = [known for known in tables if rest.startswith(f"{known}.")]
    if not fitting:
        if rest in tables:
            raise ScenarioError(one_line(f"{place}: no key behind the method: write method.{rest}.KEY=VALUE"))
        raise ScenarioError(one_line(f"{place}: {unknown('method', rest.partition('.')[0], list(tables))}"))
    method = max(fitting, key=len)
    return tables[method], ("method", method), tuple(rest.removeprefix(f"{method}.").split("."))


def value_of(text: str) -> object:
    """What ``--set KEY=`` gives the key: TOML where ``text`` is that, and else the text."""
    text = text.strip()
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def check_name(name: str) -> None:
    """The file's name is the scenario's, and names its folder of results."""
    if not _NAME.fullmatch(name):
        raise Fault((), f"the file's name is the scenario's name, and {shown(name)} is not one: {_NAME_RULE}")


def check_shape(doc: dict[str, Any]) -> None:
    """Tables are tables, methods are tables with names of their own; what is in them is checked later."""
    for name in ("guest", "link", "pin", "frontier"):
        if not isinstance(doc.get(name, {}), dict):
            raise Fault((name,), f"{shown(doc[name])}: must be a table: write [{name}]")
    if "name" in doc:
        raise Fault(("name",), f"{shown(doc['name'])}: the file's name is the scenario's name: remove the key")
    methods = doc.get("method", [])
    if not isinstance(methods, list) or not all(isinstance(method, dict) for method in methods):
        raise Fault(("method",), "must be tables: write [[method]] with two brackets before each")
    if not methods:
        remedy = "add a [[method]] with name, engine and baseline = true, or leave method out for the usual ones"
        raise Fault(("method",), f"no method: {remedy}")
    for index, method in enumerate(methods):
        _check_method_name(method, method_key(method, index))
    names = [method["name"] for method in methods]
    _check_unique(names)


def _check_method_name(method: dict[str, Any], key: tuple[str, ...]) -> None:
    name = method.get("name")
    if name is None:
        raise Fault((*key, "name"), "is missing: give each method a name of its own")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Fault((*key, "name"), f"{shown(name)}: not a method's name: {_NAME_RULE}")


def _check_unique(names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Fault(("method", name, "name"), f"{shown(name)}: two methods of one name: rename one")


def expand_methods(methods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Methods with lists for level, threads or decompress_threads -> one method per combination, named after it."""
    expanded: list[dict[str, Any]] = []
    for index, method in enumerate(methods):
        expanded += _expand(method, method_key(method, index))
        if len(expanded) > MAX_METHODS:
            raise Fault(method_key(method, index), f"more than {MAX_METHODS} methods in all: shorten the lists")
    _check_unique([method["name"] for method in expanded])
    return expanded


def _expand(method: dict[str, Any], key: tuple[str, ...]) -> list[dict[str, Any]]:
    lists = {name: method[name] for name in _EXPANDED_KEYS if isinstance(method.get(name), list)}
    for name, values in lists.items():
        if not values or not all(type(value) is int for value in values) or len(set(values)) != len(values):
            raise Fault((*key, name), f"{shown(values)}: must be a whole number, or a list of different ones")
    if not lists:
        return [method]
    if method.get("baseline"):
        raise Fault(
            (*key, "baseline"), f"true, but {', '.join(lists)} makes several methods of this one: use one value"
        )
    combinations = itertools.islice(itertools.product(*lists.values()), MAX_METHODS + 1)
    variants = [method | dict(zip(lists, values, strict=True)) for values in combinations]
    return [variant | {"name": _expanded_name(variant, lists)} for variant in variants]


def _expanded_name(variant: dict[str, Any], lists: dict[str, Any]) -> str:
    """``isal-1`` (a level from a list), ``isal-1 4x2`` (4 compression threads, 2 decompression threads)."""
    name: str = variant["name"]
    if "level" in lists:
        name += f"-{variant['level']}"
    threads, decompress_threads = variant.get("threads"), variant.get("decompress_threads")
    if not {"threads", "decompress_threads"} & set(lists):
        return name
    if decompress_threads is None:
        return f"{name} {threads}t"
    return f"{name} {decompress_threads}d" if threads is None else f"{name} {threads}x{decompress_threads}"


def method_key(method: dict[str, Any], index: int) -> tuple[str, ...]:
    """How errors name a method: by its name, or by its place in the file where it has none."""
    name = method.get("name")
    return ("method", name) if isinstance(name, str) and name else ("method", f"#{index + 1}")


def with_method_names(fault: Fault, methods: Sequence[dict[str, Any]]) -> Fault:
    """A method that pydantic named by its place, by its name."""
    first, *rest = fault.key or ("",)
    if first != "method" or not rest or not rest[0].startswith("#"):
        return fault
    index = int(rest[0][1:]) - 1
    named = (*method_key(methods[index], index), *rest[1:])
    return Fault(named, fault.message, (*named[:2], *fault.because[2:]) if fault.because else None)
