"""What is asked of files on a host: each function runs there, and its answer comes back (``Host.call``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from xxhash import xxh3_128_digest

from harness.units import PAGE_BYTES

DIGEST_BYTES = 16


def read_part(path: Path, offset: int, most_bytes: int) -> bytes:
    """Up to ``most_bytes`` from ``offset`` on; fewer at its end. :raises OSError: no such file, no access."""
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), most_bytes, offset)


def write_part(path: Path, offset: int, data: bytes) -> None:
    """Into a file, and a folder, that are made if need be, for their owner alone; what began with 0 is begun anew.

    :raises OSError: disk full, no access.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if offset else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.seek(offset)
        file.write(data)


def remove_files(paths: Sequence[Path]) -> None:
    """Those of them that are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def page_digests(path: Path, offset: int, size: int, skip_bytes: int) -> bytes:
    """XXH3 (128 bits) of each page from ``offset`` on, without its first ``skip_bytes``. Fewer where the file ends before.

    :raises OSError: no such file, no access.
    """
    data = bytearray(size)
    with path.open("rb", buffering=0) as file:
        count = os.preadv(file.fileno(), [data], offset)
    view = memoryview(data)[:count]
    return b"".join(xxh3_128_digest(view[at + skip_bytes : at + PAGE_BYTES]) for at in range(0, count, PAGE_BYTES))
