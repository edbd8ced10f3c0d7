"""All targets by name, and what is kept for each: a corpus that reaches what coverage found, and inputs that once broke it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fuzz import files, wire
from fuzz.target import Target

__all__ = ["CRASHERS", "TARGETS", "corpus_file", "kept"]

TARGETS: dict[str, Target] = {target.name: target for target in (*wire.TARGETS, *files.TARGETS)}

_HERE = Path(__file__).parent
CRASHERS = _HERE / "crashers"
"""One file each, named after its target: ``results-nan``. Each was mended, and stays here to be tried again."""


def corpus_file(name: str) -> Path:
    """A target's kept corpus, one file for all inputs."""
    return _HERE / "corpus" / f"{name}.zip"


def kept(target: Target) -> list[bytes]:
    """Right inputs, the corpus, and what once broke it."""
    inputs = target.seeds()
    if (path := corpus_file(target.name)).exists():
        with zipfile.ZipFile(path) as packed:
            inputs += [packed.read(name) for name in packed.namelist()]
    return [*inputs, *(path.read_bytes() for path in sorted(CRASHERS.glob(f"{target.name}-*")))]
