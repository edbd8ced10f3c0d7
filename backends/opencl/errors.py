"""What goes wrong with OpenCL, in one line. Raised on both sides of the process border; the backend turns it into its own."""

from __future__ import annotations

_LONGEST = 400
"""Characters of a driver's message that are kept: a build log can have thousands of lines."""


class OpenclError(Exception):
    """A device, a driver or a program failed: place, value and, where one is known, remedy."""


class OpenclMissing(OpenclError):  # noqa: N818 - a state of the machine, told like one
    """This machine lacks something. ``missing`` names the piece, ``remedy`` what to do about it."""

    def __init__(self, missing: str, remedy: str) -> None:
        super().__init__(f"{missing}; {remedy}")
        self.missing = missing
        self.remedy = remedy


def one_line(problem: object) -> str:
    """A driver's message, or any text, on one line and not endlessly long."""
    text = " ".join(str(problem).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
