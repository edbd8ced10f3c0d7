"""A site of many results, made from one small replay: ``python tests/benchmarks/site.py FOLDER [--results 60]``.

Each result is the replay of a night, its runs re-seeded around the replay's medians; the last tenth of zstd-1's nights is 5 %
slower, one night in 40 has a failed run, and two machines and three links take turns. Prints what it took and how large it is.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import resource
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from harness import cli
from harness.results import stats
from harness.results.identity import Identity
from harness.results.result import Result, Run, load_result, save_result
from reports.site.page import write_site

SLOWED = "zstd-1"
KINDS = [("ada", None), ("ada", 125_000_000), ("bob", None), ("bob", 12_500_000)]
MINI = ["run", "codecs", "--only", "isal-1", "--only", "zstd-1", "--only", "zlib-1"]
GUEST = "guest={kind='synthetic',memory='32MiB',working_set='4MiB'}"


def night(base: Result, number: int, nights: int, kind: tuple[str, int | None], rng: random.Random) -> Result:
    """The replay as if it had been made in that night on that machine, over that link."""
    host, bandwidth = kind
    began = datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.UTC) + datetime.timedelta(days=number)
    identity = Identity(
        run_id=f"{began:%Y-%m-%dT%H%M%SZ}-{rng.randrange(1 << 24):06x}",
        started_at=began.isoformat(),
        host=host,
        machine_id=f"{host:0<16}",
        version="0.1.0",
        commit=f"{number:012x}",
        tags=("nightly",),
    )
    scenario = {**base.scenario, "link": {**base.scenario["link"], "bandwidth_bytes_per_s": bandwidth}}
    of_night = {run.method: rng.gauss(1, 0.008) for run in base.runs}
    late = number >= nights - max(3, nights // 10)
    runs = []
    for run in base.runs:
        factor = of_night[run.method] * rng.gauss(1, 0.01) * (1.05 if late and run.method == SLOWED else 1)
        runs.append(_again(base, run, factor, began))
    if number % 40 == 25:
        runs[3] = replace(runs[3], status="failed", total_time_s=None, verified=None, error="PeerError: the link died")
    summary = stats.summarise(runs, base_name(base))
    return replace(base, scenario=scenario, runs=tuple(runs), summary=summary, identity=identity, doubts=())


def base_name(base: Result) -> str:
    """The baseline's."""
    return next(method["name"] for method in base.scenario["methods"] if method["baseline"])


def _again(base: Result, run: Run, factor: float, began: datetime.datetime) -> Run:
    typical_s = median(each.total_time_s for each in base.runs if each.method == run.method and each.total_time_s)
    return replace(run, total_time_s=typical_s * factor, started_at=began.isoformat(), doubts=())


def make(folder: Path, count: int, seed: int = 7) -> list[Path]:
    """``count`` results below ``folder``, of one small replay there."""
    if not (folder / "base" / "latest").exists():
        cli.main([*MINI, "--set", GUEST, "--set", "repeats=6", "--set", "warmups=0", "--out", str(folder / "base")])
    base, rng, files = load_result(folder / "base"), random.Random(seed), []
    kinds = KINDS[: 2 if count < 200 else 4]
    for index in range(count):
        number, kind = divmod(index, len(kinds))
        result = night(base, number, count // len(kinds), kinds[kind], rng)
        files.append(folder / "results" / str(result.identity and result.identity.run_id) / "result.json")
        save_result(result, files[-1])
    return files


def main() -> None:
    """Make them and the site: whole, with nothing new, and with one result more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=int, default=60)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    files = make(given.folder, given.results)
    for what in ("whole", "again", "with one more"):
        if what == "with one more":
            files = make(given.folder, given.results + 1)
        began, cpu_s = time.monotonic(), _cpu_s()
        written = write_site(files, given.folder / "site", given.processes)
        size = sum(path.stat().st_size for path in (given.folder / "site").rglob("*") if path.is_file())
        took = f"{time.monotonic() - began:.1f} s, {_cpu_s() - cpu_s:.1f} CPU s without Vega's"
        print(
            f"{what}: {written.built} of {written.pages} files, {took}, {size / 1e6:.1f} MB, {given.processes} processes"
        )


def _cpu_s() -> float:
    """Of this process and of the helpers that ended; Vega's processes are theirs, and are not seen from here."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


if __name__ == "__main__":
    main()
