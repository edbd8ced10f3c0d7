"""A backend and its level, as they are written everywhere: ``BACKEND[:LEVEL]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backends import registry
from backends.api import BackendError


@dataclass(frozen=True, slots=True)
class Spec:
    """``level`` None: it has none, or as it is by default."""

    backend: str
    level: int | None

    def __str__(self) -> str:
        """As it is written."""
        return self.backend if self.level is None else f"{self.backend}:{self.level}"


def parse_spec(text: str) -> Spec:
    """With the level that it is by default, where there are any. Whether it can work here is not looked at.

    :raises BackendError: there is no such backend, or it has no such level.
    """
    name, colon, digits = text.partition(":")
    info = registry.load(name).info
    if colon and not re.fullmatch("-?[0-9]{1,4}", digits, re.ASCII):
        raise BackendError(f"{digits!r} is no level")
    return Spec(name, info.checked_level(int(digits) if colon else None))
