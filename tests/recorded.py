"""A recording of a stream, as `pageferry record` would have made it."""

from __future__ import annotations

from pathlib import Path

from harness.streams.passes import StreamNotes
from harness.streams.recording.layout import About
from harness.streams.recording.writer import RecordingWriter

ABOUT = About("2026-11-27T23:00:00+00:00", "0.1.0")


def save_recording(
    path: Path, stream: bytes, about: About = ABOUT, at_s: float = 0.0, chunk_bytes: int = 50_000
) -> Path:
    """All of it came ``at_s``."""
    notes = StreamNotes()
    notes.take(stream, at_s)
    with path.open("wb") as file:
        writer = RecordingWriter(file, chunk_bytes=chunk_bytes)
        writer.begin(about)
        writer.write(stream)
        writer.finish(notes.facts())
    return path
