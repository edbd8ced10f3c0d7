"""Files as one archive that Linux unpacks at boot: cpio's "newc" format. No I/O: entries go in, bytes come out.

The same entries give the same bytes: sorted by path, owned by root, written at the epoch, inodes counted.
Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_END = "TRAILER!!!"
_ALIGNED_BYTES = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """``mode`` with the type's bits, as in ``st_mode``. ``data``: a file's contents, or what a symbolic link points to.
    ``number``: a device's, major and minor."""

    mode: int
    data: bytes = b""
    number: tuple[int, int] = (0, 0)


Tree = Mapping[str, Entry]
"""Path without a leading slash -> what is there."""


def folder() -> Entry:
    """An empty one."""
    return Entry(stat.S_IFDIR | 0o755)


def program(data: bytes) -> Entry:
    """A file that can be run."""
    return Entry(stat.S_IFREG | 0o755, data)


def data_file(data: bytes) -> Entry:
    """A file that cannot be run."""
    return Entry(stat.S_IFREG | 0o644, data)


def device(major: int, minor: int) -> Entry:
    """One that gives and takes characters."""
    return Entry(stat.S_IFCHR | 0o600, number=(major, minor))


def symlink(target: str) -> Entry:
    """To ``target``, relative to the link's folder unless it begins with a slash."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def archive(tree: Tree) -> bytes:
    """Folders that no entry names are added."""
    above = {str(parent): folder() for path in tree for parent in PurePosixPath(path).parents if str(parent) != "."}
    whole = above | dict(tree)
    parts = [part for number, path in enumerate(sorted(whole), 1) for part in _record(number, path, whole[path])]
    return b"".join([*parts, *_record(0, _END, Entry(0))])


def _record(inode: int, path: str, entry: Entry) -> Iterator[bytes]:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # inode, mode, owner, group, links, time, bytes, on which device and which one (two each), length of the name, checksum (unused)
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.number, len(name), 0)
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    for part in (head, entry.data):
        yield part
        yield bytes(-len(part) % _ALIGNED_BYTES)
