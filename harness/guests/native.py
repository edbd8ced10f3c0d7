"""Migration capabilities and parameters: planned from a method, set over QMP on both sides, and read back.

QEMU may answer success and change nothing (multifd's levels over QMP before 9.0), so no run is labelled with a setting
that was not read back. What QEMU lacks altogether is ``MethodUnavailable``: the run is skipped with that reason. Every
migration is planned here, also one through the pair: the bandwidth cap and the downtime limit are QEMU's everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import MissingError, QemuError
from harness.qemu.qmp import Json, Qmp
from harness.qemu.survey import QemuSurvey
from harness.scenario.methods import Method, PairMethod

Scalar = str | int | float | bool

UNLIMITED_BYTES_PER_S = 1 << 40  # QEMU's default cap is 128 MiB/s; 0 means "no limit" to some versions only
DEFAULT_MULTIFD_CHANNELS = 2  # QEMU's own default, set and so recorded
_SHARED_BY_BOTH_SIDES = ("multifd-channels", "multifd-compression")
_BY_CAPABILITY = {"compress": ("compress-", "decompress-"), "multifd": ("multifd-",), "xbzrle": ("xbzrle-",)}


class MethodUnavailable(MissingError):  # noqa: N818 - it names a fact about this QEMU, not a mistake
    """This QEMU has not what the method needs; the message is the reason for skipping it."""


@dataclass(frozen=True, slots=True)
class SideSettings:
    """What one QEMU is to have. ``argv`` are the ``-global`` options for what QMP alone does not set everywhere."""

    capabilities: Mapping[str, bool] = field(default_factory=dict)
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """Both sides' settings. ``argv`` of each side goes on its command line, the rest is set by ``apply_plan``.

    ``pause_at_pass`` and ``switch_after_passes``: as the method's. ``traces_requests``: the destination is to write down when pages
    were asked for, and when they came.
    """

    source: SideSettings
    destination: SideSettings
    pause_at_pass: int | None = None
    switch_after_passes: int | None = None
    traces_requests: bool = False


def plan_method(method: Method, known: QemuSurvey, *, downtime_limit_s: float, return_path: bool) -> MethodPlan:
    """Settings for ``method`` on the QEMU that ``known`` describes. :raises MethodUnavailable: it lacks something."""
    capabilities = {"return-path": return_path} | dict.fromkeys(method.capabilities, True)
    channels = method.channels if isinstance(method, PairMethod) else None
    if channels is not None:
        capabilities["multifd"] = True
    if method.switch_after_passes is not None:
        capabilities |= {"postcopy-ram": True, "return-path": True}  # pages are asked for on it
    useful = {"events"}  # status changes then arrive with QEMU's timestamps
    if capabilities.get("postcopy-ram"):
        useful.add("postcopy-blocktime")  # the destination then tells how long its processors waited for pages
    capabilities |= dict.fromkeys(sorted(useful & known.capabilities), True)
    source: dict[str, Scalar] = {"downtime-limit": round(downtime_limit_s * 1000)}
    source |= method.source
    destination = dict(method.destination)
    if capabilities.get("multifd"):
        source.setdefault("multifd-channels", channels or DEFAULT_MULTIFD_CHANNELS)
        destination = {name: source[name] for name in _SHARED_BY_BOTH_SIDES if name in source} | destination
    return MethodPlan(
        _plan_side(capabilities, source, known),
        _plan_side(capabilities, destination, known),
        method.pause_at_pass,
        method.switch_after_passes,
        traces_requests=known.traces_requests and method.switch_after_passes is not None,
    )


def _plan_side(capabilities: Mapping[str, bool], asked: Mapping[str, Scalar], known: QemuSurvey) -> SideSettings:
    parameters = {"max-bandwidth": UNLIMITED_BYTES_PER_S} | dict(asked)
    lacks = [known.lacks_capability(name) for name, wanted in capabilities.items() if wanted]
    lacks += [known.lacks_parameter(name, value) for name, value in parameters.items()]
    for lack in lacks:
        if lack is not None:
            raise MethodUnavailable(lack)
    levels = [name for name in parameters if name.endswith("-level") and name in known.properties]
    argv = [part for name in levels for part in ("-global", f"migration.{name}={parameters[name]}")]
    return SideSettings(
        {k: v for k, v in capabilities.items() if v or k in known.capabilities}, parameters, tuple(argv)
    )


def apply_plan(plan: MethodPlan, source: Qmp, destination: Qmp) -> dict[str, Scalar]:
    """Set everything on both sides before the destination listens, read it back, and return what was read.

    Keys are ``source.multifd-zstd-level`` and, for capabilities, ``source.capability.multifd``: what was asked for, what
    belongs to the capabilities that are on, and every capability that is on.

    :raises MethodUnavailable: QEMU refuses capabilities, here or together.
    :raises QemuError: it refuses a value, or a setting did not take: its name, what was asked and what was read.
    """
    found: dict[str, Scalar] = {}
    for side, settings, qmp in (("source", plan.source, source), ("destination", plan.destination, destination)):
        _set(settings, qmp)
        found |= {f"{side}.{name}": value for name, value in _read_back(settings, qmp).items()}
    return found


def _set(settings: SideSettings, qmp: Qmp) -> None:
    states = [{"capability": name, "state": state} for name, state in settings.capabilities.items()]
    try:
        qmp.execute("migrate-set-capabilities", capabilities=states)
    except QemuError as exc:
        if not qmp.alive:
            raise
        raise MethodUnavailable(f"{exc}{_remedy(str(exc))}") from exc
    values: dict[str, Json] = dict(settings.parameters)
    qmp.execute("migrate-set-parameters", **values)


def _remedy(refusal: str) -> str:
    """For what QEMU may have, but not on this machine or not as it was started."""
    if "ostcopy is not supported" in refusal:
        return "; QEMU needs userfaultfd: run as root, or sysctl vm.unprivileged_userfaultfd=1"
    return ""


def _read_back(settings: SideSettings, qmp: Qmp) -> dict[str, Scalar]:
    listed: Json = qmp.execute("query-migrate-capabilities")
    states = {str(entry["capability"]): bool(entry["state"]) for entry in listed}
    values: Json = qmp.execute("query-migrate-parameters")
    for name, state in settings.capabilities.items():
        _confirm(qmp.name, f"capability {name}", state, states.get(name))
    for name, value in settings.parameters.items():
        _confirm(qmp.name, f"parameter {name}", value, values.get(name))
    on = [name for name, state in states.items() if state]
    prefixes = tuple(prefix for name in on for prefix in _BY_CAPABILITY.get(name, ()))
    shown = [name for name in values if name in settings.parameters or name.startswith(prefixes)]
    return {f"capability.{name}": True for name in on} | {name: values[name] for name in sorted(shown)}


def _confirm(side: str, what: str, asked: Scalar, got: Scalar | None) -> None:
    if got != asked or isinstance(got, bool) != isinstance(asked, bool):
        raise QemuError(
            f"{side}: migration {what}: asked for {asked!r}, QEMU kept {got!r}; "
            "this QEMU does not apply it, so the run cannot carry its name"
        )
