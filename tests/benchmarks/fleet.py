"""What a fleet costs beside `pageferry run`, and whether a worker that is killed loses or doubles a run.

    python tests/benchmarks/fleet.py kill --trials 20
    python tests/benchmarks/fleet.py cost --cells 8 --turns 3

`kill`: in each trial a worker is killed (SIGKILL) at a moment drawn at random in the matrix; then every cell must have every run
once, and the command must end with 0. `cost`: the same cells by `run` and by `fleet` in turn, in seconds, and in CPU seconds of all
processes, and what the fleet takes longer a cell. Asked: 2 s at most. No turn is begun that would end after `--limit`.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.results.result import load_result

RUNS = 2
"""Of a cell that is killed in; what a cell costs shows with one."""
SCENARIO = """
description = "the least that crosses a pair"
repeats = {runs}
warmups = 0
[guest]
kind = "synthetic"
memory = "16MiB"
working_set = "1MiB"
[link]
kind = "relay"
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
[sweep]
"link.bandwidth" = [{rates}]
"""


def argv(command: str, folder: Path, cells: int, runs: int = RUNS) -> list[str]:
    rates = ", ".join(f'"{number + 1}Gbit/s"' for number in range(cells))
    (folder / "tiny.toml").write_text(SCENARIO.format(rates=rates, runs=runs))
    words = [command, str(folder / "tiny.toml"), "--out", str(folder / command)]
    return [sys.executable, "-m", "harness.cli", *words]


def worker_of(fleet: psutil.Process) -> psutil.Process | None:
    """Whose child leads."""
    for process in fleet.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "harness.fleet.leader" in process.cmdline() and process.name() != "sh":
                return process.parent()
    return None


def faults_of(folder: Path, cells: int) -> list[str]:
    """What is lost or doubled."""
    files = sorted((folder / "fleet" / "latest").glob("*/result.json"))
    wanted = [("none", repeat + 1, "completed", True) for repeat in range(RUNS)]
    found = [f"{cells - len(files)} cells have no result"] if len(files) != cells else []
    for file in files:
        runs = [(run.method, run.repeat, run.status, run.verified is not False) for run in load_result(file).runs]
        found += [f"{file.parent.name}: {runs}"] if runs != wanted else []
    return found


def trial(folder: Path, cells: int, number: int) -> list[str]:
    """One fleet whose worker is killed once, ``number`` draws when."""
    drawn = random.Random(number)
    after_runs, pause_s = drawn.randrange(cells * RUNS - 1), drawn.uniform(0, 2)
    log = folder / "said"
    with log.open("wb") as said:
        child = subprocess.Popen(argv("fleet", folder, cells), stdout=said, stderr=said)
    fleet = psutil.Process(child.pid)
    while (worker := worker_of(fleet)) is None or runs_in(folder) < after_runs:
        if child.poll() is not None:
            return [f"ended before the kill: {log.read_text()}"]
        time.sleep(0.02)
    time.sleep(pause_s)
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.kill()
    status = child.wait()
    where = "in" if "its worker died" in log.read_text() else "beside"
    print(f"trial {number}: killed {where} a cell, {pause_s:.2f} s after run {after_runs}: status {status}", flush=True)
    return [*faults_of(folder, cells), *([f"status {status}: {log.read_text()}"] if status else [])]


def runs_in(folder: Path) -> int:
    return sum(len(load_result(file).runs) for file in folder.glob("fleet/*/*/result.json"))


def cost(folder: Path, command: str, cells: int) -> tuple[float, float]:
    """Seconds, and CPU seconds of it and all that it waited for."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv(command, folder, cells, runs=1), check=True, capture_output=True)
    took_s, after = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(cells: int, turns: int, limit_s: float) -> None:
    found: dict[str, list[tuple[float, float]]] = {"run": [], "fleet": []}
    began_s = time.monotonic()
    for turn in range(turns):
        spent_s = time.monotonic() - began_s
        if turn and spent_s * (turn + 1) / turn > limit_s:
            print(f"{spent_s:.0f} s are over: {turn} of {turns} turns")
            break
        for command in sorted(found, reverse=bool(turn % 2)):
            with tempfile.TemporaryDirectory() as folder:
                found[command].append(cost(Path(folder), command, cells))
            took_s, cpu_s = found[command][-1]
            print(f"{turn + 1}/{turns} {command}, {cells} cells: {took_s:.1f} s, {cpu_s:.1f} s of CPU", flush=True)
    for what, index in (("takes", 0), ("spends of CPU", 1)):
        each = [(fleet[index] - run[index]) / cells for fleet, run in zip(found["fleet"], found["run"], strict=True)]
        told = f"{statistics.median(each):+.2f} s [{min(each):+.2f}, {max(each):+.2f}]"
        print(f"what a fleet {what} more than run, a cell: {told}, median and range of n={len(each)}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["kill", "cost"])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--limit", type=float, default=150, help="seconds, of cost")
    given = parser.parse_args()
    if given.what == "kill":
        wrong = 0
        for number in range(given.trials):
            with tempfile.TemporaryDirectory() as folder:
                if faults := trial(Path(folder), given.cells, number):
                    wrong += 1
                    print("\n".join(faults))
        print(f"{given.trials - wrong} of {given.trials} trials: every run of {given.cells} cells once")
        return wrong
    compare(given.cells, given.turns, given.limit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
