"""A migration stream in a file, and beside it ``FILE.json`` with what was found out once: digest, size, machine.

The digest is what a replay's destination must arrive at. It is trusted while the file's size and time stand; otherwise it
is taken anew, and a stream that changed is an error. A recording is unpacked once, into the folder where generated streams are
kept too: a feeder that unpacked while it feeds would take the cores that a replay measures. Knows nothing of how streams are
made or carried.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import xxhash
from pydantic import TypeAdapter, ValidationError

from harness.errors import MissingError, ResultError, UserError
from harness.results.cache import ELSEWHERE, cache_dir
from harness.results.saving import save_whole
from harness.streams.recording import layout
from harness.streams.recording.reader import Recording, open_recording
from harness.units import format_bytes
from harness.wire.qemu.marks import MAGIC
from harness.wire.qemu.stream import QStreamParser

_HEAD_BYTES = 512
_READ_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StreamFile:
    """``digest``: XXH3 (128 bits) of the whole file, in hex. ``machine``: the versioned machine type that the stream names.

    ``origin`` says in words where the stream comes from.
    """

    path: Path
    stream_bytes: int
    mtime_ns: int
    digest: str
    machine: str | None = None
    origin: str | None = None


_STREAM_FILE: TypeAdapter[StreamFile] = TypeAdapter(StreamFile)


def open_stream(path: Path) -> StreamFile:
    """What is known of the stream in ``path``, or in the recording ``path``; found out and kept the first time.

    :raises MissingError: no such file, or no room to unpack it. :raises UserError: it is neither, or not what it was.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as exc:
        raise MissingError(f"{path}: cannot read the stream: {exc.strerror}; make one with `pageferry record`") from exc
    if head.startswith(layout.MAGIC):
        return _unpacked(open_recording(path))
    if not head.startswith(MAGIC[:4]):
        words = f"not a QEMU migration stream, nor a recording of one (it begins with {head[:4]!r})"
        raise UserError(f"{path}: {words}; make one with `pageferry record`")
    return _plain(path, head)


def keep_stream(
    path: Path, write: Callable[[IO[bytes]], str], *, stream_bytes: int, machine: str | None, origin: str
) -> StreamFile:
    """Make ``path`` of what ``write`` writes, whole or not at all; ``write`` gives its digest. Processes may do so at once.

    :raises MissingError: no room for about ``stream_bytes``, or no access.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".stream-", suffix=".tmp", dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                digest = write(file)
                file.flush()
                temporary.chmod(0o644)
                temporary.replace(path)  # the last of several writers wins, with the same bytes
            finally:
                temporary.unlink(missing_ok=True)
        status = path.stat()
    except OSError as exc:
        size = f"a stream of about {format_bytes(stream_bytes)}"
        raise MissingError(f"{path}: cannot keep {size}: {exc.strerror}; {ELSEWHERE}") from exc
    made = StreamFile(path, status.st_size, status.st_mtime_ns, digest, machine, origin)
    write_sidecar(made)
    return made


def _unpacked(recording: Recording) -> StreamFile:
    facts, sample, origin = recording.index.facts, recording.about.sample, f"recording {recording.path.name}"
    if sample is not None:
        origin += f", a sample: {sample.words}"
    path = cache_dir() / f"recorded-{facts.digest}.stream"

    def write(file: IO[bytes]) -> str:
        file.writelines(recording.stream())
        return facts.digest

    if path.exists():
        return replace(open_stream(path), origin=origin)
    return keep_stream(path, write, stream_bytes=facts.stream_bytes, machine=facts.machine, origin=origin)


def _plain(path: Path, head: bytes) -> StreamFile:
    status, known = path.stat(), _read_sidecar(path)
    if known is not None and (known.stream_bytes, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
        return replace(known, path=path)
    digest = digest_of(path)
    if known is not None and known.digest != digest:
        raise UserError(
            f"{path}: the stream is not the one that {sidecar_path(path).name} describes ({known.digest}, now {digest}); "
            f"record it again, or remove {sidecar_path(path).name} if the change is meant"
        )
    origin = known.origin if known is not None else None
    found = StreamFile(path, status.st_size, status.st_mtime_ns, digest, _machine(head), origin)
    with contextlib.suppress(ResultError):  # a folder that cannot be written costs the digest each time, nothing else
        write_sidecar(found)
    return found


def write_sidecar(stream: StreamFile) -> None:
    """Keep what is known beside the stream, whole or not at all. :raises ResultError: disk full, no access."""
    facts = _STREAM_FILE.dump_json(replace(stream, path=Path(stream.path.name)), indent=1)
    save_whole(facts, sidecar_path(stream.path), "facts about the stream", "folder")


def sidecar_path(path: Path) -> Path:
    """Where the facts about the stream in ``path`` are."""
    return path.with_name(f"{path.name}.json")


def digest_of(path: Path) -> str:
    """XXH3 (128 bits) of a file, in hex."""
    digest, buffer = xxhash.xxh3_128(), bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()


def _read_sidecar(path: Path) -> StreamFile | None:
    """None where there is none. :raises UserError: it is damaged."""
    sidecar = sidecar_path(path)
    try:
        return _STREAM_FILE.validate_json(sidecar.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        raise UserError(f"{sidecar}: is not a list of facts about a stream; remove it, and it is made anew") from exc


def _machine(head: bytes) -> str | None:
    """The machine type from the stream's CONFIG, which stands first."""
    parser = QStreamParser()
    parser.receive_data(head)
    return parser.machine
