"""All that a recorded stream tells, for ``pageferry info``: the recording's own words, the passes, what the pages are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from harness.errors import MissingError, UserError
from harness.streams.census import Census, Counted
from harness.streams.passes import StreamNotes
from harness.streams.recording.layout import About, Facts
from harness.streams.recording.reader import Recording, is_recording, open_recording

_READ_BYTES = 4 << 20
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """``about``: None for a plain stream, whose passes have no times. ``chunk_bytes``: the most stream in one chunk."""

    file: str
    file_bytes: int
    about: About | None
    chunk_bytes: int | None
    facts: Facts
    pages: Counted


DOCUMENT: TypeAdapter[StreamInfo] = TypeAdapter(StreamInfo)


def read_info(path: Path, on_progress: OnProgress = lambda _read, _of: None) -> StreamInfo:
    """Read all of it. ``on_progress`` gets the bytes of stream read and those that there are.

    :raises MissingError: no such file. :raises UserError: it is no stream, or a damaged recording.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise UserError(f"{path}: is not a file; name one that `pageferry record` made")
        recording = open_recording(path) if is_recording(path) else None
        if recording is not None:
            return _of_recording(path, recording, on_progress)
        facts, pages = _studied(_plain(path), size, on_progress)
    except OSError as exc:
        raise MissingError(f"{path}: cannot read the stream: {exc.strerror}; make one with `pageferry record`") from exc
    if facts.machine is None and not facts.passes:
        words = "not a QEMU migration stream, nor a recording of one"
        raise UserError(f"{path}: {words} ({facts.opaque_reason or 'it is empty'}); make one with `pageferry record`")
    return StreamInfo(str(path), size, None, None, facts, pages)


def _of_recording(path: Path, recording: Recording, on_progress: OnProgress) -> StreamInfo:
    """The index has what went by while it was recorded, times among it."""
    index = recording.index
    _, pages = _studied(recording.stream(), index.facts.stream_bytes, on_progress)
    chunk_bytes = max((raw for raw, _ in index.chunks), default=0)
    return StreamInfo(str(path), recording.file_bytes, recording.about, chunk_bytes, index.facts, pages)


def _studied(pieces: Iterator[bytes], size: int, on_progress: OnProgress) -> tuple[Facts, Counted]:
    census = Census()
    notes = StreamNotes(census.take)
    for piece in pieces:
        notes.take(piece, 0.0)
        on_progress(notes.parser.counts.stream_bytes, size)
    return notes.facts(), census.counted()


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            yield piece
