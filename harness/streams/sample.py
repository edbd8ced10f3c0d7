"""Takes a sample of a recording: some whole MiB of its guest's memory, with all passes over them, packed as tightly as it goes.

``python -m harness.streams.sample FROM TO --of N --seed SEED``: of each N MiB in turn of every RAM block, the one that the seed
chooses. Each page in it is kept as often as it was sent and in the order in which it was; all else of the stream stays, so that
it is one that QEMU might have sent of a smaller guest. With N = 1 all is kept, and the recording is only packed anew.

For recordings that are given to many: chunks of the largest size, which is how far a repeat is found, and zstd's level 19. That
takes minutes.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import xxhash

from harness.errors import PageferryError
from harness.results.saving import whole_file
from harness.streams.passes import StreamNotes
from harness.streams.recording.layout import MAX_CHUNK_BYTES, SAMPLED_BLOCK_BYTES, Sample
from harness.streams.recording.reader import Recording, open_recording
from harness.streams.recording.writer import RecordingWriter
from harness.wire.batch import WORD_BYTES
from harness.wire.qemu.marks import CONTINUE
from harness.wire.qemu.walk import PageRun, StreamWalk

_LEVEL = 19


def sample(source: Path, target: Path, rule: Sample, level: int = _LEVEL) -> int:
    """The size of ``target``. :raises UserError: ``source`` is damaged, or a sample already. :raises MissingError: it is not here.
    :raises ResultError: the target."""
    recording = open_recording(source)
    notes = StreamNotes()
    with whole_file(target, "recording", "place") as file:
        writer = RecordingWriter(file, chunk_bytes=MAX_CHUNK_BYTES, level=level)
        writer.begin(replace(recording.about, sample=rule if rule.of > 1 else None))
        for piece, at_s in _Sampling(recording, rule).pieces():
            notes.take(piece, at_s)
            writer.write(piece)
        writer.finish(notes.facts())
    return writer.file_bytes


class _Sampling:
    """One recording's stream, all of which is in memory meanwhile."""

    def __init__(self, recording: Recording, rule: Sample) -> None:
        self._rule = rule
        self._passes = recording.index.facts.passes
        self._stream = memoryview(b"".join(recording.stream()))
        self._named = ""

    def pieces(self) -> Iterator[tuple[bytes | memoryview, float]]:
        """What is kept of the stream, and when the pass began in which it was sent."""
        runs: list[tuple[int, int, str, list[int]]] = []

        def note(run: PageRun) -> None:
            runs.append((run.stream_at, run.stride, run.block, run.addresses.tolist()))

        StreamWalk(note).feed(self._stream)
        at = 0
        for begin, stride, block, addresses in runs:
            yield self._stream[at:begin], self._began_s(at)
            at = begin
            for address in addresses:
                if self._is_kept(block, address):
                    yield self._record(at, stride, block), self._began_s(at)
                at += stride
        yield self._stream[at:], self._began_s(at)

    def _is_kept(self, block: str, address: int) -> bool:
        turn, place = divmod(address // SAMPLED_BLOCK_BYTES, self._rule.of)
        return xxhash.xxh3_64_intdigest(f"{self._rule.seed} {block} {turn}".encode()) % self._rule.of == place

    def _record(self, at: int, length: int, block: str) -> bytes:
        """A page's, which names its RAM block where that is another than of the last one kept."""
        word = int.from_bytes(self._stream[at : at + WORD_BYTES], "big")
        name = bytes([len(block)]) + block.encode()
        page = self._stream[at + WORD_BYTES + (0 if word & CONTINUE else len(name)) : at + length]
        continues, self._named = block == self._named, block
        head = word | CONTINUE if continues else word & ~CONTINUE
        return head.to_bytes(WORD_BYTES, "big") + (b"" if continues else name) + page

    def _began_s(self, stream_at: int) -> float:
        passed = bisect_right(self._passes, stream_at, key=lambda each: each.stream_at)
        return self._passes[passed - 1].began_s if passed else 0.0


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Take a sample of a recording, and pack it tightly.")
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO")
    parser.add_argument("--of", type=int, default=1, metavar="N", help="keep one MiB of each N [1: all]")
    parser.add_argument("--seed", type=int, default=1, help="chooses which [1]")
    options = parser.parse_args()
    if options.of < 1:
        parser.error(f"--of {options.of}: write 1 or more")
    try:
        sample(options.source, options.target, Sample(options.of, options.seed))
    except PageferryError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
