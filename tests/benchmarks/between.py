"""Whether a run through two agents takes as long as one without: ``python tests/benchmarks/between.py [--turns N]``.

Each turn is one migration by `pageferry run` between two network namespaces of this machine, and one through two agents (an sshd in
each of two namespaces), the first of them in turn. The ratio of the medians comes with its 95 % interval (bootstrap over turns).
Asked: within 3 %, on a machine that does nothing else. Needs root and sshd. What a fleet costs: tests/benchmarks/fleet.py cost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from ssh_lab import SshLab, why_not

from harness.results.result import load_result

METHODS = ("original", "zstd-1")
_DRAWS = 10_000


def total_s(out: Path, *more: str) -> dict[str, float]:
    """Of one run of each method."""
    sets = [word for key in ("repeats=1", "warmups=0", "link.bandwidth=1Gbit/s") for word in ("--set", key)]
    argv = [sys.executable, "-m", "harness.cli", "run", "throttled", "--only", METHODS[1], *sets, "--out", str(out)]
    subprocess.run([*argv, *more], check=True, capture_output=True)
    runs = load_result(out / "latest" / "result.json").runs
    return {run.method: float(run.total_time_s or "nan") for run in runs}


def ratio(through: list[float], without: list[float]) -> tuple[float, float, float]:
    """Of the medians, and its interval."""
    pairs = np.array([through, without])
    drawn = np.random.default_rng(1).integers(0, len(through), (_DRAWS, len(through)))
    medians = np.median(pairs[:, drawn], axis=2)
    low, high = np.quantile(medians[0] / medians[1], (0.025, 0.975))
    found = np.median(pairs, axis=1)
    return float(found[0] / found[1]), float(low), float(high)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=9)
    turns = parser.parse_args().turns
    if (why := why_not()) is not None:
        print(why)
        return 3
    found: dict[str, list[dict[str, float]]] = {"through two agents": [], "without": []}
    with tempfile.TemporaryDirectory() as name, SshLab(Path(name)) as lab:
        more = {
            "through two agents": ("--pair", "lab", "--hosts", str(lab.hosts)),
            "without": ("--set", "link.kind=netns"),
        }
        for turn in range(turns):
            for how in sorted(found, reverse=bool(turn % 2)):
                found[how].append(total_s(Path(name) / how.replace(" ", "-"), *more[how]))
                print(f"{turn + 1}/{turns} {how}: {found[how][-1]}", flush=True)
    for method in METHODS:
        each = [[totals[method] for totals in found[how]] for how in ("through two agents", "without")]
        middle, low, high = ratio(*each)
        print(f"{method}: through two agents / without = {middle:.3f} [{low:.3f}, {high:.3f}], n={turns} each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
