"""How much longer post-copy's guest waits for a page that it asks for, through the pair, than without it, and what a change to the
pair makes of that: ``python tests/benchmarks/page_requests.py [FOLDER...] [--preempt] [--repeats 7]``, in turn.

The guest and the link are those of `pageferry run page-requests`. In each turn it migrates directly, and through the pair of each
checkout, as its own ``.venv`` has it; without any, through this one's. Asked: the 99th percentile at most 3 ms above the direct
one's. A run has some 200 requests, of which two are above its own 99th percentile: so that of all turns' requests is told too, and
its difference to the direct one's with an interval (95 %, bootstrap over turns). 10 s for each migration.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.checkouts import Checkout

from harness.experiment.trial import Lab
from harness.guests import qemu_ends
from harness.hosts.local import Local
from harness.qemu import page_requests
from harness.scenario.document import find_file
from harness.scenario.model import load_scenario

DIRECT = "direct"
_DRAWS = 2000


class Seen(NamedTuple):
    """One migration: its time, the pair's CPU seconds, and how long each page was waited for."""

    total_s: float
    pair_s: float
    waits_s: Sequence[float]


class Waits:
    """In place of who reads QEMU's trace; ``latest_s``: each wait of the latest one."""

    def __init__(self) -> None:
        self.latest_s: list[float] = []
        self._otherwise = qemu_ends.page_requests

    def __call__(self, file: Path) -> page_requests.PageRequests | None:
        """As that does."""
        with file.open(encoding="utf-8", errors="replace") as lines:
            self.latest_s = list(vars(page_requests)["_waits_s"](lines))
        return self._otherwise(file)


def p99_ms(seen: Sequence[Seen]) -> float:
    """Of all their requests."""
    return float(np.percentile(np.concatenate([one.waits_s for one in seen]), 99)) * 1000


def row(name: str, seen: Sequence[Seen], direct: Sequence[Seen]) -> str:
    """Of the table."""
    draws = np.random.default_rng(1).integers(len(seen), size=(_DRAWS, len(seen)))
    differences = [p99_ms([seen[at] for at in draw]) - p99_ms([direct[at] for at in draw]) for draw in draws]
    low, high = np.percentile(differences, [2.5, 97.5])
    totals_s = [one.total_s for one in seen]
    own_ms = [p99_ms([one]) for one in seen]
    p50_ms = statistics.median(wait_s * 1000 for one in seen for wait_s in one.waits_s)
    return (
        f"{name:14}  {statistics.median(totals_s):5.2f} ({min(totals_s):5.2f} to {max(totals_s):5.2f})  "
        f"{statistics.median(one.pair_s for one in seen):10.2f}  {sum(len(one.waits_s) for one in seen):8}  {p50_ms:9.1f}  "
        f"{f'{statistics.median(own_ms):.1f} ({min(own_ms):.1f} to {max(own_ms):.1f})':>21}  {p99_ms(seen):13.1f}  "
        f"{p99_ms(seen) - p99_ms(direct):+6.1f} [{low:+.1f}, {high:+.1f}]"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="checkouts [this one]")
    parser.add_argument("--preempt", action="store_true", help="pages that are asked for on a connection of their own")
    parser.add_argument(
        "--repeats", type=int, default=7, metavar="N", help="after one that does not count [%(default)s]"
    )
    asked = parser.parse_args()
    checkouts = [Checkout(folder) for folder in asked.folders or [Path(__file__).parents[2]]]
    scenario = load_scenario(find_file("page-requests"))
    direct, zstd = ("direct-preempt", "zstd-1-preempt") if asked.preempt else ("direct", "zstd-1")
    methods = {method.name: method for method in scenario.methods}
    seen: dict[str, list[Seen]] = {DIRECT: [], **{checkout.name: [] for checkout in checkouts}}
    waits = Waits()
    with (
        tempfile.TemporaryDirectory(prefix="pageferry-") as name,
        mock.patch.object(qemu_ends, "page_requests", waits),
        Lab(scenario) as lab,
    ):
        for turn in range(asked.repeats + 1):
            for way, each in ((DIRECT, checkouts[0]), *((checkout.name, checkout) for checkout in checkouts)):
                method = methods[direct if way == DIRECT else zstd]
                with mock.patch.object(Local, "program", lambda _, *words, of=each: of.program(*words)):
                    run = lab.run(method, Path(name) / f"{turn}-{way}", lambda _: None)
                if not run.verified or run.total_time_s is None:
                    raise SystemExit(f"{way}: {run.reason}")
                if turn:
                    pair_s = (run.cpu_s.sender or 0.0) + (run.cpu_s.receiver or 0.0)
                    seen[way].append(Seen(run.total_time_s, pair_s, waits.latest_s))
    print(f"{scenario.description}; n={asked.repeats}, load {os.getloadavg()[0]:.1f}")
    print(
        f"{'':14}  total s (range)        pair CPU s  requests  median ms  each run's p99 (range)  p99 of all ms  to direct ms"
    )
    for way, runs in seen.items():
        print(row(way, runs, seen[DIRECT]))


if __name__ == "__main__":
    main()
