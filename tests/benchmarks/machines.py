"""The table of machines in docs/compatibility.md, made anew: ``tox -e machines``, or ``python tests/benchmarks/machines.py``.

Fetches QEMUs from Debian into the cache (400 MB), migrates each machine of ``machines.py`` with each through the pair, and stops at
the first that fails. Takes about 10 minutes on two cores, and 128 huge pages (as root: ``sysctl vm.nr_hugepages=128``).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from machines import MACHINES, tried
from machines_page import PAGE, renewed
from qemu_builds import SUITES, unpacked

from harness.hosts import limits

HUGE_BYTES = 2 << 20


def main() -> None:
    needed, pool = 2 * max(machine.hugepages for machine in MACHINES), limits.hugepages(HUGE_BYTES)
    if pool is None or pool.free < needed:
        raise SystemExit(f"{needed} huge pages are needed; as root: {limits.reserving(HUGE_BYTES, needed)}")
    builds = [unpacked(version) for version in SUITES]
    seen: dict[str, list[str]] = {}
    versions: list[str] = []
    for machine in MACHINES:
        for build in builds:
            with tempfile.TemporaryDirectory(prefix="pf-") as folder:
                found = tried(machine, build, Path(folder))
            versions = [*versions, found.version] if len(versions) < len(builds) else versions
            seen.setdefault(machine.name, []).append(found.words)
            print(f"{machine.name}, QEMU {found.version}: {found.words}", flush=True)
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), versions, seen), encoding="utf-8")


if __name__ == "__main__":
    main()
