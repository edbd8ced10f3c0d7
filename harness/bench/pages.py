"""What codecs are measured on: the pages of a recorded stream, or generated ones. Zero pages are left out, for QEMU sends none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import scenarios
from harness.errors import UserError
from harness.names import unknown
from harness.streams.memory.memory import generate
from harness.streams.streamfile import open_stream
from harness.units import MIB, PAGE_BYTES, format_bytes
from harness.wire.qemu.walk import PageRun, StreamWalk

SYNTHETIC = "synthetic"
_MIX = {"text": 0.35, "code": 0.25, "heap": 0.25, "random": 0.15}
"""The shipped scenarios' guest memory without its zero pages."""
_SEED = 7
_READ_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True)
class Pages:
    """``name``: in words. ``data``: whole pages, one behind the other, in the order in which they were sent."""

    name: str
    data: memoryview

    def units(self, unit_bytes: int) -> list[memoryview]:
        """In slices of that size, the last one shorter."""
        return [self.data[at : at + unit_bytes] for at in range(0, len(self.data), unit_bytes)]


def read_pages(text: str, most_bytes: int) -> Pages:
    """The first ``most_bytes`` of pages of a recording by its name, of a stream or recording by its file, or ``"synthetic"``.

    :raises UserError: there is no such stream, or it has no pages. :raises MissingError: it cannot be read.
    """
    if text == SYNTHETIC:
        chunks = generate(_MIX, most_bytes // PAGE_BYTES, _SEED)  # type: ignore[arg-type]
        return Pages("generated pages of text, code, heap and noise", _joined(list(chunks)))
    path = scenarios.find_recording(text) or Path(text)
    if not path.is_file():
        known = [SYNTHETIC, *scenarios.recording_names()]
        raise UserError(f"{unknown('input', text, known)}; or name a file that `pageferry record` made")
    kept: list[np.ndarray] = []
    room = most_bytes

    def keep(run: PageRun) -> None:
        nonlocal room
        pages = run.pages[: room // PAGE_BYTES]
        if run.kind == "raw" and len(pages):
            kept.append(pages.copy())
            room -= pages.size

    walk = StreamWalk(keep)
    with open_stream(path).path.open("rb") as file:
        while room >= PAGE_BYTES and (piece := file.read(_READ_BYTES)):
            walk.feed(piece)
    if not kept:
        raise UserError(f"{path}: no page of its stream is sent as it is; name another stream")
    data = _joined(kept)
    return Pages(f"{path.name}: the first {format_bytes(len(data))} of its pages that are not zero", data)


def _joined(chunks: list[np.ndarray]) -> memoryview:
    return memoryview(np.concatenate(chunks).reshape(-1).data)
