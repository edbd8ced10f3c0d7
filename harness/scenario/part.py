"""What all tables of a scenario have in common: quantities with units, unknown keys with the known ones, rules beside the keys.

A table is a pydantic model; its keys' docstrings are the reference (docs/reference/scenario.md). A rule that spans several keys is
a validator that raises ``Fault``. What a user wrote is validated with a context, a dictionary in which rules may keep what they
looked up; a saved result without one, under the fields' own names and in base units.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from harness.names import unknown_key
from harness.scenario.fault import Fault, shown
from harness.units import parse_bandwidth, parse_bytes, parse_duration, parse_rate, parse_share

Scalar = str | int | float | bool

_UNION_NOTES = {"[key]", "str", "int", "float", "bool"}
"""What pydantic puts behind a key of a table of scalars: which of them it tried."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a key that TOML spells as text with a unit. ``what`` and ``example`` are for the error message."""

    what: str
    example: str


def _with(parse: Callable[[str], float | None]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _only_shortest(value: object) -> object:
    if value not in ("shortest", None):
        raise ValueError(f'{shown(value)}: must be "shortest"; a limit is the scenario\'s: downtime_limit = "300ms"')
    return value


def _passes(value: object) -> object:
    if not isinstance(value, str):
        return value
    words = re.fullmatch(r"after (\d{1,6}) pass(?:es)?", value)
    if words is None:
        raise ValueError(f'{shown(value)}: must say after how many passes: write for example "after 1 pass"')
    return int(words[1])


AboveZero = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, _with(parse_bytes), Quantity("size", "512MiB"), Field(ge=0)]
Rate = Annotated[int, _with(parse_rate), Quantity("rate", "20MiB/s"), Field(ge=0)]
PositiveRate = Annotated[AboveZero, _with(parse_rate), Quantity("rate", "20MiB/s")]
Bandwidth = Annotated[AboveZero | None, _with(parse_bandwidth), Quantity("bandwidth", "1Gbit/s")]
PositiveBandwidth = Annotated[AboveZero, _with(parse_bandwidth), Quantity("bandwidth", "1Gbit/s")]
Delay = Annotated[float, _with(parse_duration), Quantity("duration", "50ms"), Field(ge=0)]
Seconds = Annotated[float, _with(parse_duration), Quantity("duration", "300ms"), Field(gt=0, le=86400)]
OptionalBytes = Annotated[AboveZero | None, _with(parse_bytes), Quantity("size", "256KiB")]
Share = Annotated[float, _with(parse_share), Quantity("share", "10%"), Field(ge=0, le=1)]
Downtime = Annotated[Literal["shortest"] | None, BeforeValidator(_only_shortest)]
AfterPasses = Annotated[
    Annotated[int, Field(ge=0)] | None, BeforeValidator(_passes), Quantity("moment", "after 1 pass")
]
Threads = Annotated[int, Field(ge=1, le=256)] | None


class Part(BaseModel):
    """A table of a scenario. TOML's names are the aliases; saved results have the fields' own names, in base units."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, strict=True, use_attribute_docstrings=True
    )

    @classmethod
    def toml_keys(cls) -> dict[str, str]:
        """TOML's name of every key a user may write -> the field's."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    @classmethod
    def stranger(cls, key: str, value: object, table: Mapping[str, Any]) -> str:  # noqa: ARG003 - for kinds
        """What to say of a key that this table has not."""
        return unknown_key(key, list(cls.toml_keys()))

    @model_validator(mode="before")
    @classmethod
    def _known_keys_and_units(cls, table: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever a user wrote
        if isinstance(table, Mapping) and info.context is not None:
            keys = cls.toml_keys()
            for key, value in table.items():
                if key in info.context.get("given", ()):
                    continue
                if key not in keys:
                    raise Fault((str(key),), cls.stranger(key, value, table))
                cls._require_unit(key, keys[key], value)
        return table

    @classmethod
    def _require_unit(cls, key: str, name: str, value: object) -> None:
        quantity = next((mark for mark in cls.model_fields[name].metadata if isinstance(mark, Quantity)), None)
        if quantity is not None and not isinstance(value, str):
            why = "a number needs a unit" if isinstance(value, int | float) else f"not a {quantity.what}"
            raise Fault((key,), f'{shown(value)}: {why}: write for example "{quantity.example}"')


def first_fault(exc: ValidationError) -> Fault:
    """Pydantic's first complaint as key and sentence."""
    error = exc.errors(include_url=False)[0]
    place = tuple(_key_parts(error["loc"]))
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ValidationError):
        return first_fault(cause).below(place)
    if isinstance(cause, Fault):
        return cause.below(place)
    if error["type"] == "missing":  # which keys a table must have may depend on its kind
        return Fault(place, "is missing: add it", because=(*place[:-1], "kind"))
    return Fault(place, _sentence(error))


def _key_parts(loc: Sequence[str | int]) -> Iterator[str]:
    """Places in lists count from 1."""
    for depth, part in enumerate(loc):
        if depth < 2 or part not in _UNION_NOTES:
            yield f"#{part + 1}" if isinstance(part, int) else part


def _sentence(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    value = shown(error["input"])
    if error["type"] == "literal_error":
        return f"{value}: must be {error['ctx']['expected'].replace('False', 'false')}"
    return f"{value}: {error['msg'].replace('Input should', 'must')}"
