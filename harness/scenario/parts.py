"""What tables of a scenario are made of: quantities that TOML spells as text with a unit, and the strict table itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.units import parse_bandwidth, parse_bytes, parse_duration, parse_rate

__all__ = [
    "AboveZero",
    "Bandwidth",
    "Bytes",
    "Delay",
    "OptionalBytes",
    "Part",
    "PositiveRate",
    "Quantity",
    "Rate",
    "Seconds",
    "Threads",
    "with_unit",
]


def with_unit(parse: Callable[[str], float | None]) -> BeforeValidator:
    """Text with a unit is parsed."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a field that TOML spells as text with a unit. ``what`` and ``example`` are for the error message."""

    what: str
    example: str


AboveZero = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, with_unit(parse_bytes), Quantity("size", "512MiB"), Field(ge=0)]
Rate = Annotated[int, with_unit(parse_rate), Quantity("rate", "20MiB/s"), Field(ge=0)]
Bandwidth = Annotated[AboveZero | None, with_unit(parse_bandwidth), Quantity("bandwidth", "1Gbit/s")]
Delay = Annotated[float, with_unit(parse_duration), Quantity("duration", "50ms"), Field(ge=0)]
Seconds = Annotated[float, with_unit(parse_duration), Quantity("duration", "300ms"), Field(gt=0, le=86400)]
OptionalBytes = Annotated[AboveZero | None, with_unit(parse_bytes), Quantity("size", "256KiB")]
PositiveRate = Annotated[AboveZero, with_unit(parse_rate), Quantity("rate", "20MiB/s")]
Threads = Annotated[int, Field(ge=1, le=256)] | None


class Part(BaseModel):
    """A table of a scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)
