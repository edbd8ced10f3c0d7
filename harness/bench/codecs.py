"""Which codecs, and at which levels: what was written -> specs, and what is not here with its reason. And memcpy, the ceiling."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backends import registry
from backends.api import MAX_BATCH_BYTES, Backend, BackendError, BackendInfo, BackendUnavailable, Buffer
from harness.errors import MissingError, UserError
from harness.migrator.spec import Spec, parse_spec
from harness.terminal import one_line

MEMCPY = Spec("memcpy", None)
_NOT_CODECS = ("none",)
_RANGE = re.compile(r"(-?[0-9]{1,4})\.\.(-?[0-9]{1,4})", re.ASCII)


class Memcpy(Backend):
    """Copies its input once, into memory that is there: no codec can be faster."""

    info = BackendInfo(name="memcpy")

    def __init__(self) -> None:
        """For the largest batch that there is."""
        super().__init__()
        self._to = np.zeros(MAX_BATCH_BYTES, dtype=np.uint8)

    @classmethod
    def probe(cls) -> str:
        """NumPy's version, whose copy lets go of the GIL."""
        return np.__version__

    def compress(self, data: Buffer) -> Buffer:
        """The same bytes."""
        np.copyto(self._to[: len(data)], np.frombuffer(data, dtype=np.uint8))
        return data

    def decompress(self, data: Buffer, raw_bytes: int) -> Buffer:  # noqa: ARG002 - the contract's
        """The same bytes."""
        return self.compress(data)


@dataclass(frozen=True, slots=True)
class Choice:
    """``missing``: a backend's name -> why it cannot be measured here."""

    specs: tuple[Spec, ...]
    missing: dict[str, str]


def chosen(texts: Sequence[str], baseline: str) -> Choice:
    """Of ``BACKEND[:LEVEL]`` and ``BACKEND:LOW..HIGH``; without any, each backend at its default level. The baseline is among them.

    :raises UserError: there is no such backend or level. :raises MissingError: what was asked for by name is not here.
    """
    here = registry.survey()
    missing = {status.name: status.reason or "" for status in here if not status.available}
    asked = [spec for text in texts for spec in _specs(text, "--codec")]
    against = _specs(baseline, "--baseline")
    if not texts:
        asked += [parse_spec(status.name) for status in here if status.available and status.name not in _NOT_CODECS]
    specs = []
    for spec in dict.fromkeys([*against, *asked]):
        try:
            _open(spec)
        except BackendUnavailable as exc:
            if texts or spec in against:
                raise MissingError(str(exc)) from exc
            missing[spec.backend] = exc.missing
        else:
            specs.append(spec)
    return Choice(tuple(specs), {} if texts else missing)


def _open(spec: Spec) -> None:
    """Find out whether it can work, as a device that is here may not."""
    backend = made(spec)
    try:
        backend.probe()
        if not backend.info.stateful:  # nothing but memory, of which there is much
            backend.open()
    finally:
        backend.close()


def _specs(text: str, option: str) -> list[Spec]:
    """:raises UserError: it is none; ``option`` is where it stands."""
    name, _, levels = text.partition(":")
    try:
        if match := _RANGE.fullmatch(levels):
            low, high = sorted(map(int, match.groups()))
            return [parse_spec(f"{name}:{level}") for level in range(low, high + 1)]
        return [parse_spec(text)]
    except BackendError as exc:
        raise UserError(one_line(f"{option} {text}: {exc}")) from exc


def made(spec: Spec) -> Backend:
    """A new instance for one thread."""
    return Memcpy() if spec == MEMCPY else _class(spec.backend)(spec.level)


@functools.cache
def _class(name: str) -> type[Backend]:
    """Each time it would look through all that is installed."""
    return registry.load(name)
