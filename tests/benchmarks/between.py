"""Whether a run through two agents takes as long as one without, and what agents, ssh and sshd cost while the guest migrates:
``python tests/benchmarks/between.py [--turns N]``.

Each turn is one migration by `pageferry run` between two network namespaces of this machine, and one through two agents (an sshd in
each of two namespaces), the first of them in turn. The ratio of the medians comes with its 95 % interval (bootstrap over turns),
and the CPU seconds of each kind of process between the migrate command and its end. Asked: within 3 %, on a machine that does
nothing else. Needs root and sshd. What a fleet costs: tests/benchmarks/fleet.py cost.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from ssh_lab import SshLab, why_not

from harness.cli import main as pageferry
from harness.guests import qemu_ends
from harness.results.result import load_result

METHODS = ("original", "zstd-1")
ROLES = ("agent", "sshd", "ssh", "leader")
_DRAWS = 10_000
Spent = list[dict[str, float]]


def lead(sshds: list[int], file: Path, words: list[str]) -> int:
    """Be `pageferry`, and write down what each kind of process spent during each migration."""
    found: Spent = []
    migrate = qemu_ends.migrate

    @functools.wraps(migrate)
    def measured(*given: Any, **named: Any) -> Any:
        before = cpu_s(sshds)
        outcome = migrate(*given, **named)
        after = cpu_s(sshds)
        found.append({role: after[role] - before[role] for role in ROLES})
        return outcome

    qemu_ends.migrate = measured
    try:
        return pageferry(words)
    finally:
        file.write_text(json.dumps(found))


def cpu_s(sshds: list[int]) -> Counter[str]:
    """By role, so far; of processes that are there."""
    me = psutil.Process()
    roles = [(me, "leader"), *((child, "ssh") for child in me.children() if child.name() == "ssh")]
    for sshd in map(psutil.Process, sshds):
        roles += [(process, role_of(process)) for process in (sshd, *sshd.children(recursive=True))]
    spent: Counter[str] = Counter()
    for process, role in roles:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent[role] += times.user + times.system
    return spent


def role_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.name().startswith("sshd"):
            return "sshd"
        if process.cmdline()[-1:] == ["agent"]:
            return "agent"
    return "another"


def turn(out: Path, sshds: list[int], *more: str) -> dict[str, dict[str, float]]:
    """One run of each method: its total, and what was spent during its migration."""
    sets = [word for key in ("repeats=1", "warmups=0", "link.bandwidth=1Gbit/s") for word in ("--set", key)]
    words = ["run", "throttled", "--only", METHODS[1], *sets, "--out", str(out), *more]
    file = out.with_suffix(".json")
    argv = [sys.executable, __file__, "--lead", str(file), *(word for sshd in sshds for word in ("--sshd", str(sshd)))]
    subprocess.run([*argv, "--", *words], check=True, capture_output=True)
    runs, spent = load_result(out / "latest" / "result.json").runs, json.loads(file.read_text())
    return {
        run.method: {"total": float(run.total_time_s or "nan"), **roles} for run, roles in zip(runs, spent, strict=True)
    }


def ratio(through: list[float], without: list[float]) -> tuple[float, float, float]:
    """Of the medians, and its interval."""
    pairs = np.array([through, without])
    drawn = np.random.default_rng(1).integers(0, len(through), (_DRAWS, len(through)))
    medians = np.median(pairs[:, drawn], axis=2)
    low, high = np.quantile(medians[0] / medians[1], (0.025, 0.975))
    found = np.median(pairs, axis=1)
    return float(found[0] / found[1]), float(low), float(high)


def compare(turns: int) -> None:
    found: dict[str, list[dict[str, dict[str, float]]]] = {"through two agents": [], "without": []}
    with tempfile.TemporaryDirectory() as name, SshLab(Path(name)) as lab:
        more = {
            "through two agents": ("--pair", "lab", "--hosts", str(lab.hosts)),
            "without": ("--set", "link.kind=netns"),
        }
        sshds = [sshd.pid for sshd in lab.sshds.values()]
        for number in range(turns):
            for how in sorted(found, reverse=bool(number % 2)):
                found[how].append(turn(Path(name) / how.replace(" ", "-"), sshds, *more[how]))
                told = {method: f"{run['total']:.3f} s" for method, run in found[how][-1].items()}
                print(f"{number + 1}/{turns} {how}: {told}", flush=True)
    for method in METHODS:
        each = [[turn[method]["total"] for turn in found[how]] for how in ("through two agents", "without")]
        middle, low, high = ratio(*each)
        print(f"{method}: through two agents / without = {middle:.3f} [{low:.3f}, {high:.3f}], n={turns} each")
        for how, runs in found.items():
            medians = {role: float(np.median([run[method][role] for run in runs])) for role in ROLES}
            words = ", ".join(f"{role} {spent_s:.3f}" for role, spent_s in medians.items())
            print(f"  CPU s during the migration, {how}: {words}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--lead", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sshd", type=int, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.lead is not None:
        return lead(given.sshd, given.lead, given.words)
    if (why := why_not()) is not None:
        print(why)
        return 3
    compare(given.turns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
