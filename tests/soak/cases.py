"""What a soak migrates, and over what: a scenario for each number, by the seed. The same seed gives the same."""

from __future__ import annotations

import functools
import os
import random

from backends import registry
from backends.api import BackendError
from harness.guests.stress.kind import StressSettings
from harness.links.netns import NetnsSettings
from harness.links.relay import RelaySettings
from harness.scenario.kinds import LinkSettings
from harness.scenario.methods import PairMethod
from harness.scenario.model import Scenario

MIB = 1 << 20
_FILLS = ({"text": 0.5, "heap": 0.3, "zero": 0.2}, {"random": 0.7, "text": 0.3}, {"zero": 0.9, "text": 0.1})
_RATES_BYTES_PER_S = (40 * MIB, 125 * MIB, None)


@functools.cache
def backends() -> tuple[str, ...]:
    """That compress on a CPU, as far as they are installed, and what chooses among them."""
    return (*filter(_is_cpu, registry.names()), "auto")


def _is_cpu(name: str) -> bool:
    try:
        return registry.load(name).info.device == "cpu"
    except BackendError:
        return False


def _link(rng: random.Random) -> LinkSettings:
    settings = NetnsSettings if os.geteuid() == 0 and rng.random() < 0.5 else RelaySettings
    return settings(
        bandwidth=rng.choice(_RATES_BYTES_PER_S), delay=rng.choice((0.0, 0.0, 0.005)), tls=rng.random() < 0.5
    )


def scenario_of(seed: int, number: int) -> Scenario:
    """Backends take turns; all else is left to chance."""
    rng, names = random.Random(f"soak {seed} {number}"), backends()
    backend = names[number % len(names)]
    working_set_bytes = rng.choice((2, 8, 16)) * MIB
    guest = StressSettings(
        memory=rng.choice((32, 48, 64)) * MIB,
        working_set=working_set_bytes,
        dirty_rate=rng.choice((0, MIB, 8 * MIB)),
        fill=rng.choice(_FILLS),
        seed=rng.randrange(4),
    )
    method = PairMethod(name=backend, baseline=True, backend=backend, threads=rng.choice((None, 1, 3)))
    return Scenario(
        name="soak",
        description="one of a soak",
        guest=guest,
        link=_link(rng),
        return_path=rng.random() < 0.75,
        method=(method,),
    )


def words_of(scenario: Scenario) -> str:
    """What is particular about it."""
    link, (method,) = scenario.link, scenario.methods
    rate = "unlimited" if link.bandwidth_bytes_per_s is None else f"{link.bandwidth_bytes_per_s // MIB} MiB/s"
    parts = [method.name, f"{scenario.guest.memory_bytes // MIB} MiB", link.kind, rate]
    parts += ["TLS"] if link.tls else []
    return ", ".join([*parts, "return path" if scenario.return_path else "no return path"])
