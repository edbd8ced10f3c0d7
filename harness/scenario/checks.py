"""Rules of a scenario that span several keys. Each raises a Fault with the key, the value and what to write instead.

Knows which keys belong to which engine and guest, and asks ``backends.registry`` which backends and levels there are.
Whether a backend's library is installed is no matter here: a method that cannot run is skipped with its reason.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backends import registry
from backends.api import MAX_BATCH_BYTES, BackendError, BackendInfo
from harness.errors import UserError
from harness.migrator.carry.fallback import choose_fallback
from harness.migrator.choose.auto import AUTO
from harness.scenario.document import Fault, shown, unknown
from harness.units import MIB, format_bytes

if TYPE_CHECKING:
    from harness.scenario.model import FrontierSearch, Guest, LimitRange, Method, Scenario

__all__ = ["check_methods", "check_scenario", "check_stream_file"]

PAGE_BYTES = 4096
MIN_MEMORY_BYTES = 16 * MIB
MAX_MEMORY_BYTES = 1 << 40
MAX_INFLIGHT_BYTES = 1 << 30
STRESS_STEP_BYTES = 2 * MIB
STRESS_MAX_MEMORY_BYTES = 60 << 30
STRESS_MAX_CHANGED_BYTES = 4080
"""The stress guest maps up to 60 GiB in pages of 2 MiB, and needs the head of each dirtied page for its checks."""

FILL_TOLERANCE = 0.001
MAX_DOWNTIME_LIMIT_S = 2000.0
"""QEMU refuses a larger downtime-limit."""

_QEMU_KEYS = ("capabilities", "source", "destination")
_KEYS_OF_A_LIVE_GUEST = (*_QEMU_KEYS, "steer")
_PAIR_KEYS = {
    "backend": "backend",
    "level": "level",
    "threads": "threads",
    "decompress_threads": "decompress_threads",
    "batch_bytes": "batch",
    "inflight_bytes": "inflight",
    "fallback": "fallback",
    "steer": "steer",
    "options": "options",
}
_NOT_FOR_STREAM = {
    "accel": "accel",
    "qemu": "qemu",
    "memory_bytes": "memory",
    "fill": "fill",
    "seed": "seed",
    "working_set_bytes": "working_set",
    "dirty_rate_bytes_per_s": "dirty_rate",
    "pattern": "pattern",
    "changed_bytes_per_page": "changed_bytes_per_page",
}


def check_methods(scenario: Scenario) -> None:
    """One baseline, and each method's keys fit its engine. All methods, also those that ``--only`` leaves out."""
    baselines = [method.name for method in scenario.methods if method.baseline]
    if not baselines:
        raise Fault(("method",), "no baseline: write baseline = true in the method that the others are compared with")
    if len(baselines) > 1:
        names = " and ".join(repr(name) for name in baselines[:2])
        raise Fault(("method", baselines[1], "baseline"), f"true, but {names} are both baselines: keep one")
    known = [*registry.names(), AUTO.name]
    infos: dict[str, BackendInfo] = {}
    for method in scenario.methods:
        key = ("method", method.name)
        if method.engine == "qemu":
            _check_qemu_method(method)
            continue
        name = _checked_backend_name(method, known)
        if name not in infos:  # asked once: with entry points a look-up takes milliseconds, and methods are many
            infos[name] = AUTO if name == AUTO.name else _backend_info(name, key)
        _check_backend_settings(method, infos[name], key)
        _check_buffers(method, key)


def check_scenario(scenario: Scenario) -> None:
    """The rules for the whole and for the guest, over the methods that will run."""
    if not scenario.description.strip():
        raise Fault(("description",), "'': must not be empty: say what question this scenario answers")
    if scenario.downtime_limit_s > MAX_DOWNTIME_LIMIT_S:
        raise Fault(
            ("downtime_limit",), f"{scenario.downtime_limit_s:g} s: QEMU takes at most {MAX_DOWNTIME_LIMIT_S:g} s"
        )
    scenario.link.check()
    guest = scenario.guest
    if guest.kind == "stream":
        _check_stream_guest(guest)
    else:
        _check_memory(guest)
        _check_fill(guest)
    if guest.kind == "stress":
        _check_stress_guest(guest)
    if guest.kind != "stress":
        _check_raw_stream_methods(scenario)
    if scenario.frontier is not None:
        _check_frontier(scenario, scenario.frontier)


def check_stream_file(path: Path) -> None:
    """A recorded stream that can be opened now, rather than found missing when its first run starts."""
    key = ("guest", "path")
    if not path.is_file():
        reason = "is not a file" if path.exists() else "there is no such file"
        raise Fault(key, f"{shown(str(path))}: {reason}: record one with pageferry record")
    if not os.access(path, os.R_OK):
        raise Fault(key, f"{shown(str(path))}: may not be read: check its permissions")


def _check_frontier(scenario: Scenario, frontier: FrontierSearch) -> None:
    key = ("frontier",)
    if scenario.guest.kind != "stress":
        reason = (
            f'needs a guest that writes and can be stopped, and kind = "{scenario.guest.kind}" is none: write "stress"'
        )
        raise Fault(key, reason, because=("guest", "kind"))
    for name in ("repeats", "warmups"):
        if name in scenario.model_fields_set:
            raise Fault((name,), "has no meaning beside [frontier], which has attempts: remove the key", because=key)
    if frontier.attempts % 2 == 0:
        raise Fault((*key, "attempts"), f"{frontier.attempts}: must be odd, so that most of them decide")
    if not frontier.searches or len(set(frontier.searches)) != len(frontier.searches):
        raise Fault((*key, "find"), f"{shown(list(frontier.searches))}: write dirty_rate, downtime_limit, or both")
    for name in frontier.searches:
        if getattr(frontier, name) is None:
            raise Fault((*key, name), "is missing: say where to look: from and to")
    rate, limit = frontier.dirty_rate, frontier.downtime_limit
    if rate is not None and rate.from_bytes_per_s >= rate.to_bytes_per_s:
        ends = f"{format_bytes(rate.from_bytes_per_s)}/s: must be less than to ({format_bytes(rate.to_bytes_per_s)}/s)"
        raise Fault((*key, "dirty_rate", "from"), ends, because=(*key, "dirty_rate", "to"))
    if limit is not None:
        _check_limits(limit, (*key, "downtime_limit"))


def _check_limits(limit: LimitRange, key: tuple[str, ...]) -> None:
    for name, value_s in (("from", limit.from_s), ("to", limit.to_s)):
        if not math.isclose(value_s * 1e3, round(value_s * 1e3)) or not 0.001 <= value_s <= MAX_DOWNTIME_LIMIT_S:
            most = f"from 1 ms to {MAX_DOWNTIME_LIMIT_S:g} s"
            raise Fault((*key, name), f"{value_s * 1e3:g} ms: QEMU takes whole milliseconds, {most}")
    if limit.from_s >= limit.to_s:
        ends = f"{limit.from_s * 1e3:g} ms: must be less than to ({limit.to_s * 1e3:g} ms)"
        raise Fault((*key, "from"), ends, because=(*key, "to"))


def _check_qemu_method(method: Method) -> None:
    for field, name in _PAIR_KEYS.items():
        if field in method.model_fields_set:
            raise Fault(("method", method.name, name), 'is for engine = "pageferry"; this method has engine = "qemu"')
    for number, capability in enumerate(method.capabilities):
        if not capability or capability in method.capabilities[:number]:
            raise Fault(
                ("method", method.name, "capabilities"), f"{shown(capability)}: empty or named twice: remove it"
            )


def _checked_backend_name(method: Method, known: Sequence[str]) -> str:
    key = ("method", method.name)
    for name in _QEMU_KEYS:
        if name in method.model_fields_set:
            raise Fault((*key, name), 'is for engine = "qemu"; this method has engine = "pageferry"')
    if method.backend is None:
        raise Fault((*key, "backend"), f'is missing: engine = "pageferry" needs one of: {", ".join(known)}')
    if method.backend not in known:
        raise Fault((*key, "backend"), unknown("backend", method.backend, known))
    return method.backend


def _backend_info(name: str, key: tuple[str, ...]) -> BackendInfo:
    try:
        return registry.load(name).info
    except BackendError as exc:
        raise Fault((*key, "backend"), str(exc)) from exc


def _check_backend_settings(method: Method, info: BackendInfo, key: tuple[str, ...]) -> None:
    level, levels = method.level, info.levels
    if level is not None and levels is None:
        raise Fault((*key, "level"), f"{level}: backend {info.name!r} has no levels: remove the key")
    if level is not None and levels is not None and not levels[0] <= level <= levels[1]:
        raise Fault((*key, "level"), f"{level}: backend {info.name!r} has levels {levels[0]} to {levels[1]}")
    for option in method.options:
        if option not in info.options:
            raise Fault((*key, "options", option), unknown(f"option of backend {info.name!r}", option, info.options))
    if method.fallback is not None:
        try:
            choose_fallback(info, method.fallback)
        except UserError as exc:
            raise Fault((*key, "fallback"), str(exc).removeprefix("fallback ")) from exc


def _check_buffers(method: Method, key: tuple[str, ...]) -> None:
    batch, inflight = method.batch_bytes, method.inflight_bytes
    if batch is not None and (batch % PAGE_BYTES or not PAGE_BYTES <= batch <= MAX_BATCH_BYTES):
        limits = f"{format_bytes(PAGE_BYTES)} to {format_bytes(MAX_BATCH_BYTES)}"
        raise Fault((*key, "batch"), f"{format_bytes(batch)}: must be whole pages of 4 KiB, {limits}")
    least = max(batch or 0, PAGE_BYTES)
    if inflight is not None and not least <= inflight <= MAX_INFLIGHT_BYTES:
        limits = f"{format_bytes(least)} (one batch) to {format_bytes(MAX_INFLIGHT_BYTES)}"
        raise Fault((*key, "inflight"), f"{format_bytes(inflight)}: must be {limits}")


def _check_stream_guest(guest: Guest) -> None:
    if guest.path is None:
        raise Fault(
            ("guest", "path"),
            'is missing: kind = "stream" needs the file of a recorded stream',
            because=("guest", "kind"),
        )
    for field, name in _NOT_FOR_STREAM.items():
        if field in guest.model_fields_set:
            reason = 'has no meaning for kind = "stream", whose file holds it all: remove the key'
            raise Fault(("guest", name), reason, because=("guest", "kind"))


def _check_memory(guest: Guest) -> None:
    if guest.path is not None:
        raise Fault(("guest", "path"), f'{shown(guest.path)}: is for kind = "stream"; this guest is {guest.kind!r}')
    memory, working_set = guest.memory_bytes, guest.working_set_bytes
    if not MIN_MEMORY_BYTES <= memory <= MAX_MEMORY_BYTES:
        limits = f"{format_bytes(MIN_MEMORY_BYTES)} to {format_bytes(MAX_MEMORY_BYTES)}"
        raise Fault(("guest", "memory"), f"{format_bytes(memory)}: must be {limits}")
    for name, value in (("memory", memory), ("working_set", working_set)):
        if value % PAGE_BYTES:
            raise Fault(("guest", name), f"{value} bytes: must be whole pages of 4 KiB")
    if working_set < PAGE_BYTES:
        raise Fault(
            ("guest", "working_set"), f'{working_set} bytes: must be at least one page; "0B/s" as dirty_rate idles'
        )
    if working_set > memory // 2:
        reason = f"must be at most half of memory ({format_bytes(memory)}), whose rest holds the filled pages"
        raise Fault(("guest", "working_set"), f"{format_bytes(working_set)}: {reason}", because=("guest", "memory"))


def _check_stress_guest(guest: Guest) -> None:
    memory, changed = guest.memory_bytes, guest.changed_bytes_per_page
    if memory % STRESS_STEP_BYTES or memory > STRESS_MAX_MEMORY_BYTES:
        most = format_bytes(STRESS_MAX_MEMORY_BYTES)
        raise Fault(("guest", "memory"), f"{format_bytes(memory)}: must be a multiple of 2 MiB, {most} at most")
    if changed % 8 or changed > STRESS_MAX_CHANGED_BYTES:
        raise Fault(
            ("guest", "changed_bytes_per_page"),
            f"{changed}: must be a multiple of 8, {STRESS_MAX_CHANGED_BYTES} at most",
        )


def _check_fill(guest: Guest) -> None:
    for name, share in guest.fill.items():
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise Fault(("guest", "fill", name), f"{share}: must be a share of RAM, 0 to 1")
    total = math.fsum(guest.fill.values())
    if abs(total - 1) > FILL_TOLERANCE:
        raise Fault(("guest", "fill"), f"the shares sum to {total:.4g}: they must sum to 1")


def _check_raw_stream_methods(scenario: Scenario) -> None:
    """Without a QEMU there is nobody to hold capabilities or parameters."""
    for method in scenario.methods:
        for name in _KEYS_OF_A_LIVE_GUEST:
            if getattr(method, name):
                reason = (
                    f'needs QEMU, and a guest of kind "{scenario.guest.kind}" has none: leave it out, or use "stress"'
                )
                raise Fault(("method", method.name, name), reason, because=("guest", "kind"))
