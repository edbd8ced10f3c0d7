"""Text that XML and HTML may hold: what neither can is replaced. Knows nothing of what the text is about.

Control characters end Vega's drawing (and the process with it), and no parser reads XML that holds them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")
_REPLACEMENT = "\ufffd"
_FORBIDDEN = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # XML 1.0 without what it discourages, and CR
    "|[\u202a-\u202e\u2066-\u2069]"  # these turn the order of what follows: a fail could be read as something else
)


def printable(value: _T) -> _T:
    """A copy in which no text holds a forbidden character: of a text, a mapping, a sequence, a dataclass; all else as it is."""
    return _printable(value)  # type: ignore[no-any-return]


def _printable(value: Any) -> Any:  # noqa: ANN401 - whatever a page is made of
    if isinstance(value, str):
        return _FORBIDDEN.sub(_REPLACEMENT, value.replace("\r\n", "\n"))
    if isinstance(value, Mapping):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_printable(each) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _printable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
