"""Many live migrations, and whether anything grows by them: ``python tests/soak/run.py --seed 7``.

First RUNS in a row in one process, then PAIRS processes side by side with EACH migrations, then one guest there and back HOPS times
through two pairs that serve for ever. Backends take turns; guests, rates, links, return path and TLS are left to the seed. Each
migration's memory is compared. Memory, descriptors, threads and processes are looked at behind each of them (``flat.py`` has the
limits), and in the end the folders and network namespaces that nobody owns any more. DIR gets soak.json. Exit status 0: all well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from soak.cases import backends
from soak.flat import Held, growth_of

from harness.hosts.claims import remove_abandoned
from harness.links import netns

Told = Mapping[str, Any]
_HERE = Path(__file__).parent
_BASES = (Path("/dev/shm"), Path("/tmp"))


def abandoned() -> list[str]:
    """What stands there and is nobody's; it is removed."""
    return [str(base / name) for base in _BASES for name in remove_abandoned(base)] + netns.remove_leftovers()


def begun(script: str, *arguments: int) -> subprocess.Popen[str]:
    """One of the scripts beside this one."""
    # glibc keeps some 12 MB for each of up to 16 threads at once (2 cores), which is no leak and would hide one.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, str(_HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def told_by(*processes: subprocess.Popen[str]) -> list[Told]:
    """All their lines, shown as they come. One that ends badly has told too little, which ``judged`` sees."""
    told = []
    for process in processes:
        for line in process.stdout or ():
            told.append(json.loads(line))
            print(
                "ok  " if told[-1]["ok"] else "BAD ",
                {key: told[-1][key] for key in told[-1] if key not in ("held", "ok")},
                flush=True,
            )
        process.wait()
    return told


def in_a_row(seed: int, runs: int) -> tuple[list[Told], list[str]]:
    """And what grew."""
    told = told_by(begun("migrations.py", seed, 0, runs))
    warmups = min(len(backends()), runs // 2)
    return told, growth_of([Held(**each["held"]) for each in told], warmups)


def side_by_side(seed: int, pairs: int, each: int) -> tuple[list[Told], list[str]]:
    """Numbers of their own, behind those in a row."""
    return told_by(*[begun("migrations.py", seed, 1000 * (1 + pair), each) for pair in range(pairs)]), []


def there_and_back(seed: int, hops: int) -> tuple[list[Told], list[str]]:
    """What grew in each of the four halves."""
    told = told_by(begun("pingpong.py", seed, hops))
    looks = [look for each in told for look in each.get("held", {}).items()]
    return told, [
        f"{half}: {what}"
        for half in dict(looks)
        for what in growth_of([Held(**held) for name, held in looks if name == half], min(5, hops // 8))
    ]


def judged(name: str, wanted: int, found: tuple[Sequence[Told], Sequence[str]]) -> dict[str, Any]:
    """A part of the report."""
    told, grew = found
    good = sum(each["ok"] for each in told)
    wrong = [f"{each}" for each in told if not each["ok"]] + list(grew)
    if len(told) < wanted:
        wrong.append(f"only {len(told)} of {wanted} were made")
    return {"part": name, "wanted": wanted, "good": good, "wrong": wrong, "told": list(told)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, usual in (("--runs", 200), ("--pairs", 8), ("--each", 5), ("--hops", 50), ("--seed", 1)):
        parser.add_argument(flag, type=int, default=usual, metavar=flag[2:].upper(), help=f"[{usual}]")
    parser.add_argument("--out", type=Path, default=Path("out/soak"), metavar="DIR", help="[out/soak]")
    o = parser.parse_args()
    abandoned()
    began_s = time.monotonic()
    parts = [
        judged("in a row", o.runs, in_a_row(o.seed, o.runs)),
        judged(f"{o.pairs} side by side", o.pairs * o.each, side_by_side(o.seed, o.pairs, o.each)),
        judged("there and back", o.hops + 1, there_and_back(o.seed, o.hops)),
    ]
    left = abandoned()
    o.out.mkdir(parents=True, exist_ok=True)
    report = {"seed": o.seed, "seconds": round(time.monotonic() - began_s, 1), "left": left, "parts": parts}
    (o.out / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    for part in parts:
        print(
            f"{part['part']}: {part['good']} of {part['wanted']} verified; {'; '.join(part['wrong']) or 'nothing grew'}"
        )
    print(f"left over: {', '.join(left) or 'nothing'}; {report['seconds']:.0f} s; {o.out / 'soak.json'}")
    return int(bool(left) or any(part["wrong"] for part in parts))


if __name__ == "__main__":
    sys.exit(main())
