"""Makes recordings of three Linux guests here, where ``guest.stream`` finds them: ``python scenarios/recordings/make.py``.

It needs what a guest of kind "linux" needs: QEMU, and Debian or Ubuntu for the packages. ``--small`` packs them as tightly as it
goes, which takes minutes for each. Names of recordings choose some; without, all are made.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
GUESTS = {
    "linux-idle": {"workload": "idle", "memory": "128MiB"},
    "linux-build": {"workload": "build", "memory": "256MiB"},
    "linux-redis": {"workload": "redis", "memory": "384MiB"},
}
"""Name -> the guest, as small as its workload allows."""

_BANDWIDTH = "500Mbit/s"
"""Slow enough for a guest that writes to be sent in several passes."""


def main() -> int:
    """Make those that are asked for; the status of the first command that fails."""
    parser = argparse.ArgumentParser(description="Make recordings of Linux guests, for guest.stream.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GUESTS))
    parser.add_argument("--small", action="store_true", help="pack as tightly as it goes: minutes for each")
    options = parser.parse_args()
    if strangers := [name for name in options.names if name not in GUESTS]:
        parser.error(f"{strangers[0]!r}: unknown recording; known: {', '.join(GUESTS)}")
    for name in options.names or GUESTS:
        with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
            for command in _commands(name, Path(folder, f"{name}.pfs"), small=options.small):
                if status := subprocess.run([sys.executable, "-m", *command], check=False).returncode:
                    return status
    return 0


def _commands(name: str, fast: Path, *, small: bool) -> Iterator[list[str]]:
    target = FOLDER / f"{name}.pfs"
    guest = ", ".join(f'{key} = "{value}"' for key, value in {"kind": "linux", **GUESTS[name]}.items())
    settings = [f"--set=guest={{{guest}}}", f"--set=link.bandwidth={_BANDWIDTH}"]
    licences = f"--licences={FOLDER / 'LICENCES.txt'}"
    out = fast if small else target
    yield ["harness.cli", "record", "throttled", *settings, licences, "--out", str(out)]
    if small:
        yield ["harness.streams.recording.repack", str(fast), str(target)]


if __name__ == "__main__":
    sys.exit(main())
