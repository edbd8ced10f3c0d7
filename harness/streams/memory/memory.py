"""Guest memory from a seed and a mix of page classes: where each class is, its pages, and cached images of it.

The same seed, mix and size give the same bytes on every machine. Knows no guest: who loads an image, and at which
address, is elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np
import numpy.typing as npt

from harness.errors import MissingError, UserError
from harness.results.cache import ELSEWHERE
from harness.streams.memory.pagegen import BLOCK_PAGES, PAGE_BYTES, PageStream, blocks
from harness.streams.memory.settings import PageClass
from harness.streams.memory.tokens import Bytes, Ids, Raw
from harness.units import format_bytes

GENERATOR_VERSION = 1
"""Raised whenever the same arguments give other bytes; cached images of another version are not used."""

CLASSES: tuple[PageClass, ...] = get_args(PageClass)
"""A class's place here is its number in a class map."""

CHUNK_PAGES = 1024
UNIT_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Ratios:
    """How far zlib level 1 shrinks a class: ``page`` in units of 4 KiB, ``unit`` of 256 KiB."""

    page: float
    unit: float


# Means of seeds 1, 2, 3, 4, 7, 99, 2026, 512 pages each; zlib 1.2.13, 2-core AMD EPYC, 2026-11-22. A seed's own ratio
# is within 1.7 % of them (duplicate; the others 0.7 %).
DECLARED: dict[PageClass, Ratios] = {
    "zero": Ratios(page=99.90, unit=224.6),
    "text": Ratios(page=3.834, unit=5.204),
    "code": Ratios(page=2.172, unit=3.332),
    "heap": Ratios(page=4.307, unit=5.231),
    "random": Ratios(page=0.9973, unit=0.9997),
    "duplicate": Ratios(page=3.138, unit=3.549),
}

# Lengths of extents in pages: 1 to 64, 16 on average. Of the zero pages a fifth lies alone, the rest in long stretches.
_EXTENT_LENGTHS = np.array([1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 13, 16, 23, 36, 62, 64])
_ZERO_STRETCH_LENGTHS = np.array([32, 64, 128, 256, 512, 1024])
_LONE_ZEROS = 5
_MAP_KEY = 100


def class_map(mix: Mapping[PageClass, float], pages: int, seed: int) -> npt.NDArray[np.uint8]:
    """The number of each page's class, in extents. Shares are exact to a page. :raises UserError: an impossible mix."""
    classes, lengths = [], []
    for name, many in _counts(mix, pages).items():
        number = CLASSES.index(name)
        extents = _extents(Raw(seed, _MAP_KEY + number), name, many)
        classes.append(np.full(len(extents), number, dtype=np.uint8))
        lengths.append(extents)
    order = np.argsort(Raw(seed, _MAP_KEY - 1).words(sum(map(len, lengths))), kind="stable")
    return np.repeat(np.concatenate(classes)[order], np.concatenate(lengths)[order])


def generate(mix: Mapping[PageClass, float], pages: int, seed: int) -> Iterator[Bytes]:
    """The pages in order, as arrays of up to 1024 x 4096 bytes. :raises UserError: an impossible mix."""
    where = class_map(mix, pages, seed)
    streams = {number: PageStream(CLASSES[number], seed) for number in np.unique(where)}

    def chunks() -> Iterator[Bytes]:
        for start in range(0, pages, CHUNK_PAGES):
            here = where[start : start + CHUNK_PAGES]
            out = np.empty((len(here), PAGE_BYTES), dtype=np.uint8)
            for number, stream in streams.items():
                stream.take(out, np.flatnonzero(here == number))
            yield out

    return chunks()


def fill_image(path: Path, mix: Mapping[PageClass, float], memory_bytes: int, seed: int) -> None:
    """Write a raw image of ``memory_bytes``, chunk by chunk; zero pages are holes in the file.

    :raises UserError: an impossible mix or size. :raises MissingError: no room or no access.
    """
    if memory_bytes % PAGE_BYTES or memory_bytes <= 0:
        raise UserError(f"guest memory of {memory_bytes} bytes is not a number of whole 4 KiB pages")
    try:
        with path.open("wb") as file:
            for chunk in generate(mix, memory_bytes // PAGE_BYTES, seed):
                _write_sparse(file.fileno(), chunk, file.tell())
                file.seek(chunk.nbytes, os.SEEK_CUR)
            file.truncate(memory_bytes)
            os.fsync(file.fileno())
    except OSError as exc:
        raise MissingError(
            f"{path}: cannot write {format_bytes(memory_bytes)} of guest memory: {exc.strerror}; {ELSEWHERE}"
        ) from exc


def cached_image(mix: Mapping[PageClass, float], memory_bytes: int, seed: int, cache_dir: Path) -> Path:
    """The image of ``fill_image`` in ``cache_dir``, written on the first request. Processes may ask at the same time.

    :raises UserError: an impossible mix or size. :raises MissingError: no room or no access.
    """
    shares = {name: mix[name] for name in sorted(mix) if mix[name]}
    key = json.dumps([GENERATOR_VERSION, shares, memory_bytes, seed]).encode()
    path = cache_dir / f"memory-{hashlib.sha256(key).hexdigest()[:20]}.img"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if path.stat().st_size == memory_bytes:
            return path
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".memory-", suffix=".tmp", dir=cache_dir)
    except OSError as exc:
        raise MissingError(f"{cache_dir}: cannot keep guest memory there: {exc.strerror}; {ELSEWHERE}") from exc
    os.close(descriptor)
    temporary = Path(name)
    try:
        fill_image(temporary, mix, memory_bytes, seed)
        temporary.replace(path)  # whole or not at all; the last of several writers wins, with the same bytes
    finally:
        temporary.unlink(missing_ok=True)
    return path


def measure_ratio(page_class: PageClass, seed: int, pages: int, unit_bytes: int = PAGE_BYTES, level: int = 1) -> float:
    """Bytes in to bytes out of this machine's zlib over the class's first ``pages`` pages, each unit alone."""
    source = blocks(page_class, seed)
    data = b"".join(next(source).tobytes() for _ in range(-(-pages // BLOCK_PAGES)))[: pages * PAGE_BYTES]
    packed = sum(len(zlib.compress(data[at : at + unit_bytes], level)) for at in range(0, len(data), unit_bytes))
    return len(data) / packed


def measure_classes(
    mix: Mapping[PageClass, float], seed: int, sample_pages: int = 512
) -> dict[PageClass, dict[str, float]]:
    """For ``Result.memory_classes``: each class's share, declared and measured ratio (zlib level 1, 4 KiB)."""
    return {
        name: {"share": share, "declared_ratio": DECLARED[name].page, "ratio": measure_ratio(name, seed, sample_pages)}
        for name, share in mix.items()
        if share
    }


def _counts(mix: Mapping[PageClass, float], pages: int) -> dict[PageClass, int]:
    """Pages of each class; what rounding leaves over goes to the largest remainders."""
    unknown = sorted(set(mix) - set(CLASSES))
    if unknown:
        raise UserError(f"guest.fill: unknown page class {unknown[0]!r}; known: {', '.join(CLASSES)}")
    if any(share < 0 for share in mix.values()) or abs(sum(mix.values()) - 1) > 1e-6:
        raise UserError(f"guest.fill: shares must not be negative and must add up to 1, not {sum(mix.values()):g}")
    exact = {name: mix[name] * pages for name in CLASSES if mix.get(name)}
    counts = {name: int(many) for name, many in exact.items()}
    left = pages - sum(counts.values())
    for name in sorted(exact, key=lambda name: counts[name] - exact[name])[:left]:
        counts[name] += 1
    return counts


def _extents(raw: Raw, name: PageClass, many: int) -> Ids:
    """Lengths that add up to ``many``."""
    if name != "zero":
        return _lengths(raw, _EXTENT_LENGTHS, many)
    lone = many // _LONE_ZEROS
    return np.concatenate((np.ones(lone, dtype=np.int64), _lengths(raw, _ZERO_STRETCH_LENGTHS, many - lone)))


def _lengths(raw: Raw, choices: Ids, many: int) -> Ids:
    enough = many // int(choices.min()) + 1 if many < 1 << 16 else 2 * many // int(choices.mean())
    ends = np.cumsum(choices[raw.below(enough, len(choices))])
    ends = np.append(ends[ends < many], many)
    return cast(Ids, np.diff(ends, prepend=0))


def _write_sparse(file: int, chunk: Bytes, offset: int) -> None:
    """Write the runs of pages that hold anything; the rest stays a hole."""
    held = np.concatenate(([False], chunk.any(axis=1), [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(held))
    for first, end in edges.reshape(-1, 2):
        data = chunk[first:end].reshape(-1).data
        at = offset + int(first) * PAGE_BYTES
        while data:
            written = os.pwrite(file, data, at)
            data, at = data[written:], at + written
