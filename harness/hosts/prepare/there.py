"""Runs on the host that is prepared, by its own Python, with nothing of ours: a tar of wheels comes in, at the end a venv is there.

``sys.argv``: the folder below the home folder, and the venv's name. Each installation has a venv of its own, and a link leads to
the newest: a run that is in progress keeps its own.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path


def main() -> None:
    """:raises SystemExit: a line that says what failed."""
    base, name = Path.home() / sys.argv[1], sys.argv[2]
    try:
        (base / "installed").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="coming-", dir=base) as folder:
            _install(Path(folder), base / "installed" / name)
        _lead_to(base, base / "installed" / name)
        _remove_unused(base / "installed", name)
    except OSError as exc:
        sys.exit(f"{exc.filename or base}: {exc.strerror}; make room, or let this user write there")


def _install(folder: Path, there: Path) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)  # noqa: S202 - the leader's own, over its ssh
    venv.create(there, clear=True, symlinks=True)
    wheels = sorted(map(str, folder.glob("*.whl")))
    pip = next(wheel for wheel in wheels if Path(wheel).name.startswith("pip-"))
    options = ["--no-index", "--no-deps", "--no-compile", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    argv = [str(there / "bin" / "python"), f"{pip}/pip", "install", "--quiet", *options, *wheels]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(there, ignore_errors=True)
        sys.exit(f"pip there: {' | '.join(done.stderr.split(chr(10))[-4:]).strip(' |')}")


def _lead_to(base: Path, there: Path) -> None:
    fresh = base / f"current-{os.getpid()}"
    fresh.symlink_to(there)
    fresh.replace(base / "current")


def _remove_unused(installed: Path, name: str) -> None:
    """Others, that no process runs from."""
    running = b""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            running += process.read_bytes() + b"\0"
        except OSError:
            continue
    for other in installed.iterdir():
        if other.name != name and f"/installed/{other.name}/".encode() not in running:
            shutil.rmtree(other, ignore_errors=True)


main()
