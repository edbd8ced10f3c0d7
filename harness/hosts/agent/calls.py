"""A function's name, arguments and answer as they travel: both ends are the same pageferry, so its annotations say how."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from harness import errors
from harness.errors import PageferryError, PeerError


def name_of(function: Callable[..., object]) -> str:
    """``module:name``."""
    return f"{function.__module__}:{function.__qualname__}"


def loaded(name: str) -> Callable[..., object]:
    """The function of that name."""
    module, _, own = name.partition(":")
    function: Callable[..., object] = getattr(importlib.import_module(module), own)
    return function


def packed(arguments: Sequence[object]) -> tuple[list[Any], bytes]:
    """As JSON has them, and apart the last one where that is of bytes."""
    *first, last = arguments or [None]
    if isinstance(last, bytes):
        return to_jsonable_python(first), last
    return to_jsonable_python(list(arguments)), b""


def called(function: Callable[..., object], arguments: Sequence[object], payload: bytes) -> object:
    """What ``function`` tells. :raises ValueError: these are no arguments of it."""
    adapters, takes_payload, _ = _annotations(function)
    given = [adapter.validate_python(argument) for adapter, argument in zip(adapters, arguments, strict=False)]
    if takes_payload:
        given.append(payload)
    return function(*given)


def answered(told: object) -> tuple[Any, bytes]:
    """As JSON has it; bytes apart."""
    return (None, told) if isinstance(told, bytes) else (to_jsonable_python(told), b"")


def unpacked(function: Callable[..., object], value: object, payload: bytes) -> Any:  # noqa: ANN401 - by its annotation
    """What ``function`` told there."""
    told = _annotations(function)[2]
    return payload if told is None else told.validate_python(value)


@functools.cache
def _annotations(function: Callable[..., object]) -> tuple[list[TypeAdapter[Any]], bool, TypeAdapter[Any] | None]:
    """Of its arguments, whether the last one is of bytes, and of what it tells; None: bytes. Made once: it takes a millisecond."""
    hints, names = get_type_hints(function), list(inspect.signature(function).parameters)
    told = hints["return"]
    takes_payload = bool(names) and hints[names[-1]] is bytes
    return [TypeAdapter(hints[name]) for name in names], takes_payload, None if told is bytes else TypeAdapter(told)


def error_of(name: str, words: str, errno: int | None, host: str) -> Exception:
    """What was raised there, as it is raised here, with the host's name."""
    if errno is not None:
        return OSError(errno, f"{words} (on {host})")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, PageferryError):
        return kind(f"{host}: {words}")
    return PeerError(f"{host}: its agent failed: {name}: {words}")
