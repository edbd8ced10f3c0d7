"""Backends that are each broken in one place, and the check of a qualification that must find it. Run by their tests.

No decoder that delivers wrong pages is among them: the frame's digest stands behind every decoder, so ``hostile.pages`` catches
a codec that crashes, hangs or raises what it must not, and nothing of a codec's making reaches a guest wrong.
"""

from __future__ import annotations

from pathlib import Path

import distributions

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
    # Not the folder in which they are, where others have the names of our packages.
    for needed in (Path(__file__).parent, Path(distributions.__file__)):
        (folder / needed.name).symlink_to(needed.resolve())
    classes = [Good, *(fault.cls for fault in PLANTED.values())]
    lines = [f"{cls.info.name} = {cls.__module__}:{cls.__name__}\n" for cls in classes]
    distributions.leave(folder, "planted", "[pageferry.backends]\n" + "".join(lines))
    return folder
