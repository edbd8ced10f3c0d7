"""A small file system of its own, which can be filled: for what a migration's two halves write. Needs root."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path
from types import TracebackType

from harness.errors import MissingError
from harness.hosts.claims import Claim, remove_abandoned
from harness.hosts.contract import Host
from harness.hosts.local import Local

_CLAIMS = Path("/run/pageferry/disks")
_DISK = "d"
_SIZE_BYTES, _MOST_FILES = 256 << 10, 32


class SmallDisk:
    """In memory (tmpfs). ``path``: its folder. A context manager: mounted, then gone with all that is in it."""

    def __init__(self) -> None:
        self._claim = Claim(_CLAIMS, _unmount)
        self.path = self._claim.path / _DISK

    def keeping(self, host: Host) -> Host:
        """``host``, whose processes keep their files here."""
        return _OnDisk(host, self.path)

    def fill(self) -> None:
        """To the last byte and the last file."""
        full = False
        while not full:
            full = not _written(self.path / "full", b"\0" * 4096)
        number, full = 0, False
        while not full:
            number, full = number + 1, not _written(self.path / f"full-{number}", b"")

    def __enter__(self) -> SmallDisk:
        """:raises MissingError: not root, or no such thing here."""
        try:
            _CLAIMS.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_abandoned(_CLAIMS, _unmount)
            self._claim.take()
            self.path.mkdir()
        except OSError as exc:
            raise MissingError(f"{_CLAIMS}: {exc.strerror}; a small disk is made by root") from exc
        options = f"size={_SIZE_BYTES},nr_inodes={_MOST_FILES},mode=700"
        command = ["mount", "-t", "tmpfs", "-o", options, "pageferry", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            self._claim.release()
            raise MissingError(f"{' '.join(command)}: {done.stderr.strip()}; a small disk is made by root")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gone."""
        self._claim.release()


class _OnDisk(Local):
    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__(host.address, host.prefix)
        self._folder = folder

    def folder(self, run_dir: Path) -> Path:  # noqa: ARG002 - the one that there is
        return self._folder


def _written(path: Path, data: bytes) -> bool:
    """At its end. False: nothing more fits."""
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        return False
    return True


def _unmount(name: str) -> None:
    path = _CLAIMS / name / _DISK
    if path.is_mount():
        subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=False)
