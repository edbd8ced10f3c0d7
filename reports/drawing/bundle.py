"""The script that draws charts in a page: Vega, Vega-Lite and vega-embed in one, of 0.9 MB and without imports.

To bundle it takes 4 s of CPU time. So it is kept in the user's cache, by the versions that it is made of, below its digest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from importlib.metadata import version
from pathlib import Path

import altair as alt

from harness.errors import ResultError
from harness.results.cache import ELSEWHERE, cache_dir
from harness.results.saving import save_whole
from reports.drawing import vega

VEGALITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
_NAME = f"vega-{version('vl-convert-python')}-{VEGALITE}.js"


@functools.cache
def javascript() -> str | None:
    """The whole script; None where it could not be made."""
    file = _file()
    if file is not None and (kept := _kept(file)) is not None:
        return kept
    made = vega.bundle("window.vegaEmbed = vegaEmbed;", VEGALITE)
    if file is not None and made is not None:
        with contextlib.suppress(ResultError):  # the next process bundles again: slower, and the same
            save_whole(f"{_head(made)}\n{made}".encode(), file, "charts' script", ELSEWHERE)
    return made


def _file() -> Path | None:
    """None where a user has no home."""
    try:
        return cache_dir() / _NAME
    except RuntimeError:
        return None


def _kept(file: Path) -> str | None:
    """What is in it, if that is whole."""
    try:
        head, _, script = file.read_bytes().decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return script if head == _head(script) else None


def _head(script: str) -> str:
    return f"// sha256 {hashlib.sha256(script.encode()).hexdigest()}"
