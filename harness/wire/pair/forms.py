"""The forms that a message's body can have, and how its fields are read and written from their declaration. No I/O.

A field's annotation says how it travels and what it is for; from that follow reading, writing, every check and docs/protocol.md.
What a header claims is checked before anything is allocated for it.
"""

from __future__ import annotations

import abc
import json
import struct
from collections.abc import Iterable
from dataclasses import fields
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

from harness.wire.pair.fields import FieldKind, WrongMessageError
from harness.wire.pair.frame import Header, Kind, digest

PROTOCOL = 1
_MOST_CONTROL_BYTES = 1 << 16
_MOST_BRACKETS = 64
"""So that nesting stays far from what a parser bears. Ours have four, and what users' options bring."""


class Role(Enum):
    """Who speaks."""

    SENDER = "sender"
    RECEIVER = "receiver"


class Declared(NamedTuple):
    """A field of a message as its class declares it."""

    name: str
    kind: FieldKind
    about: str


class Message(abc.ABC):
    """One kind, a dataclass. ``by``: who says it; None: either half. ``declare`` fills in the rest."""

    kind: ClassVar[Kind]
    by: ClassVar[Role | None]
    declared: ClassVar[tuple[Declared, ...]]
    checked: ClassVar[tuple[Declared, ...]]
    packing: ClassVar[struct.Struct]
    __slots__ = ()

    @abc.abstractmethod
    def frame(self) -> tuple[Header, tuple[bytes | memoryview, ...]]:
        """As it travels."""

    @classmethod
    @abc.abstractmethod
    def require_possible(cls, header: Header) -> None:
        """Before its body is read. :raises WrongMessageError: no such message can be."""

    @classmethod
    @abc.abstractmethod
    def read(cls, header: Header, body: memoryview) -> Self:
        """What came. :raises WrongMessageError: it cannot be, or was damaged."""


class Control(Message):
    """Whatever is no batch: small, with its fields in the body. ``most_bytes``: of that."""

    most_bytes: ClassVar = _MOST_CONTROL_BYTES
    __slots__ = ()

    def frame(self) -> tuple[Header, tuple[bytes | memoryview, ...]]:
        """As it travels."""
        body = self._body()
        return Header(self.kind, body_bytes=len(body), body_digest=digest(body)), (body,)

    @classmethod
    def require_possible(cls, header: Header) -> None:
        """By its length."""
        if header.body_bytes > cls.most_bytes:
            raise WrongMessageError(f"a body of {header.body_bytes} bytes: must be at most {cls.most_bytes}")
        if header != Header(cls.kind, body_bytes=header.body_bytes, body_digest=header.body_digest):
            raise WrongMessageError("its header has fields of a batch: must be 0")

    @classmethod
    def read(cls, header: Header, body: memoryview) -> Self:
        """What came. :raises WrongMessageError: it cannot be, or was damaged."""
        if digest(body) != header.body_digest:
            raise WrongMessageError(f"its {len(body)} bytes were damaged on the way")
        return cls(
            *[field.kind.read(field.name, value) for field, value in zip(cls.declared, cls._came(body), strict=True)]
        )

    @abc.abstractmethod
    def _body(self) -> bytes | memoryview:
        """Its fields as they travel."""

    @classmethod
    @abc.abstractmethod
    def _came(cls, body: memoryview) -> Iterable[object]:
        """Its fields as they travel, in order. :raises WrongMessageError: they are not these."""


def declare(cls: type[Message]) -> type[Message]:
    """Read its fields' annotations, of those that travel."""
    hints = get_type_hints(cls, include_extras=True)
    annotated = [(each.name, getattr(hints[each.name], "__metadata__", None)) for each in fields(cls)]  # type: ignore[arg-type]
    cls.declared = tuple(Declared(name, *metadata) for name, metadata in annotated if metadata)
    cls.checked = tuple(field for field in cls.declared if field.kind.fits is not None)
    cls.packing = struct.Struct("<" + "".join(field.kind.code for field in cls.declared))
    return cls


class Fixed(Control):
    """Its fields one behind the other, little-endian."""

    __slots__ = ()

    @classmethod
    def require_possible(cls, header: Header) -> None:
        """Of just one length."""
        super().require_possible(header)
        if header.body_bytes != cls.packing.size:
            raise WrongMessageError(f"a body of {header.body_bytes} bytes: must be {cls.packing.size}")

    def _body(self) -> bytes:
        return self.packing.pack(*[field.kind.travels(getattr(self, field.name)) for field in self.declared])

    @classmethod
    def _came(cls, body: memoryview) -> Iterable[object]:
        return cls.packing.unpack(body)


class Raw(Control):
    """One field, which is the body."""

    __slots__ = ()

    def _body(self) -> bytes | memoryview:
        (field,) = self.declared
        body: bytes | memoryview = field.kind.travels(getattr(self, field.name))
        return body

    @classmethod
    def _came(cls, body: memoryview) -> Iterable[object]:
        return (body,)


class Document(Control):
    """A table in JSON of just its fields, and of the protocol's version."""

    __slots__ = ()

    def _body(self) -> bytes:
        told = {field.name: field.kind.travels(getattr(self, field.name)) for field in self.declared}
        return json.dumps({"protocol": PROTOCOL, **told}).encode()

    @classmethod
    def _came(cls, body: memoryview) -> Iterable[object]:
        told = _told(bytes(body))
        for field in cls.declared:
            if field.name not in told:
                raise WrongMessageError(f"{field.name} is missing: must be {field.kind.words}")
        came = [told.pop(field.name) for field in cls.declared]
        for name in told:
            raise WrongMessageError(f"it has the unknown field {name[:40]!r}")
        return came


def _told(body: bytes) -> dict[str, Any]:
    """What a document says, if it is of our version."""
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise WrongMessageError(f"it has more than {_MOST_BRACKETS} lists and tables")
    try:
        told = json.loads(body)
    except ValueError as exc:
        raise WrongMessageError(f"it is not JSON: {exc}") from exc
    if not isinstance(told, dict):
        raise WrongMessageError("it is not a table")
    version = told.pop("protocol", None)
    if type(version) is not int or version != PROTOCOL:
        raise WrongMessageError(
            f"it speaks protocol {repr(version)[:40]}, this is {PROTOCOL}; install the same pageferry on both sides"
        )
    return told
