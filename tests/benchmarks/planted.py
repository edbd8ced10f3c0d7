"""Which checks see which planted fault: ``python tests/benchmarks/planted.py [NAME...]``, all faults without names.

Each backend of ``planted_backends`` goes through the checks of the groups contract, crossing, hostile and concurrency, and
through the one that is meant for it, whose limits are the shipped ones: a hang takes its minutes. ``good`` is tried too, where
no name is given; nothing must see it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from planted_backends import PLANTED, install

from harness.qualify.runner import Plan, qualify
from harness.results.certificate import Certificate

CHEAP = ("contract", "crossing", "hostile", "concurrency")
HEAD = ("fault", "meant check", "caught by it?", "also caught by")


def certified(name: str, folder: Path) -> Certificate:
    """Of the cheap checks and its own."""
    fault = PLANTED.get(name)
    only = (*CHEAP, *([fault.check_id] if fault else []))
    plan = Plan(name, only=only, backend_class=fault.backend_class if fault else None)
    return qualify(plan, folder / name, lambda *_: None)


def row(name: str, certificate: Certificate) -> tuple[str, ...]:
    """Of the table."""
    failed = {check.id: check.evidence for check in certificate.checks if check.status == "fail"}
    fault = PLANTED.get(name)
    if fault is None:
        return name, "none", "", ", ".join(failed)
    evidence = failed.pop(fault.check_id, None)
    caught = "no" if evidence is None else "yes" if fault.words in evidence else f"for another reason: {evidence}"
    return name, fault.check_id, caught, ", ".join(failed)


def show(cells: tuple[str, ...]) -> None:
    print(f"{cells[0]:<20} {cells[1]:<26} {cells[2]:<13} {cells[3]}".rstrip(), flush=True)


def main() -> None:
    names = sys.argv[1:] or ["good", *PLANTED]
    if unknown := set(names) - {"good", *PLANTED}:
        sys.exit(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(PLANTED)}")
    with tempfile.TemporaryDirectory(prefix="pageferry-planted-") as folder:
        site = install(Path(folder) / "site")
        sys.path.insert(0, str(site))
        os.environ["PYTHONPATH"] = str(site)
        os.environ["TMPDIR"] = folder
        show(HEAD)
        caught = 0
        for name in names:
            cells = row(name, certified(name, Path(folder)))
            caught += cells[2] == "yes"
            show(cells)
        print(f"{caught} of {sum(name in PLANTED for name in names)} caught by the check that is meant for them")


if __name__ == "__main__":
    main()
