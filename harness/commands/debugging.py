"""The option ``--debug``: log details, in which a peer's words are as harmless as in errors."""

from __future__ import annotations

import logging

from harness.terminal import one_line


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(one_line, super().format(record).split("\n")))


def log_details() -> None:
    """On stderr, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(relativeCreated)8.0f ms %(threadName)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])
