"""TOML -> a validated Scenario. Every check of what a user wrote in a scenario is here; inside, types are trusted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.units import parse_bandwidth, parse_bytes, parse_duration, parse_rate

__all__ = ["Guest", "Link", "Method", "PageClass", "Scenario"]

PageClass = Literal["zero", "text", "code", "heap", "random", "duplicate"]
Scalar = str | int | float | bool


def _with(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Bytes = Annotated[int, _with(parse_bytes)]
Rate = Annotated[int, _with(parse_rate)]
Bandwidth = Annotated[int | None, _with(parse_bandwidth)]
Seconds = Annotated[float, _with(parse_duration)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Guest(_Part):
    """What is migrated. ``fill`` gives each page class its share of RAM; it sums to 1."""

    kind: Literal["stress", "stream", "synthetic"] = "stress"
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    qemu: str = "qemu-system-x86_64"
    memory_bytes: Bytes = Field(default=512 << 20, alias="memory")
    fill: dict[PageClass, float] = {"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1}
    seed: int = 1
    working_set_bytes: Bytes = Field(default=64 << 20, alias="working_set")
    dirty_rate_bytes_per_s: Rate = Field(default=20 << 20, alias="dirty_rate")
    pattern: Literal["sequential", "random"] = "sequential"
    changed_bytes_per_page: int = 64
    path: str | None = None


class Link(_Part):
    """What every method of the scenario crosses."""

    kind: Literal["auto", "netns", "relay"] = "auto"
    bandwidth_bytes_per_s: Bandwidth = Field(default=None, alias="bandwidth")


class Method(_Part):
    """One way to migrate. ``engine`` "qemu": QEMU alone, with capabilities and parameters; "pageferry": through the pair."""

    name: str
    engine: Literal["qemu", "pageferry"]
    baseline: bool = False
    capabilities: tuple[str, ...] = ()
    source: dict[str, Scalar] = {}
    destination: dict[str, Scalar] = {}
    backend: str | None = None
    level: int | None = None
    threads: int | None = None
    decompress_threads: int | None = None
    batch_bytes: Annotated[int | None, _with(parse_bytes)] = Field(default=None, alias="batch")
    inflight_bytes: Annotated[int | None, _with(parse_bytes)] = Field(default=None, alias="inflight")
    options: dict[str, Scalar] = {}


class Scenario(_Part):
    """A whole experiment: one guest, one link, several methods, interleaved repeats."""

    name: str
    description: str
    repeats: int = 5
    warmups: int = 1
    downtime_limit_s: Seconds = Field(default=0.3, alias="downtime_limit")
    timeout_s: Seconds = Field(default=120.0, alias="timeout")
    return_path: bool = True
    guest: Guest = Guest()
    link: Link = Link()
    methods: tuple[Method, ...] = Field(alias="method")
