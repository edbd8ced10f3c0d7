"""What the pair takes beyond the kernel's copies: ``python tests/benchmarks/relays.py [--channels 1,2] [--cpus 0,1]``, interleaved.

The same bytes pass `pageferry send` and `receive` without compression, and two bare relays (``bare_relay.py``) in their place:
what these take, no program in that place can save. All connections are unix sockets, and CPU times are from when all are ready.
What that is between two live guests: ``floor.py``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import bare_relay
from benchmarks.channels import MIX, drain, feed, migrate, streams_of

from harness.hosts.pinning import parse_cpus
from harness.streams.memory.memory import generate

WINDOW_BYTES = 12 << 20
"""So that a host that is busy with other work makes no smaller batches."""


class Cost(NamedTuple):
    """CPU seconds of the one beside the source, of the one beside the destination, and of both together in the kernel."""

    source_s: float
    destination_s: float
    kernel_s: float = float("nan")


def through_relays(streams: Sequence[bytes]) -> Cost:
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/d")
        listener.listen(len(streams))
        counted: list[int] = []
        threading.Thread(target=drain, args=(listener, counted), daemon=True).start()
        relays = []
        for place, target in (("l", "d"), ("s", "l")):
            argv = [
                sys.executable,
                bare_relay.__file__,
                "copy",
                f"unix:{folder}/{place}",
                f"unix:{folder}/{target}",
                str(len(streams)),
            ]
            relays.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            assert relays[-1].stdout is not None
            relays[-1].stdout.readline()  # "ready"
        for thread in feed(Path(folder) / "s", streams):
            thread.join()
        destination, source = (told(process) for process in relays)
        listener.shutdown(socket.SHUT_RDWR)
        return Cost(sum(source), sum(destination), source[1] + destination[1])


def told(process: subprocess.Popen[str]) -> tuple[float, float]:
    """CPU seconds of a relay, once it ended: its own, and the kernel's for it."""
    words, _ = process.communicate(timeout=600)
    own_s, kernel_s, _ = map(float, words.split())
    return own_s, kernel_s


def through_pair(streams: Sequence[bytes]) -> Cost:
    seen = migrate(streams, "none", 1, WINDOW_BYTES)
    return Cost(seen.sender_cpu_s, seen.receiver_cpu_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--channels", default="0,2", metavar="N,...", help="multifd's; 0: on the main one [%(default)s]"
    )
    parser.add_argument("--cpus", metavar="LIST", help="processors, as for taskset [all]")
    parser.add_argument("--mib", type=int, default=512, metavar="N", help="of pages [%(default)s]")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="[%(default)s]")
    asked = parser.parse_args()
    if asked.cpus:
        os.sched_setaffinity(0, parse_cpus(asked.cpus))
    pages = [bytes(page) for chunk in generate(MIX, asked.mib << 8, 1) for page in chunk]
    counts = [int(one) for one in asked.channels.split(",")]
    ways = {"relays": through_relays, "pair": through_pair}
    streams = {channels: streams_of(pages, channels) for channels in counts}
    seen: dict[tuple[int, str], list[Cost]] = {cell: [] for cell in itertools.product(counts, ways)}
    for _, cell in itertools.product(range(asked.repeats), seen):
        cost = ways[cell[1]](streams[cell[0]])
        seen[cell].append(Cost(*(each * 1024 / asked.mib for each in cost)))
    print(f"CPU s per GiB, {len(os.sched_getaffinity(0))} cores for all, n={asked.repeats}, medians")
    print("channels  through  at source  at destination  both (range)         in the kernel  pair/relays")
    for (channels, way), costs in seen.items():
        both = [cost.source_s + cost.destination_s for cost in costs]
        bare = statistics.median(cost.source_s + cost.destination_s for cost in seen[channels, "relays"])
        source, destination, kernel = (statistics.median(column) for column in zip(*costs, strict=True))
        print(
            f"{channels:8}  {way:7}  {source:9.2f}  {destination:14.2f}  "
            f"{statistics.median(both):4.2f} ({min(both):.2f} to {max(both):.2f})  "
            f"{'' if way == 'pair' else f'{kernel:.2f}':>13}  {statistics.median(both) / bare:11.2f}"
        )


if __name__ == "__main__":
    main()
