"""What a change takes or saves: ``python tests/benchmarks/checkouts.py FOLDER FOLDER... [--backend zstd:1]``, interleaved.

The same bytes pass `pageferry send` and `receive` of each checkout, as its own ``.venv`` has them, in turn, and each second turn
in the opposite order. Told are CPU seconds from when both halves were ready, and their ratio to those of the first checkout in
the same turn, which other work on the machine disturbs least; context switches and page faults of both halves with their start;
and the time in all, which other work disturbs most. Links are unix sockets.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.channels import MIX, migrate, streams_of

from harness.hosts.local import Local
from harness.streams.memory.memory import generate

WINDOW_BYTES = 12 << 20
"""As in ``relays.py``."""


class Checkout(Local):
    """This machine, with the program of that folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder.resolve()
        self.name = self._folder.name

    def program(self, *arguments: str) -> list[str]:
        """Its own command."""
        return [str(self._folder / ".venv/bin/pageferry"), *arguments]


class Turn(NamedTuple):
    """Of one migration, for each GiB."""

    sender_s: float
    receiver_s: float
    switches: float
    faults: float
    seconds: float


def turn_of(checkout: Checkout, streams: Sequence[bytes], backend: str, threads: int) -> Turn:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen = migrate(streams, backend, threads, WINDOW_BYTES, checkout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    gib = sum(map(len, streams)) / (1 << 30)
    switches = after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
    faults = after.ru_minflt - before.ru_minflt
    return Turn(seen.sender_cpu_s / gib, seen.receiver_cpu_s / gib, switches / gib, faults / gib, (1 << 30) / seen.rate)


def row(name: str, turns: Sequence[Turn], first: Sequence[Turn]) -> str:
    """Of the table."""
    both = [turn.sender_s + turn.receiver_s for turn in turns]
    ratios = [one / (turn.sender_s + turn.receiver_s) for one, turn in zip(both, first, strict=True)]
    sender, receiver, switches, faults, seconds = (statistics.median(column) for column in zip(*turns, strict=True))
    return (
        f"{name:16}  {sender:6.2f}  {receiver:8.2f}  "
        f"{f'{statistics.median(both):.2f} ({min(both):.2f} to {max(both):.2f})':>19}  "
        f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})':>19}  "
        f"{switches:8.0f}  {faults:6.0f}  {seconds:7.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="checkouts, the first to compare with")
    parser.add_argument("--backend", default="none", metavar="BACKEND[:LEVEL]", help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="that compress [%(default)s]")
    parser.add_argument("--channels", type=int, default=2, metavar="N", help="multifd's [%(default)s]")
    parser.add_argument("--mib", type=int, default=512, metavar="N", help="of pages [%(default)s]")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="[%(default)s]")
    asked = parser.parse_args()
    pages = [bytes(page) for chunk in generate(MIX, asked.mib << 8, 1) for page in chunk]
    streams = streams_of(pages, asked.channels)
    seen: dict[Path, list[Turn]] = {folder: [] for folder in asked.folders}
    for number in range(asked.repeats):
        for folder in reversed(seen) if number % 2 else seen:
            seen[folder].append(turn_of(Checkout(folder), streams, asked.backend, asked.threads))
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{asked.backend}, {asked.channels} channels, for each GiB, n={asked.repeats}, medians, {load}")
    print(f"{'':16}  sender  receiver  {'both, CPU s':>19}  {'to the first':>19}  switches  faults  seconds")
    for folder, turns in seen.items():
        print(row(folder.resolve().name, turns, seen[asked.folders[0]]))


if __name__ == "__main__":
    main()
