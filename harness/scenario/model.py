"""TOML -> a validated Scenario. Every check of what a user wrote in a scenario is here; inside, types are trusted.

``scenario_document`` works on the text (finding, reading, ``--set``, lists that become several methods),
``scenario_checks`` holds the rules that span several keys. Knows nothing of how a scenario is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError

from harness.errors import ScenarioError, UserError
from harness.scenario import checks, document
from harness.scenario.document import Fault
from harness.scenario.kinds import LINKS, LinkSettings
from harness.scenario.parts import Bytes, OptionalBytes, Part, PositiveRate, Quantity, Rate, Seconds, Threads

__all__ = ["FrontierSearch", "Guest", "Method", "PageClass", "Scenario", "load_scenario"]

PageClass = Literal["zero", "text", "code", "heap", "random", "duplicate"]
Scalar = str | int | float | bool


class Guest(Part):
    """What is migrated. ``fill`` gives each page class its share of RAM; it sums to 1.

    ``path`` is the recorded stream of kind "stream"; in TOML it is relative to the scenario file.
    """

    kind: Literal["stress", "stream", "synthetic"] = "stress"
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    qemu: str = Field(default="qemu-system-x86_64", min_length=1)
    memory_bytes: Bytes = Field(default=512 << 20, alias="memory")
    fill: dict[PageClass, float] = Field(default={"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1})
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    working_set_bytes: Bytes = Field(default=64 << 20, alias="working_set")
    dirty_rate_bytes_per_s: Rate = Field(default=20 << 20, alias="dirty_rate")
    pattern: Literal["sequential", "random"] = "sequential"
    changed_bytes_per_page: int = Field(default=64, ge=0, le=4096)
    path: str | None = None


class RateRange(Part):
    """Dirty rates between which a frontier is looked for."""

    from_bytes_per_s: PositiveRate = Field(alias="from")
    to_bytes_per_s: PositiveRate = Field(alias="to")


class LimitRange(Part):
    """Downtime limits between which a frontier is looked for."""

    from_s: Seconds = Field(alias="from")
    to_s: Seconds = Field(alias="to")


class FrontierSearch(Part):
    """Instead of repeats: where does each method stop converging? The highest ``dirty_rate``, the lowest ``downtime_limit``.

    Each is looked for with the other as the scenario has it. ``find``: which, in what order; None: all that have a range.
    ``tolerance``: how close, as a factor. ``attempts``: of one value, the most of which decide.
    """

    find: tuple[Literal["dirty_rate", "downtime_limit"], ...] | None = Field(default=None, strict=False)
    dirty_rate: RateRange | None = None
    downtime_limit: LimitRange | None = None
    tolerance: float = Field(default=1.1, ge=1.02, le=10)
    attempts: int = Field(default=3, ge=1, le=9)

    @property
    def searches(self) -> tuple[str, ...]:
        """What is looked for, in order."""
        if self.find is not None:
            return self.find
        return tuple(name for name in ("dirty_rate", "downtime_limit") if getattr(self, name) is not None)


class Method(Part):
    """One way to migrate. ``engine`` "qemu": QEMU alone, with capabilities and parameters; "pageferry": through the pair.

    On a guest that is a stream there is no QEMU; "qemu" then means the raw stream over the link.
    """

    name: str
    engine: Literal["qemu", "pageferry"]
    baseline: bool = False
    capabilities: tuple[str, ...] = Field(default=(), strict=False)
    source: dict[str, Scalar] = Field(default={})
    destination: dict[str, Scalar] = Field(default={})
    backend: str | None = None
    level: int | None = None
    threads: Threads = None
    decompress_threads: Threads = None
    batch_bytes: OptionalBytes = Field(default=None, alias="batch")
    inflight_bytes: OptionalBytes = Field(default=None, alias="inflight")
    fallback: str | None = None
    steer: bool = False
    options: dict[str, Scalar] = Field(default={})


class Scenario(Part):
    """A whole experiment: one guest, one link, several methods, interleaved repeats."""

    name: str
    description: str
    repeats: int = Field(default=5, ge=1, le=1000)
    warmups: int = Field(default=1, ge=0, le=100)
    downtime_limit_s: Seconds = Field(default=0.3, alias="downtime_limit")
    timeout_s: Seconds = Field(default=120.0, alias="timeout")
    return_path: bool = True
    guest: Guest = Guest()
    link: SerializeAsAny[LinkSettings] = LinkSettings()
    frontier: FrontierSearch | None = None
    methods: tuple[Method, ...] = Field(alias="method", strict=False)
    cell: dict[str, str] = Field(default={})
    """Of a sweep: key -> the value's label."""

    def method(self, name: str) -> Method:
        """The method of that name. :raises KeyError: there is none."""
        for method in self.methods:
            if method.name == name:
                return method
        raise KeyError(name)

    @property
    def baseline(self) -> Method:
        """The method that the others are compared with; a loaded scenario has exactly one."""
        return next(method for method in self.methods if method.baseline)


def load_scenario(path_or_name: str | Path, overrides: Sequence[str] = (), only: Sequence[str] = ()) -> Scenario:
    """Read, override, validate. A name without a path ("throttled") is a shipped scenario.

    ``overrides`` are ``KEY=VALUE`` with dotted keys (``guest.memory=2GiB``, ``method.isal-1.threads=4``).
    ``only`` are method names or shell patterns; the baseline always stays, for without it no effect can be shown.

    :raises ScenarioError: one line with the file (or the ``--set``), the key, the value and the remedy.
    """
    path = document.find_file(path_or_name)
    doc = document.read_toml(path)
    changed = [document.apply_override(doc, override) for override in overrides]
    try:
        return _validated(doc, path, only, changed)
    except Fault as fault:
        origin = next((override.text for override in reversed(changed) if override.explains(fault)), None)
        place = f"{path}" if origin is None else f"--set {origin}"
        raise ScenarioError(document.one_line(f"{place}: {document.dotted(fault.key)}{fault.message}")) from fault


def _validated(doc: dict[str, Any], path: Path, only: Sequence[str], changed: Sequence[document.Override]) -> Scenario:
    document.check_name(path.stem)
    doc = {key: value for key, value in doc.items() if key != "sweep"}  # harness.scenario.sweep's
    document.check_shape(doc)
    _check_table(doc, Scenario, ())
    _check_table(doc.get("guest", {}), Guest, ("guest",))
    link_settings = _link_settings(doc.get("link", {}))
    _check_table(doc.get("link", {}), link_settings, ("link",))
    frontier = doc.get("frontier", {})
    _check_table(frontier, FrontierSearch, ("frontier",))
    for name, part in (("dirty_rate", RateRange), ("downtime_limit", LimitRange)):
        if isinstance(frontier.get(name), dict):
            _check_table(frontier[name], part, ("frontier", name))
    for index, method in enumerate(doc["method"]):
        _check_table(method, Method, document.method_key(method, index))
    doc = {**doc, "name": path.stem, "method": document.expand_methods(doc["method"])}
    try:
        doc["link"] = link_settings.model_validate(doc.get("link", {}))
    except ValidationError as exc:
        raise _fault_of(exc, doc, ("link",)) from exc
    try:
        scenario = Scenario.model_validate(doc)
    except ValidationError as exc:
        raise _fault_of(exc, doc) from exc
    checks.check_methods(scenario)
    scenario = scenario.model_copy(update={"methods": _kept(scenario, only)})
    checks.check_scenario(scenario)
    return _with_absolute_path(scenario, path, changed)


def _link_settings(table: dict[str, Any]) -> type[LinkSettings]:
    """What this kind of link is told."""
    kind, key = table.get("kind", "auto"), ("link", "kind")
    if not isinstance(kind, str):
        raise Fault(key, f"{document.shown(kind)}: must be one of {', '.join(LINKS.names())}")
    try:
        return LINKS.load(kind).settings
    except UserError as exc:
        raise Fault(key, str(exc)) from exc


def _check_table(table: dict[str, Any], part: type[BaseModel], key: tuple[str, ...]) -> None:
    """Unknown keys, and numbers where text with a unit belongs, in the words of TOML rather than of our fields."""
    fields = {field.alias or name: field for name, field in part.model_fields.items()}
    if part is Scenario:
        del fields["name"], fields["cell"]
    for name, value in table.items():
        if name not in fields:
            raise Fault((*key, name), document.unknown("key", name, list(fields)))
        quantity = next((mark for mark in fields[name].metadata if isinstance(mark, Quantity)), None)
        if quantity is not None and not isinstance(value, str):
            why = "a number needs a unit" if isinstance(value, int | float) else f"not a {quantity.what}"
            raise Fault((*key, name), f'{document.shown(value)}: {why}: write for example "{quantity.example}"')


def _fault_of(exc: ValidationError, doc: dict[str, Any], table: tuple[str, ...] = ()) -> Fault:
    """Pydantic's first complaint as key and sentence."""
    error = exc.errors(include_url=False)[0]
    key = document.key_of((*table, *error["loc"]), doc)
    if error["type"] == "missing":
        return Fault(key, "is missing: add it")
    if error["type"] == "value_error":
        return Fault(key, str(error["ctx"]["error"]))
    value = document.shown(error["input"])
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return Fault(key, f"{value}: must be {error['ctx']['expected']}")
    return Fault(key, f"{value}: {error['msg'].replace('Input should', 'must')}")


def _kept(scenario: Scenario, only: Sequence[str]) -> tuple[Method, ...]:
    names = [method.name for method in scenario.methods]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Fault((), f"--only {pattern}: {document.unknown('method', pattern, names)}")
    if not only:
        return scenario.methods
    return tuple(m for m in scenario.methods if m.baseline or any(fnmatchcase(m.name, pattern) for pattern in only))


def _with_absolute_path(scenario: Scenario, file: Path, changed: Sequence[document.Override]) -> Scenario:
    """A path in the file is relative to the file, one given by ``--set`` to the working directory."""
    if scenario.guest.path is None:
        return scenario
    by_set = any(override.key == ("guest", "path") for override in changed)
    path = (Path.cwd() if by_set else file.parent.resolve()) / scenario.guest.path
    checks.check_stream_file(path)
    return scenario.model_copy(update={"guest": scenario.guest.model_copy(update={"path": str(path)})})
