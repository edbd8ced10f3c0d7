"""Makes the recordings of Linux guests that come with pageferry: ``python scenarios/recordings/make.py [NAME ...]``.

It needs what a guest of kind "linux" needs: QEMU, and Debian or Ubuntu for the packages. A guest is recorded with all of its
memory, and a sample of it, packed as tightly as it goes, takes the place of the file that is here: some minutes for each. Guests
run in real time, so that two recordings are alike, and not the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent

_APPEND = "nokaslr init_on_free=1"
"""The kernel lies in the same place in all three; and what was freed is zeros, as in guests whose kernel is hardened. Without it a
fifth of what such a small guest sends would be the packed kernel image, which the boot leaves behind in free memory."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """``guest``: as small as its workload allows. ``bandwidth``: so slow that a guest that writes is sent in several passes;
    ``downtime_limit``: QEMU makes another one until what is left takes no longer. ``of``: one MiB of each so many is kept,
    so that the three files together stay below 12 MB.
    """

    guest: dict[str, str | int]
    bandwidth: str
    downtime_limit: str
    of: int


RECORDINGS = {
    "linux-idle": Recorded({"workload": "idle", "memory": "128MiB"}, "50Mbit/s", "150ms", 4),
    "linux-build": Recorded({"workload": "build", "memory": "256MiB"}, "50Mbit/s", "150ms", 6),
    "linux-redis": Recorded({"workload": "redis", "memory": "384MiB", "rate": 1000}, "100Mbit/s", "300ms", 7),
}


def main() -> int:
    """Make those that are asked for; the status of the first command that fails."""
    parser = argparse.ArgumentParser(description="Make the recordings of Linux guests that come with pageferry.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RECORDINGS)} [all]")
    options = parser.parse_args()
    if strangers := [name for name in options.names if name not in RECORDINGS]:
        parser.error(f"{strangers[0]!r}: unknown recording; known: {', '.join(RECORDINGS)}")
    for name in options.names or RECORDINGS:
        with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
            for command in _commands(name, Path(folder, f"{name}.pfs")):
                if status := subprocess.run([sys.executable, "-m", *command], check=False).returncode:
                    return status
    return 0


def _commands(name: str, whole: Path) -> Iterator[list[str]]:
    recorded = RECORDINGS[name]
    given = {"kind": "linux", **recorded.guest, "append": _APPEND}
    guest = ", ".join(
        f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"' for key, value in given.items()
    )
    link = [f"--set=link.bandwidth={recorded.bandwidth}", f"--set=downtime_limit={recorded.downtime_limit}"]
    settings = [f"--set=guest={{{guest}}}", *link, "--set=timeout=600s"]
    licences = f"--licences={FOLDER / 'LICENCES.txt'}"
    yield ["harness.cli", "record", "throttled", *settings, licences, "--out", str(whole)]
    yield ["harness.streams.sample", str(whole), str(FOLDER / f"{name}.pfs"), f"--of={recorded.of}"]


if __name__ == "__main__":
    sys.exit(main())
