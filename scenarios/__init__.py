"""The scenarios and recordings that come with pageferry, and where to find both. Knows files, not what is in them."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
_RECORDINGS = _FOLDER / "recordings"


def names() -> tuple[str, ...]:
    """Names of the shipped scenarios, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def find(name: str) -> Path | None:
    """The file of the shipped scenario ``name`` (without ``.toml``), or None."""
    return _FOLDER / f"{name}.toml" if name in names() else None


def recording_names() -> tuple[str, ...]:
    """Names of the recordings that come with us, and of those that somebody put beside them, sorted."""
    return tuple(sorted(path.stem for path in _RECORDINGS.glob("*.pfs")))


def find_recording(name: str) -> Path | None:
    """The file of the recording ``name`` (without ``.pfs``), or None."""
    return _RECORDINGS / f"{name}.pfs" if name in recording_names() else None
