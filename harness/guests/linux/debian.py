"""Debian's packages: fetched with apt, which checks their signatures, and read with dpkg-deb. Nothing is installed.

Both work for everybody. Where the machine's own lists of packages are absent or too old, newer ones are fetched into the folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from harness.errors import MissingError
from harness.guests.linux.cpio import Entry

ARCHITECTURE = "amd64"
_TOOLS = ("apt-get", "apt-cache", "dpkg-deb", "dpkg")
_REMEDY = 'the linux guest is made of Debian\'s packages: run on Debian or Ubuntu, or use guest.kind = "stress"'
_QUIET = ("-qq", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "APT::Sandbox::User=root")
_DEPENDS = [f"--no-{word}" for word in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
_TYPES = {tarfile.REGTYPE: 0o100000, tarfile.LNKTYPE: 0o100000, tarfile.SYMTYPE: 0o120000}
_MERGED = ("bin/", "sbin/", "lib/", "lib64/")


class Package:
    """One that was fetched. ``paths``: of its files and links, without a leading slash, /bin and /lib being those of /usr."""

    def __init__(self, file: Path) -> None:
        self.name, version, _ = file.name.split("_", 2)
        self.version = version.replace("%3a", ":")
        self._contents = file.with_suffix(".tar")
        with self._contents.open("wb") as out:
            _run(["dpkg-deb", "--fsys-tarfile", str(file)], file.parent, out=out)
        with tarfile.open(self._contents) as tar:
            self._members = {_path(member.name): member for member in tar if member.type in _TYPES}
        self.paths = tuple(self._members)

    def read(self, path: str) -> Entry:
        """What is there. :raises KeyError: nothing."""
        member = self._members[path]
        if member.issym():
            return Entry(_TYPES[member.type] | 0o777, member.linkname.encode())
        if member.islnk():
            return self.read(_path(member.linkname))
        with self._contents.open("rb") as tar:
            tar.seek(member.offset_data)
            return Entry(_TYPES[member.type] | (member.mode & 0o777), tar.read(member.size))


def _path(name: str) -> str:
    return merged(name.removeprefix("./"))


def merged(path: str) -> str:
    """Where ``path`` is since /bin, /sbin, /lib and /lib64 are links into /usr."""
    return f"usr/{path}" if path.startswith(_MERGED) else path


class Debian:
    """Fetches into ``folder``, which whoever made it removes. ``tell``: is told what takes long, in a sentence.

    :raises MissingError: this is no Debian, or none for a processor that the guest has.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        # Containers' images switch apt's caches off, and to read the lists anew takes a second each time.
        caches = {"Dir::Cache": _made(folder / "cache", "archives/partial")}
        caches |= {f"Dir::Cache::{name}": Path(f"{name}.bin") for name in ("pkgcache", "srcpkgcache")}
        self._options = [part for name, value in caches.items() for part in ("-o", f"{name}={value}")]
        self._own_lists = False
        for tool in _TOOLS:
            if shutil.which(tool) is None:
                raise MissingError(f"{tool} is not here: {_REMEDY}")
        if (own := _run(["dpkg", "--print-architecture"], folder).strip()) != ARCHITECTURE:
            raise MissingError(
                f"Debian's packages for {own}: the linux guest is made of those for {ARCHITECTURE} alone"
            )

    def fetch(self, names: Sequence[str]) -> list[Package]:
        """These packages, as this machine would install them. :raises MissingError: apt cannot; its own words."""
        self._tell(f"fetching {', '.join(names)}")
        try:
            return self._download(names)
        except MissingError:
            if self._own_lists:
                raise
        self._update()
        return self._download(names)

    def depends(self, names: Iterable[str]) -> list[str]:
        """The packages that these name as what they need, sorted; names without a package of their own are left out."""
        told = _run(["apt-cache", *self._options, "depends", *_DEPENDS, *names], self._folder)
        needed = (line.partition("Depends: ")[2] for line in told.splitlines())
        return sorted({name for name in needed if name and not name.startswith("<")})

    def catalogue(self) -> bytes:
        """What Debian says of each of its packages, between empty lines: a text of 50 MB."""
        return _run(["apt-cache", *self._options, "dumpavail"], self._folder).encode()

    def _download(self, names: Sequence[str]) -> list[Package]:
        before = set(self._folder.glob("*.deb"))
        _run(["apt-get", *_QUIET, *self._options, "download", *names], self._folder)
        return [Package(file) for file in sorted(set(self._folder.glob("*.deb")) - before)]

    def _update(self) -> None:
        """Fetch lists of our own; the machine's stay as they are."""
        self._tell("fetching lists of packages, as this machine's are absent or too old")
        self._own_lists = True
        self._options += ["-o", f"Dir::State::lists={_made(self._folder / 'lists', 'partial')}"]
        _run(["apt-get", *_QUIET, *self._options, "update"], self._folder)


def _made(folder: Path, below: str) -> Path:
    (folder / below).mkdir(parents=True)
    return folder


def _run(command: list[str], folder: Path, out: IO[bytes] | int = subprocess.PIPE) -> str:
    """What it says. :raises MissingError: it is not here, or fails; its own words."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        words = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith(("E:", "dpkg"))]
        why = "; ".join(words) or f"it ended with {done.returncode}"
        raise MissingError(
            f"{command[0]}: {why}; run apt-get update as root, and look at the network and apt's sources"
        )
    return (done.stdout or b"").decode(errors="replace")
