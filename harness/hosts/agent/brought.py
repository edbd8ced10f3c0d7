"""Files of ours that a host needs, such as a guest's kernel and memory: copied once, and known by their bytes from then on."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard
from xxhash import xxh3_128

from harness.errors import PeerError
from harness.hosts.claims import Claim, remove_abandoned
from harness.results.cache import cache_dir

_PART_BYTES = 4 << 20
_FOLDER = "brought"
Call = Callable[..., Any]


def bring(call: Call, path: Path) -> Path:
    """Where ``path`` is there. :raises OSError: it cannot be read here, or not be written there."""
    facts = path.stat()
    digest = _digest(path, facts.st_size, facts.st_mtime_ns)
    kept: Path | None = call(kept_file, digest, path.name)
    if kept is not None:
        return kept
    unique = os.urandom(6).hex()
    with path.open("rb") as file:
        packer = zstandard.ZstdCompressor(level=1)
        for offset in range(0, max(facts.st_size, 1), _PART_BYTES):
            call(keep_part, unique, offset, packer.compress(file.read(_PART_BYTES)))
    named: Path = call(name_kept, unique, digest, path.name)
    return named


def kept_file(digest: str, name: str) -> Path | None:
    """The file of those bytes, if it is here."""
    path = cache_dir() / _FOLDER / digest / name
    return path if path.is_file() else None


def keep_part(unique: str, offset: int, packed: bytes) -> None:
    """A part of a file that comes, compressed by zstd. :raises PeerError: it cannot be kept, and nothing of it is."""
    base = cache_dir() / _FOLDER
    try:
        came = _coming(base) / unique
        with came.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(zstandard.ZstdDecompressor().decompress(packed, _PART_BYTES))
    except OSError as exc:
        with contextlib.suppress(OSError):
            (_coming(base) / unique).unlink()
        raise PeerError(
            f"{base}: a file that the guest needs cannot be kept there: {exc.strerror}; make room, or set XDG_CACHE_HOME "
            "to another folder"
        ) from exc


def name_kept(unique: str, digest: str, name: str) -> Path:
    """All of it has come. :raises PeerError: it is another."""
    base = cache_dir() / _FOLDER
    came, named = _coming(base) / unique, base / digest / name
    facts = came.stat()
    if (found := _digest(came, facts.st_size, facts.st_mtime_ns)) != digest:
        came.unlink()
        raise PeerError(f"{name}: came as other bytes (XXH3 {found} and not {digest}): try again")
    named.parent.mkdir(exist_ok=True)
    came.replace(named)
    return named


def remove_parts() -> None:
    """Of files that came to agents which are gone."""
    remove_abandoned(cache_dir() / _FOLDER)


@functools.cache
def _coming(base: Path) -> Path:
    """Where files are until all of each has come: a folder of this process's own, which goes with it."""
    base.mkdir(parents=True, exist_ok=True)
    claim = Claim(base)
    claim.take()
    return claim.path


@functools.cache
def _digest(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001 - what makes it another file
    digest = xxh3_128()
    with path.open("rb") as file:
        while data := file.read(_PART_BYTES):
            digest.update(data)
    return digest.hexdigest()
