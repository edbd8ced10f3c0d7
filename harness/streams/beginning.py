"""The beginning of a recorded stream as a stream of its own: the first pages, and all that is not pages up to its end.

A stream that is simply cut is one whose source died, and is refused as such.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from harness.wire.qemu.walk import PageRun, StreamWalk

_READ_BYTES = 4 << 20


def write_beginning(source: Path, target: IO[bytes], most_bytes: int) -> int:
    """Write the stream in ``source`` without the pages that end more than ``most_bytes`` into it; how many bytes that are.

    What the walk does not understand (``QStreamParser.opaque_reason``) is kept. :raises OSError: of either file.
    """
    written = 0
    with source.open("rb", buffering=0) as file:
        for begin, end in list(_kept(file, most_bytes)):
            at = begin
            while at < end:
                count = os.sendfile(target.fileno(), file.fileno(), at, end - at)
                if not count:
                    raise OSError(f"it ended at {at} bytes while it was read")
                at += count
            written += end - begin
    return written


def _kept(file: IO[bytes], most_bytes: int) -> Iterator[tuple[int, int]]:
    """Where what is kept begins and ends."""
    dropped: list[tuple[int, int]] = []

    def note(run: PageRun) -> None:
        fitting = max(0, (most_bytes - run.stream_at) // run.stride)
        begin, end = run.stream_at + fitting * run.stride, run.stream_at + len(run.addresses) * run.stride
        if begin < end:
            dropped.append((begin, end))

    walk, at = StreamWalk(note), 0
    while data := file.read(_READ_BYTES):
        walk.feed(data)
    for begin, end in dropped:
        if at < begin:
            yield at, begin
        at = end
    yield at, walk.parser.counts.stream_bytes
