"""What a result says about its own set-up, in words: the guest, the link, each method, when and where.

Reads the scenario and environment mappings of any schema-1 result; a key that an older result lacks leaves its words out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.results.result import Result
from harness.units import format_bandwidth, format_bytes, format_delay, format_duration, format_rate, format_round_trip
from reports.numbers import DASH, finite, plural, share_percent

_SHORTEST = "shortest"
_MACHINE_KEYS = ("cpu_model", "machine")  # of the environment, the first that is known


def _part(result: Result, name: str) -> Mapping[str, Any]:
    part = result.scenario.get(name)
    return part if isinstance(part, Mapping) else {}


def scenario_text(result: Result, key: str, default: str) -> str:
    """A text field of the scenario, such as its name or description."""
    value = result.scenario.get(key)
    return str(value) if value else default


def file_name(result: Result) -> str:
    """The name of the scenario's file: of a sweep's cell without its labels."""
    return scenario_text(result, "name", "").partition("+")[0]


def declared_methods(result: Result) -> dict[str, Mapping[str, Any]]:
    """The scenario's methods by name."""
    return {str(m["name"]): m for m in result.scenario.get("methods", ()) if isinstance(m, Mapping) and "name" in m}


def baseline_name(result: Result) -> str | None:
    """The method that the others are compared with."""
    return next((name for name, method in declared_methods(result).items() if method.get("baseline")), None)


def guest_settings(result: Result) -> Mapping[str, Any]:
    """What the scenario says of its guest."""
    return _part(result, "guest")


def is_replay(result: Result) -> bool:
    """Whether a recorded or generated stream was moved instead of a live guest: no downtime, equal work."""
    return _part(result, "guest").get("kind") in ("stream", "synthetic")


def limited(result: Result) -> bool:
    """Whether the link had a bandwidth limit."""
    return _part(result, "link").get("bandwidth_bytes_per_s") is not None


def bandwidth_text(result: Result) -> str:
    """``1 Gbit/s``; nothing where the result does not say."""
    link = _part(result, "link")
    return format_bandwidth(link["bandwidth_bytes_per_s"]) if "bandwidth_bytes_per_s" in link else ""


def link_text(result: Result) -> str:
    """``1 Gbit/s (netns)``, ``1 Gbit/s, 50 ms each way, 100 ms round trip (relay)``."""
    if not bandwidth_text(result):
        return "not recorded"
    delay = format_delay(*delay_of(result)) if any(delay_of(result)) else ""
    words, kind = joined(bandwidth_text(result), _steps_text(result), delay, loss_text(result)), link_kind(result)
    return f"{words} ({kind})" if kind else words


def _steps_text(result: Result) -> str:
    """``then 100 Mbit/s after 1 s``; nothing for a link that stays as it is."""
    steps = _part(result, "link").get("steps")
    found = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list | tuple) else []
    return joined(
        *(
            f"then {format_bandwidth(step.get('bandwidth_bytes_per_s'))} after {format_duration(after_s)}"
            for step in found
            if (after_s := finite(step.get("after_s"))) is not None
        )
    )


def joined(*words: str) -> str:
    """Those that say something, with commas between them."""
    return ", ".join(filter(None, words))


def link_kind(result: Result) -> str:
    """``netns`` or ``relay``; what ``auto`` came to opens the environment's sentence."""
    kind = _part(result, "link").get("kind") or ""
    return str(result.environment.get("link") or "").partition(":")[0] if kind == "auto" else str(kind)


def delay_of(result: Result) -> tuple[float, float]:
    """What the link adds in each direction: delay, and up to so much more, in seconds."""
    link = _part(result, "link")
    return finite(link.get("delay_s")) or 0.0, finite(link.get("jitter_s")) or 0.0


def distance_text(result: Result) -> str:
    """``100 ms round trip, 1 % of packets lost``; nothing for a link without length or losses."""
    return joined(format_round_trip(*delay_of(result)) if any(delay_of(result)) else "", loss_text(result))


def loss_text(result: Result) -> str:
    """``1 % of packets lost``, or nothing."""
    loss = finite(_part(result, "link").get("loss"))
    return f"{loss * 100:.3g} % of packets lost" if loss else ""


def guest_memory_bytes(result: Result) -> int | None:
    """The guest's memory, if the scenario says."""
    memory = _part(result, "guest").get("memory_bytes")
    return memory if isinstance(memory, int) and memory > 0 else None


def guest_text(result: Result) -> str:
    """``512 MiB stress guest (kvm), 64 MiB working set dirtied at 20 MiB/s``, or what was replayed instead. What an emulated
    guest's times are worth must be read before they are."""
    guest = _part(result, "guest")
    kind = guest.get("kind", "unknown")
    memory = format_bytes(guest["memory_bytes"]) if "memory_bytes" in guest else ""
    if kind == "stream":
        return f"recorded stream {guest.get('stream') or guest.get('path') or ''}".strip()
    if kind == "synthetic":
        return f"generated stream of a {memory} guest".replace("  ", " ")
    words = f"{memory} {kind} guest".strip()
    accel = result.environment.get("accel")
    how = "emulated by QEMU's TCG: its times say little of one under KVM" if accel == "tcg" else accel
    if within := [str(each) for each in (guest.get("workload"), how) if each]:
        words += f" ({', '.join(within)})"
    words = ", ".join([words, *_unusual(guest)])
    if "working_set_bytes" in guest and "dirty_rate_bytes_per_s" in guest:
        rate = format_rate(guest["dirty_rate_bytes_per_s"])
        words += f", {format_bytes(guest['working_set_bytes'])} working set dirtied at {rate}"
    return words


def _unusual(guest: Mapping[str, Any]) -> Iterator[str]:
    """Of a guest in QEMU: what most have one of, or none."""
    for key, what in (("cpus", "processor"), ("numa", "NUMA node")):
        if (count := guest.get(key, 1)) != 1:
            yield plural(count, what)
    if guest.get("boot") == "repeat":
        yield "booted once for each repeat"
    if guest.get("hugepages"):
        yield f"memory in huge pages of {guest['hugepages']}"


def plan_text(result: Result) -> str:
    """``5 interleaved repeats, 1 warm-up, downtime limit 300 ms``."""
    scenario = result.scenario
    words = []
    frontier = scenario.get("frontier")
    if isinstance(frontier, Mapping):
        words.append(f"as many as the search for frontiers takes, the most of {frontier.get('attempts')} decide")
    elif "repeats" in scenario:
        words.append(plural(scenario["repeats"], "interleaved repeat"))
    if scenario.get("warmups") and not frontier:
        words.append(plural(scenario["warmups"], "warm-up"))
    if scenario.get("downtime") == _SHORTEST and not is_replay(result):
        cost = share_percent(finite(scenario.get("downtime_cost_share")))
        words.append(f"{_SHORTEST} downtime, for {cost} more time at most")
    elif "downtime_limit_s" in scenario and not is_replay(result):
        words.append(f"downtime limit {format_duration(scenario['downtime_limit_s'])}")
    return ", ".join(words)


def family(name: str, method: Mapping[str, Any]) -> str:
    """What a method is drawn as where methods are too many to tell apart: its backend, or itself."""
    return str(method.get("backend") or name)


def method_text(method: Mapping[str, Any]) -> str:
    """One line on how a method works: ``pageferry, isal level 1, 12/3 threads`` or ``QEMU, compress``."""
    more = [str(name) for name in method.get("capabilities", ())]
    if method.get("pause_at_pass"):
        more.append(f"paused in pass {method['pause_at_pass']}")
    if (passes := method.get("switch_after_passes")) is not None:
        more.append(f"post-copy after {passes} {'pass' if passes == 1 else 'passes'}")
    if method.get("downtime") == _SHORTEST:
        more.append(f"{_SHORTEST} downtime")
    if method.get("steer"):
        more.append("steered")
    if method.get("engine") != "pageferry":
        return ", ".join(["QEMU", *more])
    words = f"pageferry, {method.get('backend') or 'default backend'}"
    if method.get("level") is not None:
        words += f" level {method['level']}"
    threads, decompress = method.get("threads"), method.get("decompress_threads")
    if threads is not None or decompress is not None:
        words += f", {threads or 'default'}/{decompress or 'default'} threads"
    if method.get("channels"):
        words += f", {plural(method['channels'], 'channel')}"
    return ", ".join([words, *more])


def date_text(result: Result) -> str:
    """When the first run started, to the minute, as recorded; else the environment's date, else a dash."""
    stamps = sorted(run.started_at for run in result.runs if run.started_at)
    if not stamps and result.environment.get("date"):
        stamps = [str(result.environment["date"])]
    return minute_text(stamps[0]) if stamps else DASH


def minute_text(stamp: str) -> str:
    """A recorded time to the minute, and whose it is where that was recorded."""
    return stamp[:16].replace("T", " ") + (" UTC" if stamp.endswith(("+00:00", "Z")) else "")


def machine_text(result: Result) -> str:
    """The machine in a few words, from the environment."""
    environment = result.environment
    named = next((str(environment[key]) for key in _MACHINE_KEYS if environment.get(key)), "machine not recorded")
    cores = environment.get("cores")
    quota = environment.get("cpu_quota")
    limited = f", limited to the time of {quota:g}" if quota else ""
    pins = [f"{party.replace('_qemu', ' QEMU')} on {cpus}" for party, cpus in _part(result, "pin").items() if cpus]
    held = f"; {', '.join(pins)}" if pins else ""
    return f"{named}, {cores} cores{limited}{held}" if cores else named + held
