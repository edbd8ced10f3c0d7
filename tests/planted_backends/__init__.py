"""Backends that are each broken in one place, and the check of a qualification that must find it. Run by their tests.

No decoder that delivers wrong pages is among them: the frame's digest stands behind every decoder, so ``hostile.pages`` catches
a codec that crashes, hangs or raises what it must not, and nothing of a codec's making reaches a guest wrong.
"""

from __future__ import annotations

from pathlib import Path

from planted_backends import company, contract, costs, device, hostile, leaks, output, slow
from planted_backends.base import PLANTED, Fault, Good

__all__ = [
    "PLANTED",
    "Fault",
    "Good",
    "company",
    "contract",
    "costs",
    "device",
    "hostile",
    "install",
    "leaks",
    "output",
    "slow",
]


def install(folder: Path) -> Path:
    """Write what pip leaves of a distribution with all of them. ``folder`` belongs on PYTHONPATH and on ``sys.path``."""
    folder.mkdir()
    # Not this package's own folder, in which others have the names of our packages.
    (folder / "planted_backends").symlink_to(Path(__file__).resolve().parent)
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    classes = [Good, *(fault.cls for fault in PLANTED.values())]
    lines = [f"{cls.info.name} = {cls.__module__}:{cls.__name__}\n" for cls in classes]
    (info / "entry_points.txt").write_text("[pageferry.backends]\n" + "".join(lines))
    return folder
