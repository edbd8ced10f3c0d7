"""How fast a migration can be through anything that stands between: ``python tests/benchmarks/floor.py [--repeats 7]``, in turn.

A live guest is migrated by QEMU's multifd: directly, through two bare relays (``bare_relay.py``), and through the pair. All cross
the same TCP link, but for the unix sockets between QEMU and what stands beside it. By default nothing is compressed, there is no
link limit, and there are relays that copy and such as splice.

With ``--zstd LEVEL`` QEMU's own zstd compresses what goes directly; the relays carry multifd without compression and do nothing but
compress each channel on the one side and restore it on the other, and so does the pair. ``--zstd 1 --bandwidth 1Gbit/s
--working-set 64MiB`` is `pageferry run channels` with a guest of 1 GiB.

Times and CPU times are also told as their ratio to those of the direct migration of the same turn: what the relays take more, no
program in the pair's place can save. Needs about 3 GiB of memory, and 10 s for each migration.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import bare_relay

from harness.experiment import trial
from harness.guests.contract import Ends
from harness.hosts.contract import Host
from harness.hosts.ours import OwnProcess
from harness.links.contract import Link
from harness.results.result import Run
from harness.scenario.methods import Method
from harness.scenario.model import Scenario, load_scenario

DIRECT, PAIR = "direct", "pair"
HALVES = {"copy": ("copy", "copy"), "splice": ("splice", "splice"), "bare-zstd": ("compress", "restore")}
"""Of relays: what the one at the source does, and the one at the destination."""
SCENARIO = """
description = "what stands between"
downtime_limit = "300ms"
[guest]
kind = "stress"
memory = "{memory}"
working_set = "{working_set}"
dirty_rate = "20MiB/s"
[link]
bandwidth = "{bandwidth}"
"""
NATIVE = """
[[method]]
name = "{name}"
engine = "qemu"
baseline = {baseline}
capabilities = ["multifd"]
source = {{multifd-channels = {channels}, {compression}}}
"""
OURS = """
[[method]]
name = "pair"
engine = "pageferry"
channels = {channels}
{backend}
"""


class Cost(NamedTuple):
    """CPU seconds of what stands beside the source and beside the destination, and what both spent in codecs."""

    source_s: float = 0.0
    destination_s: float = 0.0
    codec_s: float = 0.0


class Seen(NamedTuple):
    """One migration."""

    run: Run
    between: Cost

    @property
    def total_s(self) -> float:
        """Its time."""
        return self.run.total_time_s or float("nan")

    @property
    def cpu_s(self) -> float:
        """Of all parties."""
        qemus_s = (self.run.cpu_s.source_qemu or 0.0) + (self.run.cpu_s.destination_qemu or 0.0)
        return qemus_s + self.between.source_s + self.between.destination_s


def scenario_of(asked: argparse.Namespace, folder: Path) -> Scenario:
    """With a method for each way."""
    path, channels = folder / "floor.toml", asked.channels
    plain, backend = 'multifd-compression = "none"', 'backend = "none"'
    natives = {DIRECT: plain, "copy": plain, "splice": plain}
    if asked.zstd is not None:
        natives = {
            DIRECT: f'multifd-compression = "zstd", multifd-zstd-level = {asked.zstd}',
            "bare-zstd": plain,
        }
        backend = f'backend = "zstd"\nlevel = {asked.zstd}'
    methods = [
        NATIVE.format(name=name, channels=channels, baseline=str(name == DIRECT).lower(), compression=compression)
        for name, compression in natives.items()
    ]
    head = SCENARIO.format(memory=asked.memory, working_set=asked.working_set, bandwidth=asked.bandwidth)
    path.write_text("".join([head, *methods, OURS.format(channels=channels, backend=backend)]))
    return load_scenario(path)


class Relays:
    """In a trial's place for what carries: two of them for the methods of their names. ``cost``: of the latest two."""

    def __init__(self, connections: int, level: int) -> None:
        self.cost = Cost()
        self._words = [str(connections), str(level)]
        self._otherwise = vars(trial)["_open_carrier"]

    def __call__(
        self, scenario: Scenario, method: Method, ends: Ends, link: Link, run_dir: Path
    ) -> AbstractContextManager[object]:
        """As the trial's own."""
        if method.name not in HALVES:
            carrier: AbstractContextManager[object] = self._otherwise(scenario, method, ends, link, run_dir)
            return carrier
        return self._between(*HALVES[method.name], ends, link, run_dir)

    @contextmanager
    def _between(self, near_how: str, far_how: str, ends: Ends, link: Link, run_dir: Path) -> Iterator[object]:
        source, target = f"unix:{run_dir / 'out.sock'}", f"unix:{run_dir / 'in.sock'}"
        ends.listen(target)
        with ExitStack() as stack:

            def relay(name: str, how: str, host: Host, heard: str, onward: str) -> tuple[OwnProcess, str]:
                argv = [sys.executable, bare_relay.__file__, how, heard, onward, *self._words]
                process = OwnProcess(name, argv, host=host, log=run_dir / f"{name}.log")
                stack.callback(process.stop)
                process.start()
                return process, process.wait_ready()

            listen = f"tcp:{link.destination.address}:{link.destination.port()}"
            far, place = relay("far", far_how, link.destination, listen, target)
            host, port = link.connect_address(int(place.rpartition(":")[2]))
            near, _ = relay("near", near_how, link.source, source, f"tcp:{host}:{port}")
            yield vars(trial)["_Carrier"](source)
            told = [[float(word) for word in each.wait_end(10).split()] for each in (near, far)]
            self.cost = Cost(*(sum(words[:2]) for words in told), codec_s=sum(words[2] for words in told))


def pair_cost(run: Run) -> Cost:
    """What the halves say of themselves."""
    codec_s = sum(float(run.counters[f"{half}_codec_cpu_s"]) for half in ("sender", "receiver"))
    return Cost(run.cpu_s.sender or 0.0, run.cpu_s.receiver or 0.0, codec_s)


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def row(name: str, seen: Sequence[Seen], direct: Sequence[Seen]) -> str:
    """Of the table."""

    def ratios(of: Callable[[Seen], float]) -> str:
        return spread([of(one) / of(other) for one, other in zip(seen, direct, strict=True)], 2)

    def middle(of: Callable[[Seen], float]) -> float:
        return statistics.median(map(of, seen))

    return (
        f"{name:9}  {spread([one.total_s * 1000 for one in seen], 0):>19}  {ratios(lambda one: one.total_s):>19}  "
        f"{middle(lambda one: one.cpu_s):5.2f}  {ratios(lambda one: one.cpu_s):>19}  "
        f"{middle(lambda one: one.run.cpu_s.source_qemu or 0.0):6.2f}  {middle(lambda one: one.between.source_s):8.2f}  "
        f"{middle(lambda one: one.between.destination_s):8.2f}  "
        f"{middle(lambda one: one.run.cpu_s.destination_qemu or 0.0):6.2f}  {middle(lambda one: one.between.codec_s):6.2f}  "
        f"{middle(lambda one: (one.run.wire_bytes or 0) / (1 << 20)):8.0f}  {middle(lambda one: one.run.passes or 0):6.0f}"
    )


HEAD = (
    f"{'through':9}  {'ms (range)':>19}  {'to direct (range)':>19}  CPU s  {'to direct (range)':>19}  "
    "source  at it  at dest.   dest.   codec  wire MiB  passes"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=2, metavar="N", help="multifd's [%(default)s]")
    parser.add_argument("--memory", default="1GiB", metavar="SIZE", help="of the guest [%(default)s]")
    parser.add_argument("--working-set", default="128MiB", metavar="SIZE", help="that it writes to [%(default)s]")
    parser.add_argument("--bandwidth", default="unlimited", metavar="RATE", help="of the link [%(default)s]")
    parser.add_argument("--zstd", type=int, metavar="LEVEL", help="compress [nobody does]")
    parser.add_argument(
        "--repeats", type=int, default=7, metavar="N", help="after one that does not count [%(default)s]"
    )
    asked = parser.parse_args()
    relays = Relays(asked.channels + 1, asked.zstd or 1)
    seen: dict[str, list[Seen]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="pageferry-") as name, mock.patch.object(trial, "_open_carrier", relays):
        folder = Path(name)
        with trial.Lab(scenario := scenario_of(asked, folder)) as lab:
            for turn, method in itertools.product(range(asked.repeats + 1), scenario.methods):
                run = lab.run(method, folder / f"{turn}-{method.name}", lambda _: None)
                if not run.verified or run.total_time_s is None:
                    raise SystemExit(f"{method.name}: {run.reason}")
                if turn:
                    cost = relays.cost if method.name in HALVES else Cost() if method.name == DIRECT else pair_cost(run)
                    seen[method.name].append(Seen(run, cost))
    print(
        f"{asked.memory}, {asked.channels} channels, {asked.bandwidth}, {len(os.sched_getaffinity(0))} cores for all, "
        f"n={asked.repeats}, medians, load {os.getloadavg()[0]:.1f}"
    )
    print(HEAD)
    for way, runs in seen.items():
        print(row(way, runs, seen[DIRECT]))


if __name__ == "__main__":
    main()
