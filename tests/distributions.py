"""Distributions with entry points of ours, as pip leaves them, for tests of what others may add."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


def leave(site: Path, name: str, points: str, *, version: str = "1.0", **modules: str) -> None:
    """Write into ``site`` what pip leaves of a distribution. ``points``: entry_points.txt; ``modules``: the source of each."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(points)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)


def install(monkeypatch: pytest.MonkeyPatch, site: Path, name: str, points: str, **modules: str) -> None:
    """The same, and this process finds it until the test's end."""
    leave(site, name, points, **modules)
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
