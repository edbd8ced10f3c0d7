"""Loads the Python package behind a backend, or says which distribution to install. Knows no codec."""

from __future__ import annotations

import importlib
import shlex
import sys
from types import ModuleType

from backends.api import BackendInfo, BackendUnavailable


def load_library(info: BackendInfo, module: str) -> ModuleType:
    """The imported ``module``. :raises BackendUnavailable: it is not installed, or does not load on this machine."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        absent = isinstance(exc, ModuleNotFoundError)
        reason = " ".join(str(exc).split())
        missing = f"the distribution {info.needs!r} " + ("is not installed" if absent else f"does not load ({reason})")
        raise BackendUnavailable(info.name, missing, pip_install(info.extra)) from exc


def pip_install(extra: str | None) -> str:
    """The command that adds an extra to this very installation: the ``pip`` on PATH may be another's, and would ask the world
    for a pageferry."""
    return f'{shlex.quote(sys.executable or "python3")} -m pip install "pageferry[{extra}]"'
