"""Makes a recording smaller, at the price of time: ``python -m harness.streams.recording.repack FROM TO``.

For recordings that are given to many: the largest chunks, which is how far a repeat is found, and zstd's level 19. Nothing
else changes: the stream, its passes and what is said of them are the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.errors import PageferryError
from harness.results.saving import whole_file
from harness.streams.recording.layout import MAX_CHUNK_BYTES
from harness.streams.recording.reader import open_recording
from harness.streams.recording.writer import RecordingWriter

__all__ = ["repack"]

_LEVEL = 19


def repack(source: Path, target: Path, level: int = _LEVEL) -> int:
    """Its size. :raises UserError: ``source`` is damaged. :raises MissingError: it is not here. :raises ResultError: the target."""
    recording = open_recording(source)
    with whole_file(target, "recording", "place") as file:
        writer = RecordingWriter(file, chunk_bytes=MAX_CHUNK_BYTES, level=level)
        writer.begin(recording.about)
        for piece in recording.stream():
            writer.write(piece)
        writer.finish(recording.index.facts)
    return writer.file_bytes


if __name__ == "__main__":
    try:
        repack(Path(sys.argv[1]), Path(sys.argv[2]))
    except PageferryError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(exc.exit_status)
