"""What is wrong in a scenario, and where: raised by the models' own rules, told as one line."""

from __future__ import annotations

from pathlib import Path

Key = tuple[str, ...]


class Fault(ValueError):  # noqa: N818 - it never leaves the scenario modules; the user sees a ScenarioError
    """Something wrong at ``key``, which begins at the part that raises it: pydantic knows where that part stands.

    ``because`` is another key that the rule looks at: a ``--set`` of that one is to blame as well.
    """

    def __init__(self, key: Key, message: str, because: Key | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.because = because

    def below(self, place: Key) -> Fault:
        """The same, seen from further up."""
        return Fault((*place, *self.key), self.message, (*place, *self.because) if self.because else None)


def dotted(key: Key) -> str:
    """The key as an error shows it, with its colon; nothing for an error about the whole file."""
    return f"{'.'.join(key)}: " if key else ""


def shown(value: object) -> str:
    """A value as an error shows it: short, strings in quotes, TOML's words for true and false; a path whole, to be looked for."""
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, nesting of thousands of levels
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else f"{text[:77]}..."
