"""``[[method]]``: one way to migrate, by QEMU alone or through the pair, each with keys of its own.

Asks ``backends.registry`` which backends and levels there are. Whether a backend's library is installed is no matter here: a method
that cannot run is skipped with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from backends import registry
from backends.api import BackendError, BackendInfo
from harness.errors import UserError
from harness.migrator.carry.fallback import choose_fallback
from harness.migrator.choose.auto import AUTO
from harness.migrator.config import LEAST_BATCH_BYTES, MOST_BATCH_BYTES
from harness.names import unknown, unknown_key
from harness.scenario.fault import Fault, shown
from harness.scenario.part import AfterPasses, Downtime, OptionalBytes, Part, Scalar, Threads
from harness.units import PAGE_BYTES, format_bytes

MAX_INFLIGHT_BYTES = 1 << 30
MOST_CHANNELS = 255
"""Of QEMU's multifd-channels."""
_CHANNELS = "multifd-channels"
PREEMPT = "postcopy-preempt"
"""The capability by which QEMU makes a connection for those pages alone that the destination asks for."""


class Method(Part):
    """One way to migrate. Where the guest is a stream there is no QEMU, and engine "qemu" means the raw stream over the link."""

    name: str
    """The method's name in tables and files; each method has its own."""
    engine: Literal["qemu", "pageferry"]
    """"qemu": QEMU alone, with capabilities and parameters; "pageferry": through the pair."""
    baseline: bool = False
    """Whether the others are compared with this one. Exactly one method is the baseline."""
    downtime: Downtime = None
    """"shortest": the source QEMU stops the guest in the pass after which one more would not be worth it; without it as the
    scenario says."""
    pause_at_pass: int | None = Field(default=None, ge=1)
    """In which pass over memory the guest is paused, so that it writes no more and the migration ends; 1: at once."""
    switch_after_passes: AfterPasses = Field(default=None, alias="switch")
    """Post-copy: after how many passes over memory, such as "after 1 pass", the guest goes on at the destination. What is left
    comes behind it, first what it asks for. Without it the guest goes on when all is there."""
    capabilities: tuple[str, ...] = Field(default=(), strict=False)
    """Migration capabilities to switch on in both QEMUs, as QMP names them."""
    source: dict[str, Scalar] = Field(default={})
    """Migration parameters of the source, as QMP names them."""
    destination: dict[str, Scalar] = Field(default={})
    """Migration parameters of the destination, as QMP names them."""

    needs_qemu: ClassVar[tuple[str, ...]] = (
        "downtime", "pause_at_pass", "switch_after_passes", "capabilities", "source", "destination",
    )  # fmt: skip
    """Keys that have no meaning where there is no QEMU."""

    @model_validator(mode="after")
    def _each_capability_once(self) -> Self:
        for number, capability in enumerate(self.capabilities):
            if not capability or capability in self.capabilities[:number]:
                raise Fault(("capabilities",), f"{shown(capability)}: empty or named twice: remove it")
        return self

    @model_validator(mode="after")
    def _paused_or_switched(self) -> Self:
        if self.pause_at_pass is not None and self.switch_after_passes is not None:
            reason = f"{self.pause_at_pass}: a guest that is paused cannot go on at the destination by switch: keep one of the two"
            raise Fault(("pause_at_pass",), reason)
        return self

    @classmethod
    def stranger(cls, key: str, value: object, table: Mapping[str, Any]) -> str:  # noqa: ARG003
        """Names the engine that has the key."""
        for engine, other in _ENGINES.items():
            if key in other.toml_keys():
                return f'is for engine = "{engine}"; this method has engine = "{table.get("engine")}"'
        return unknown_key(key, list(cls.toml_keys()))


class QemuMethod(Method):
    """QEMU alone."""

    engine: Literal["qemu"] = "qemu"


class PairMethod(Method):
    """Through the pair, ``pageferry send`` and ``pageferry receive``."""

    engine: Literal["pageferry"] = "pageferry"
    backend: str
    """What compresses: a name of `pageferry list backends`, or "auto"."""
    level: int | None = None
    """The backend's level; without it the backend's default. A list makes a method of each value."""
    threads: Threads = None
    """Compression threads; without it as many as cores. A list makes a method of each value."""
    decompress_threads: Threads = None
    """Decompression threads; without it what the backend needs. A list makes a method of each value."""
    batch_bytes: OptionalBytes = Field(default=None, alias="batch")
    """Bytes of pages that are compressed at once, whole pages of 4 KiB up to 4 MiB; without it what the backend likes."""
    inflight_bytes: OptionalBytes = Field(default=None, alias="inflight")
    """The most bytes under way, from one batch to 1 GiB; without it from the link's measured rate."""
    fallback: str | None = None
    """What compresses a batch at which a device fails, such as "isal:1", or "never"."""
    steer: bool = False
    """Whether the sender tells the source QEMU what is really delivered, so that it stops its guest at the right moment."""
    channels: int | None = Field(default=None, ge=1, le=MOST_CHANNELS)
    """With how many channels of its multifd QEMU migrates, each of which the pair carries besides the main connection; without it
    there is that one alone."""
    options: dict[str, Scalar] = Field(default={})
    """The backend's own options."""

    needs_qemu: ClassVar[tuple[str, ...]] = (*Method.needs_qemu, "steer", "channels")

    @property
    def most_connections(self) -> int:
        """Of one migration: the main one, and those of multifd and postcopy-preempt."""
        return 1 + (self.channels or 0) + (PREEMPT in self.capabilities)

    @model_validator(mode="after")
    def _channels_by_their_key(self) -> Self:
        instead = "write channels = 2, or how many it is to have, instead"
        if "multifd" in self.capabilities:
            raise Fault(("capabilities",), f"'multifd': {instead}")
        if _CHANNELS in self.source:
            raise Fault(("source", _CHANNELS), f"{self.source[_CHANNELS]}: {instead}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _known_backend(cls, table: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever a user wrote
        if isinstance(table, Mapping) and info.context is not None:
            known = info.context.setdefault("backends", [*registry.names(), AUTO.name])
            name = table.get("backend")
            if name is None:
                raise Fault(("backend",), f'is missing: engine = "pageferry" needs one of: {", ".join(known)}')
            if isinstance(name, str) and name not in known:
                raise Fault(("backend",), unknown("backend", name, known))
        return table

    @model_validator(mode="after")
    def _what_the_backend_has(self, info: ValidationInfo) -> Self:
        if info.context is not None:
            _check_settings(self, _backend_info(self.backend, info.context))
            _check_buffers(self.batch_bytes, self.inflight_bytes)
        return self


_ENGINES: Mapping[str, type[Method]] = {"qemu": QemuMethod, "pageferry": PairMethod}


def method_of(table: object, info: ValidationInfo) -> object:
    """A table as a method of its engine; what is no table stays what it is. :raises Fault: no such engine."""
    if not isinstance(table, Mapping):
        return table
    engine, known = table.get("engine"), " or ".join(repr(name) for name in _ENGINES)
    if engine is None:
        raise Fault(("engine",), f"is missing: write {known}")
    if not isinstance(engine, str) or engine not in _ENGINES:
        raise Fault(("engine",), f"{shown(engine)}: must be {known}")
    return _ENGINES[engine].model_validate(table, context=info.context)


def _backend_info(name: str, context: dict[str, Any]) -> BackendInfo:
    """Asked once: with entry points a look-up takes milliseconds, and methods are many."""
    infos: dict[str, BackendInfo] = context.setdefault("infos", {AUTO.name: AUTO})
    if name not in infos:
        try:
            infos[name] = registry.load(name).info
        except BackendError as exc:
            raise Fault(("backend",), str(exc)) from exc
    return infos[name]


def _check_settings(method: PairMethod, info: BackendInfo) -> None:
    level, levels = method.level, info.levels
    if level is not None and levels is None:
        raise Fault(("level",), f"{level}: backend {info.name!r} has no levels: remove the key")
    if level is not None and levels is not None and not levels[0] <= level <= levels[1]:
        raise Fault(("level",), f"{level}: backend {info.name!r} has levels {levels[0]} to {levels[1]}")
    for option in method.options:
        if option not in info.options:
            raise Fault(("options", option), unknown(f"option of backend {info.name!r}", option, info.options))
    if method.fallback is not None:
        try:
            choose_fallback(info, method.fallback)
        except UserError as exc:
            raise Fault(("fallback",), str(exc).removeprefix("fallback ")) from exc


def _check_buffers(batch: int | None, inflight: int | None) -> None:
    if batch is not None and (batch % PAGE_BYTES or not LEAST_BATCH_BYTES <= batch <= MOST_BATCH_BYTES):
        limits = f"{format_bytes(LEAST_BATCH_BYTES)} to {format_bytes(MOST_BATCH_BYTES)}"
        raise Fault(("batch",), f"{format_bytes(batch)}: must be whole pages of 4 KiB, {limits}")
    least = max(batch or 0, LEAST_BATCH_BYTES)
    if inflight is not None and not least <= inflight <= MAX_INFLIGHT_BYTES:
        limits = f"{format_bytes(least)} (one batch) to {format_bytes(MAX_INFLIGHT_BYTES)}"
        raise Fault(("inflight",), f"{format_bytes(inflight)}: must be {limits}")
