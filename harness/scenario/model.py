"""A scenario: TOML -> checked parts. What a user wrote is checked here once; inside, types are trusted.

``document`` works on the text, ``part`` is what all tables have in common, ``methods``, ``frontier``, ``pin`` and the kinds of
guests and links (``kinds``) are the tables, ``sweep`` makes several scenarios of one. Knows nothing of how a scenario is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, ValidationInfo, model_validator

from harness.errors import ScenarioError
from harness.results.metrics import SMALLEST_EFFECT
from harness.scenario import document
from harness.scenario.document import Override
from harness.scenario.fault import Fault, dotted
from harness.scenario.frontier import MAX_DOWNTIME_LIMIT_S, FrontierSearch
from harness.scenario.kinds import GUESTS, LINKS, GuestSettings, LinkSettings, settings_for
from harness.scenario.methods import Method, method_of
from harness.scenario.part import Downtime, Part, Seconds, Share, first_fault
from harness.scenario.pin import Pin
from harness.scenario.usual import USUAL_METHODS, with_usual_methods
from harness.terminal import one_line

USUAL_GUEST = "stress"
"""What is migrated where a scenario does not say."""


def _guest_of(table: object, info: ValidationInfo) -> object:
    return settings_for(GUESTS, USUAL_GUEST, table, info)


def _link_of(table: object, info: ValidationInfo) -> object:
    return settings_for(LINKS, "auto", table, info)


class Scenario(Part):
    """A whole experiment: one guest, one link, several methods, interleaved repeats."""

    name: str
    description: str
    """What question this scenario answers."""
    repeats: int = Field(default=7, ge=1, le=1000)
    """Runs of each method that count. With 7 each of up to 17 methods can be found better or worse, with 6 of up to 4."""
    warmups: int = Field(default=1, ge=0, le=100)
    """Runs of each method before those, kept apart."""
    smallest_effect: Share = Field(default=SMALLEST_EFFECT, gt=0, lt=1)
    """The change of a figure that matters: what surely changes by less is called the same."""
    downtime_limit_s: Seconds = Field(default=0.3, alias="downtime_limit")
    """QEMU's downtime-limit: it stops the guest when what is left fits into it. QEMU takes at most 2000 s."""
    downtime: Downtime = None
    """"shortest": every method's guest stands still as briefly as its writes allow; until a stop is within QEMU's downtime-limit no
    pass is spared for it."""
    downtime_cost_share: Share = Field(default=0.1, alias="downtime_cost")
    """How much longer a migration may take for the shortest downtime, of its total time."""
    timeout_s: Seconds = Field(default=120.0, alias="timeout")
    """How long a migration may take."""
    return_path: bool = True
    """Whether the destination confirms that it has all (QEMU's capability return-path)."""
    guest: Annotated[SerializeAsAny[GuestSettings], BeforeValidator(_guest_of)] = Field(
        default_factory=lambda: GUESTS.load(USUAL_GUEST).settings.model_validate({})
    )
    """What is migrated."""
    link: Annotated[SerializeAsAny[LinkSettings], BeforeValidator(_link_of)] = Field(
        default_factory=lambda: LINKS.load("auto").settings.model_validate({})
    )
    """What every method crosses."""
    pin: Pin | None = None
    """Which of the host's processors each party may use."""
    frontier: FrontierSearch | None = None
    """Instead of repeats: a search for where each method stops converging."""
    methods: tuple[Annotated[SerializeAsAny[Method], BeforeValidator(method_of)], ...] = Field(
        alias="method", strict=False
    )
    """The ways to migrate that are compared; those of ``harness.scenario.usual`` where a scenario names none."""
    cell: dict[str, str] = Field(default={})
    """Of a sweep: key -> the value's label."""

    @classmethod
    def toml_keys(cls) -> dict[str, str]:
        """The name is the file's, and a cell's labels are the sweep's."""
        return {key: name for key, name in super().toml_keys().items() if key not in {"name", "cell"}}

    @property
    def baseline(self) -> Method:
        """The method that the others are compared with; a loaded scenario has exactly one."""
        return next(method for method in self.methods if method.baseline)

    def shortest_of(self, method: Method) -> float | None:
        """The share of the total time that the shortest downtime may cost, where ``method`` is steered to it."""
        return self.downtime_cost_share if method.downtime or self.downtime else None

    def told(self) -> dict[str, Any]:
        """As a result has it. What few scenarios have is left out of others', so that older results stay comparable."""
        unused: dict[str, Any] = {name: True for name in ("frontier", "pin", "downtime") if getattr(self, name) is None}
        rare = {"downtime", "switch_after_passes"}
        unused["methods"] = {"__all__": {key for key in rare if all(getattr(m, key) is None for m in self.methods)}}
        if self.downtime is None and "downtime" in unused["methods"]["__all__"]:
            unused["downtime_cost_share"] = True
        return self.model_dump(mode="json", exclude=unused)

    @model_validator(mode="after")
    def _one_baseline(self) -> Self:
        baselines = [method.name for method in self.methods if method.baseline]
        if not baselines:
            raise Fault(
                ("method",), "no baseline: write baseline = true in the method that the others are compared with"
            )
        if len(baselines) > 1:
            names = " and ".join(repr(name) for name in baselines[:2])
            raise Fault(("method", baselines[1], "baseline"), f"true, but {names} are both baselines: keep one")
        return self

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.description.strip():
            raise Fault(("description",), "'': must not be empty: say what question this scenario answers")
        if self.downtime_limit_s > MAX_DOWNTIME_LIMIT_S:
            most = f"QEMU takes at most {MAX_DOWNTIME_LIMIT_S:g} s"
            raise Fault(("downtime_limit",), f"{self.downtime_limit_s:g} s: {most}")
        if self.frontier is not None:
            self._check_frontier()
        if self.pin is not None and not self.guest.has_qemu:
            for key in {"source_qemu", "destination_qemu"} & self.pin.model_fields_set:
                reason = f'a guest of kind "{self.guest.kind}" has no QEMU: remove the key'
                raise Fault(("pin", key), reason, because=("guest", "kind"))
        return self

    def _check_frontier(self) -> None:
        kind = self.guest.kind
        if "dirty_rate" not in self.guest.toml_keys() or not self.guest.has_qemu:
            reason = f'needs a guest that writes and can be stopped, and kind = "{kind}" is none: write "{USUAL_GUEST}"'
            raise Fault(("frontier",), reason, because=("guest", "kind"))
        for name in ("repeats", "warmups"):
            if name in self.model_fields_set:
                reason = "has no meaning beside [frontier], which has attempts: remove the key"
                raise Fault((name,), reason, because=("frontier",))

    def narrowed(self, only: Sequence[str]) -> Scenario:
        """With the methods that one of the shell patterns names, and the baseline. :raises Fault: a pattern names none."""
        names = [method.name for method in self.methods]
        for pattern in only:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise Fault((), f"--only {document.unknown('method', pattern, names)}")
        kept = [m for m in self.methods if m.baseline or any(fnmatchcase(m.name, pattern) for pattern in only)]
        return self.model_copy(update={"methods": tuple(kept)}) if only else self

    def without_usual_that_need_qemu(self) -> Scenario:
        """Nobody asked for these by name, so a guest that has no QEMU goes without."""
        if self.guest.has_qemu:
            return self
        needing = {table["name"] for table in USUAL_METHODS if set(Method.needs_qemu) & set(table)}
        return self.model_copy(update={"methods": tuple(m for m in self.methods if m.name not in needing)})

    def check_methods_fit_the_guest(self) -> None:
        """Without a QEMU there is nobody to hold capabilities or parameters. :raises Fault: a method has some."""
        if self.guest.has_qemu:
            return
        if self.downtime is not None:
            raise Fault(("downtime",), self._needs_qemu, because=("guest", "kind"))
        for method in self.methods:
            for key, name in method.toml_keys().items():
                if name in method.needs_qemu and getattr(method, name) != type(method).model_fields[name].default:
                    raise Fault(("method", method.name, key), self._needs_qemu, because=("guest", "kind"))

    @property
    def _needs_qemu(self) -> str:
        return f'needs QEMU, and a guest of kind "{self.guest.kind}" has none: leave it out, or use "{USUAL_GUEST}"'


def load_scenario(path_or_name: str | Path, overrides: Sequence[str] = (), only: Sequence[str] = ()) -> Scenario:
    """Read, override, validate. A name without a path ("throttled") is a shipped scenario. A ``[sweep]`` is ``sweep``'s.

    ``overrides`` are ``KEY=VALUE`` with dotted keys (``guest.memory=2GiB``, ``method.isal-1.threads=4``).
    ``only`` are method names or shell patterns; the baseline always stays, for without it no effect can be shown.

    :raises ScenarioError: one line with the file (or the ``--set``), the key, the value and the remedy.
    """
    path = document.find_file(path_or_name)
    doc = document.read_toml(path)
    usual = with_usual_methods(doc)
    changed = [document.apply_override(doc, override) for override in overrides]
    return scenario_of(doc, path, changed, only, usual=usual)


def scenario_of(
    doc: dict[str, Any], path: Path, changed: Sequence[Override], only: Sequence[str], *, usual: bool
) -> Scenario:
    """A file's document, in which ``changed`` was written already. ``usual``: it named no methods, and was given the usual ones.

    :raises ScenarioError: as ``load_scenario``.
    """
    try:
        return _validated(doc, path, only, changed, usual=usual)
    except Fault as fault:
        origin = next((override for override in reversed(changed) if override.explains(fault)), None)
        place = f"{path}" if origin is None else origin.place
        key = "" if origin is not None and origin.key == fault.key else dotted(fault.key)  # the place has it already
        raise ScenarioError(one_line(f"{place}: {key}{fault.message}")) from fault


def _validated(
    doc: dict[str, Any], path: Path, only: Sequence[str], changed: Sequence[Override], *, usual: bool
) -> Scenario:
    document.check_name(path.stem)
    doc = {key: value for key, value in doc.items() if key != "sweep"}
    document.check_shape(doc)
    methods = document.expand_methods(doc["method"])
    try:
        scenario = Scenario.model_validate({**doc, "name": path.stem, "method": methods}, context={"given": ["name"]})
    except ValidationError as exc:
        raise document.with_method_names(first_fault(exc), methods) from exc
    if usual and all(override.key != ("method",) for override in changed):
        scenario = scenario.without_usual_that_need_qemu()
    scenario = scenario.narrowed(only)
    scenario.check_methods_fit_the_guest()

    def folder_of(key: str) -> Path:
        """A path in the file is relative to the file, a sweep's too, and one given by ``--set`` to the working directory."""
        written = [override.folder for override in changed if override.key in (("guest",), ("guest", key))]
        return written[-1] if written else path.parent.resolve()

    try:
        return scenario.model_copy(update={"guest": scenario.guest.located(folder_of)})
    except Fault as fault:
        raise fault.below(("guest",)) from fault
