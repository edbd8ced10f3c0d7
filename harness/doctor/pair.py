"""What a pair of hosts can do: each host's own checks, by its agent, and what only the two together show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.doctor.check import Check
from harness.doctor.checks import doctor
from harness.doctor.stream import Carried, send_stream, take_stream
from harness.errors import PageferryError
from harness.experiment.environment import about_machine, cpu_flags, lacking
from harness.hosts.contract import ClockOffset
from harness.links.nic import Nic, look_at_nic
from harness.links.pair import Reached
from harness.results.document import Scalar
from harness.scenario.inventory import Pair
from harness.units import format_bandwidth, format_bytes

_STREAM_S, _PATIENCE_S = 1.0, 20.0
_APART_S = 1.0
"""As a run warns of it."""
_FEW = 0.5
"""Of what the interface says that it can."""
Facts = dict[str, Scalar]


def doctor_pair(reached: Reached, pair: Pair, name: str) -> tuple[list[list[Check]], list[Check]]:
    """The source's and the destination's own checks, and those of both together. Takes some ten seconds. ``name``: the pair's.

    :raises PageferryError: a host has gone.
    """
    hosts = reached.source, reached.destination
    with ThreadPoolExecutor(2, thread_name_prefix="doctor") as pool:
        each = list(pool.map(lambda host: host.call(doctor), hosts))
    return each, [*look_at_both(reached, pair), _cards(pair, name, each)]


def look_at_both(reached: Reached, pair: Pair) -> list[Check]:
    """What only the two together show. :raises PageferryError: a host has gone."""
    hosts = reached.source, reached.destination
    facts = [host.call(about_machine, "qemu-system-x86_64") for host in hosts]
    return [
        _clocks(*(host.clock_offset() for host in hosts)),
        _processors(pair, facts[0], facts[1], lacking(*(host.call(cpu_flags) for host in hosts))),
        _memory(pair, *facts),
        *_network(reached, pair),
    ]


def _clocks(near: ClockOffset, far: ClockOffset) -> Check:
    apart_s, error_s = far.seconds - near.seconds, near.error_s + far.error_s
    apart_ms = round(apart_s * 1e3, 2) + 0.0  # no -0.00
    found = f"the destination's is {apart_ms:+.2f} ms from the source's, known to {error_s * 1e3:.2f} ms"
    means = f"a downtime below {error_s * 1e3:.2f} ms cannot be told"
    if abs(apart_s) <= _APART_S:
        return Check("clocks", "clocks", "ok", found, means)
    means += "; figures are corrected, and logs of other programs will not fit together"
    return Check("clocks", "clocks", "warn", found, means, "have one time server set both (chrony, systemd-timesyncd)")


def _processors(pair: Pair, near: Facts, far: Facts, lacks: str) -> Check:
    models = [f"{facts['cpu_model']}, {facts['cores']} cores" for facts in (near, far)]
    if near["cpu_model"] == far["cpu_model"] and not lacks:
        same = models[0] if models[0] == models[1] else f"{near['cpu_model']}, {near['cores']} and {far['cores']} cores"
        return Check("processors", "processors", "ok", f"both {same}", "a guest may have its host's (-cpu host)")
    found = f"{pair.source}: {models[0]}; {pair.destination}: {models[1]}" + (f", lacks {lacks}" if lacks else "")
    means = "a guest with its host's processor (-cpu host) may fail to go on at the other, and a run warns of it"
    fix = "take two hosts of one model, with one kernel and firmware"
    return Check("processors", "processors", "warn", found, means, fix)


def _memory(pair: Pair, near: Facts, far: Facts) -> Check:
    rooms = [int(facts["memory_available_bytes"] or 0) for facts in (near, far)]
    found = f"{pair.source}: {format_bytes(rooms[0])} available; {pair.destination}: {format_bytes(rooms[1])}"
    return Check("memory", "memory", "ok", found, f"the largest guest has some {format_bytes(min(rooms))}")


def _network(reached: Reached, pair: Pair) -> list[Check]:
    try:
        near, far = (
            host.call(look_at_nic, nic)
            for host, nic in zip((reached.source, reached.destination), pair.nics, strict=True)
        )
        reached.check_reach()
    except PageferryError as exc:
        found, _, fix = str(exc).rpartition(": ")
        return [Check("link", "link", "missing", found, "no guest can cross", fix)]
    return [_mtu(pair, near, far), _link(reached, pair, near, far)]


def _mtu(pair: Pair, near: Nic, far: Nic) -> Check:
    found = f"{pair.nics[0]} of {pair.source}: {near.mtu}; {pair.nics[1]} of {pair.destination}: {far.mtu}"
    if near.mtu == far.mtu:
        return Check("mtu", "MTU", "ok", found, "both the same")
    means = "large packets are cut or lost on the way"
    return Check("mtu", "MTU", "warn", found, means, f"ip link set dev NIC mtu {min(near.mtu, far.mtu)}")


def _link(reached: Reached, pair: Pair, near: Nic, far: Nic) -> Check:
    port = reached.destination.port()
    try:
        trip_s, carried = _streamed(reached, pair, port)
    except (PageferryError, OSError) as exc:
        fix = "lower the MTU of both interfaces, and look for what drops packets between"
        return Check(
            "link", "link", "missing", f"a stream to {pair.address} stood still: {exc}", "no guest can cross", fix
        )
    found = (
        f"one TCP connection carries {format_bandwidth(round(carried.bytes_per_s))}, round trip {trip_s * 1e3:.2f} ms"
    )
    said = min((nic.bits_per_s for nic in (near, far) if nic.bits_per_s is not None), default=None)
    if said is None:
        return Check("link", "link", "ok", found, "its interfaces do not say what they can carry")
    found += f"; its interfaces say {format_bandwidth(said // 8)}"
    if carried.bytes_per_s * 8 >= _FEW * said:
        return Check("link", "link", "ok", found, "near to what the interfaces say")
    means = "what is between, or a busy processor, is the limit, and not the interface"
    return Check(
        "link",
        "link",
        "warn",
        found,
        means,
        "look at switches, shaping (tc qdisc) and load",
    )


def _streamed(reached: Reached, pair: Pair, port: int) -> tuple[float, Carried]:
    with ThreadPoolExecutor(1, thread_name_prefix="stream") as pool:
        taken = pool.submit(reached.destination.call, take_stream, pair.address, port, _PATIENCE_S)
        trip_s = reached.source.call(send_stream, pair.address, port, _STREAM_S, _PATIENCE_S)
        return trip_s, taken.result()


def _cards(pair: Pair, name: str, each: list[list[Check]]) -> Check:
    seen = [next(check for check in checks if check.id == "opencl") for checks in each]
    told = "; ".join(
        f"{host}: {check.found}" for host, check in zip((pair.source, pair.destination), seen, strict=True)
    )
    if any(check.status == "ok" for check in seen):
        return Check("cards", "cards", "ok", told, f"try them where they are: pageferry qualify opencl --pair {name}")
    return Check("cards", "cards", "ok", told, "neither host has an OpenCL device that works")
