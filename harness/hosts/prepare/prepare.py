"""Puts this pageferry on a host: looks, packs, copies, installs, and greets what is there then. Start reading here."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from backends.children import module_argv
from harness.errors import MissingError, PeerError
from harness.hosts.agent.connection import Connection
from harness.hosts.agent.identity import hello
from harness.hosts.agent.messages import Hello
from harness.hosts.agent.ssh import PREPARED_IN, LastWords, ssh_argv, ssh_to
from harness.hosts.agent.words import why_ssh_failed
from harness.hosts.prepare.wheels import needed, pack
from harness.terminal import one_line

_THERE = Path(__file__).with_name("there.py")
_LOOK = """
for python in python3 python3.14 python3.13 python3.12 python3.11; do
  if "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" -c 'import json, platform, sys
print(json.dumps([sys.executable, *sys.version_info[:2], platform.machine(), platform.libc_ver()[1]]))'
  fi
done
python3 --version 2>&1 || echo "there is no python3"
exit 3
"""
_TOO_OLD = 3
_LOOK_S, _DOWNLOAD_S = 60.0, 1800.0
_PIECE_BYTES = 1 << 20
_MOST_WORDS = 400
_OLDEST_GLIBC = 17
"""Wheels for 2.17 (2014) are the oldest that are made today."""


@dataclass(frozen=True, slots=True)
class Python:
    """Of a host: where, which, for which machine, with which glibc (nothing: another C library)."""

    path: str
    major: int
    minor: int
    machine: str
    glibc: str

    @property
    def version(self) -> str:
        """Without the last part."""
        return f"{self.major}.{self.minor}"

    @property
    def is_ours(self) -> bool:
        """Whether what is installed here runs by it."""
        return (self.major, self.minor, self.machine) == (*sys.version_info[:2], platform.machine())


def greeted(host: str, config: Path | None) -> Hello:
    """What the pageferry there says of itself. :raises MissingError: none is there, or another.

    :raises PeerError: the host is not reached.
    """
    with contextlib.closing(Connection(host, ssh_argv(host, config=config))) as connection:
        return connection.hello


def look(host: str, config: Path | None) -> Python:
    """:raises MissingError: there is no Python that is new enough. :raises PeerError: the host is not reached."""
    status, said, errors = _ran(host, ssh_to(host, "sh", config), _LOOK.encode())
    last = (said.strip().splitlines() or [""])[-1]
    if status == _TOO_OLD:
        raise MissingError(
            f"{host}: {one_line(last)}, and pageferry needs Python 3.11 or newer: install one there "
            "(Debian 12, Ubuntu 24.04: apt-get install python3)"
        )
    try:
        return Python(*json.loads(last))
    except (ValueError, TypeError) as exc:
        raise why_ssh_failed(host, status, errors or last) from exc


def _ran(host: str, argv: Sequence[str], given: bytes) -> tuple[int, str, str]:
    """Its status, and the ends of what it wrote to its output and its errors. :raises PeerError: it does not end."""
    try:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as exc:
        raise MissingError(f"{argv[0]}: cannot be started: {exc.strerror}; install openssh-client") from exc
    with process:
        assert process.stdin is not None  # noqa: S101 - for the type checker: all three are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        said, errors = LastWords(process.stdout), LastWords(process.stderr)
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as into:
                into.write(given)
            return process.wait(_LOOK_S), said.text(), errors.text()
        except subprocess.TimeoutExpired as exc:
            raise PeerError(f"{host}: its shell did not end within {_LOOK_S:g} s; try ssh {host} true") from exc
        finally:
            process.kill()


def make_wheels(python: Python, folder: Path) -> list[Path]:
    """All that pageferry needs there: what is installed here; where that is for another Python, pip here fetches it for that one.

    :raises MissingError: pip cannot.
    """
    try:
        pip = pack(distribution("pip"), folder)
    except PackageNotFoundError as exc:
        raise MissingError("pip: not installed here: python -m ensurepip puts it there") from exc
    if python.is_ours:
        return [pip, *(pack(each, folder) for each in needed())]
    ours, *others = needed()
    _download(python, pack(ours, folder), [f"{each.name}=={each.version}" for each in others], folder)
    return sorted(folder.glob("*.whl"))


def _download(python: Python, ours: Path, others: Sequence[str], folder: Path) -> None:
    newest = int(python.glibc.partition(".")[2] or _OLDEST_GLIBC)
    platforms = [f"manylinux_2_{minor}_{python.machine}" for minor in range(_OLDEST_GLIBC, newest + 1)]
    argv = module_argv(
        "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--python-version", python.version, "--dest", str(folder),
        *(word for each in (f"manylinux2014_{python.machine}", *platforms) for word in ("--platform", each)), *others,
    )  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False)
    if done.returncode:
        said = one_line((done.stderr.strip().splitlines() or ["it said nothing"])[-1][:_MOST_WORDS])
        raise MissingError(
            f"{ours.name}: pip here cannot fetch what it needs for Python {python.version} on {python.machine}: {said}; "
            f"give this machine a network, or the host a Python {sys.version_info[0]}.{sys.version_info[1]}, as here"
        )


def install(
    host: str, config: Path | None, python: Python, wheels: Sequence[Path], on_bytes: Callable[[int], object]
) -> Hello:
    """Copy them and make a venv there; ``on_bytes`` hears how many more have gone. Gives what is there then.

    :raises MissingError: pip there refuses them, its disk is full. :raises PeerError: ssh broke off.
    """
    ours, script = hello(), _THERE.read_bytes()
    name = f"{ours.version}-{ours.code}"
    begin = f"import sys; exec(sys.stdin.buffer.read({len(script)}))"
    argv = ssh_to(host, f"{python.path} -c '{begin}' {PREPARED_IN} {name}", config)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101
        said = LastWords(process.stdout)
        with contextlib.suppress(BrokenPipeError), process.stdin as into:
            into.write(script)
            with tarfile.open(fileobj=_Counted(into.write, on_bytes), mode="w|", bufsize=_PIECE_BYTES) as tar:
                for wheel in wheels:
                    tar.add(wheel, wheel.name)
        status, words = process.wait(), said.text()
    if status:
        raise why_ssh_failed(host, status, words)
    return greeted(host, config)


class _Counted(io.RawIOBase):
    """A file that is written to, and tells of it."""

    def __init__(self, write: Callable[[bytes], object], on_bytes: Callable[[int], object]) -> None:
        self._write, self._on_bytes = write, on_bytes

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - as its kind has it
        """All of it."""
        self._write(data)
        self._on_bytes(len(data))
        return len(data)
