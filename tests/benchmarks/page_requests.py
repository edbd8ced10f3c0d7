"""How long a guest in post-copy waits for a page that it asks for: ``python tests/benchmarks/page_requests.py [--repeats 5]``.

The same guest over the same link, without the pair and through it, and without it also with postcopy-preempt, in turn. QEMU's own
trace of the destination says when a page was asked for and when it was put into place; pages that came unasked do not count.
Tracing costs the destination some microseconds for each page, in every row alike.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness import cli

SCENARIO = """
description = "post-copy's page requests"
repeats = {repeats}
warmups = 1
[guest]
kind = "stress"
memory = "512MiB"
fill = {{zero = 0.4, text = 0.2, code = 0.15, heap = 0.15, random = 0.1}}
working_set = "128MiB"
dirty_rate = "80MiB/s"
pattern = "random"
qemu = "{qemu}"
[link]
bandwidth = "{bandwidth}"
[[method]]
name = "direct"
engine = "qemu"
switch = "after 1 pass"
baseline = true
[[method]]
name = "direct-preempt"
engine = "qemu"
capabilities = ["postcopy-preempt"]
switch = "after 1 pass"
[[method]]
name = "zstd-1"
engine = "pageferry"
backend = "zstd"
level = 1
switch = "after 1 pass"
"""
TRACED = ("postcopy_ram_fault_thread_request", "postcopy_place_page", "postcopy_place_page_zero")
LINE = re.compile(r"@(?P<at_s>[\d.]+):(?P<event>\w+) .*?(?:HVA=|host=)?(?P<address>0x[0-9a-f]+)")
PAGE_BYTES = 4096


def waits_s(trace: Path) -> list[float]:
    """From the first request for each page until it was there."""
    asked: dict[int, float] = {}
    found: list[float] = []
    for line in trace.read_text(errors="replace").splitlines():
        if (match := LINE.search(line)) is None:
            continue
        at_s, page = float(match["at_s"]), int(match["address"], 16) // PAGE_BYTES
        if match["event"] == TRACED[0]:
            asked.setdefault(page, at_s)
        elif page in asked:
            found.append(at_s - asked.pop(page))
    return found


def migrated(repeats: int, bandwidth: str, folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Each run's method and its waits, in the order of the runs."""
    qemu = folder / "qemu"
    events = " ".join(f"-trace {event}" for event in TRACED)
    program = shutil.which("qemu-system-x86_64")
    qemu.write_text(f'#!/bin/sh\nexec {program} "$@" {events} -msg timestamp=on -D {folder}/trace.%d\n')
    qemu.chmod(0o755)
    scenario = folder / "requests.toml"
    scenario.write_text(SCENARIO.format(repeats=repeats, bandwidth=bandwidth, qemu=qemu))
    status = cli.main(["run", str(scenario), "--out", str(folder / "out")])
    if status:
        raise SystemExit(status)
    result = json.loads((folder / "out/latest/result.json").read_text())
    traces = sorted(folder.glob("trace.*"), key=lambda file: file.stat().st_mtime)
    destinations = [trace for trace in traces if TRACED[1] in trace.read_text(errors="replace")]
    for run, trace in zip(result["runs"], destinations, strict=True):
        if not run["warmup"]:
            yield run["method"], waits_s(trace)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bandwidth", default="1Gbit/s")
    given = parser.parse_args()
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="pf-") as folder:
        for method, waits in migrated(given.repeats, given.bandwidth, Path(folder)):
            rows.setdefault(method, []).extend(waits)
    print("| method | pages asked for | p50 | p99 | longest |\n| --- | ---: | ---: | ---: | ---: |")
    for method, waits in rows.items():
        low, high, most = (1000 * value for value in (*np.percentile(waits, [50, 99]), max(waits)))
        print(f"| {method} | {len(waits)} | {low:.2f} ms | {high:.2f} ms | {most:.2f} ms |")


if __name__ == "__main__":
    main()
