"""Files in memory: all of a tree are read once, and then files at random are read and written anew under another name."""

from __future__ import annotations

import os
import zlib

from harness.guests.linux.inside.work import Work

_NAMES = 400
"""So many written files are kept, each until its turn comes round again."""
_COMPRESSED = 4
"""Of the files written one in four is compressed."""


def main() -> None:
    """Until the guest is switched off."""
    work = Work()
    paths = sorted(f"{folder}/{name}" for folder, _, names in os.walk("/usr/lib/modules") for name in names)
    work.ready()
    for turn in work.turns():
        data = _read(paths[work.pick(len(paths))])
        _write(f"/run/written-{turn % _NAMES}", data if turn % _COMPRESSED else zlib.compress(data, 1))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - as in ``work``
        return file.read()


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:  # noqa: PTH123 - as in ``work``
        file.write(data)
