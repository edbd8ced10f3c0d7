"""How fast a migration can be through anything that stands between: ``python tests/benchmarks/floor.py [--repeats 7]``, in turn.

A live guest is migrated by QEMU's multifd without compression and without a link limit: directly, through two bare relays
(``bare_relay.py``) that copy, through two that splice, and through the pair. All cross the same TCP link, but for the unix sockets
between QEMU and what stands beside it. Each total time is also told as its ratio to that of the direct one of the same turn: what
the relays take longer, no program in the pair's place can save. Needs about 3 GiB of memory, and 10 s for each migration.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
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

DIRECT, COPY, SPLICE, PAIR = "direct", "copy", "splice", "pair"
SCENARIO = """
description = "what stands between"
downtime_limit = "300ms"
[guest]
kind = "stress"
memory = "{memory}"
working_set = "128MiB"
dirty_rate = "20MiB/s"
[link]
bandwidth = "unlimited"
"""
NATIVE = """
[[method]]
name = "{name}"
engine = "qemu"
baseline = {baseline}
capabilities = ["multifd"]
source = {{multifd-channels = {channels}, multifd-compression = "none"}}
"""
OURS = """
[[method]]
name = "pair"
engine = "pageferry"
backend = "none"
channels = {channels}
"""


def scenario_of(memory: str, channels: int, folder: Path) -> Scenario:
    """With a method for each way."""
    path = folder / "floor.toml"
    natives = [
        NATIVE.format(name=name, channels=channels, baseline=str(name == DIRECT).lower())
        for name in (DIRECT, COPY, SPLICE)
    ]
    path.write_text(SCENARIO.format(memory=memory) + "".join(natives) + OURS.format(channels=channels))
    return load_scenario(path)


class Relays:
    """In a trial's place for what carries: two of them for the methods of their names. ``cpu_s``: of both, each time."""

    def __init__(self, connections: int) -> None:
        self.cpu_s: list[float] = []
        self._connections = connections
        self._otherwise = vars(trial)["_open_carrier"]

    def __call__(
        self, scenario: Scenario, method: Method, ends: Ends, link: Link, run_dir: Path
    ) -> AbstractContextManager[object]:
        """As the trial's own."""
        if method.name not in (COPY, SPLICE):
            carrier: AbstractContextManager[object] = self._otherwise(scenario, method, ends, link, run_dir)
            return carrier
        return self._between(method.name, ends, link, run_dir)

    @contextmanager
    def _between(self, how: str, ends: Ends, link: Link, run_dir: Path) -> Iterator[object]:
        source, target = f"unix:{run_dir / 'out.sock'}", f"unix:{run_dir / 'in.sock'}"
        ends.listen(target)
        with ExitStack() as stack:

            def relay(name: str, host: Host, heard: str, onward: str) -> tuple[OwnProcess, str]:
                argv = [sys.executable, bare_relay.__file__, how, heard, onward, str(self._connections)]
                process = OwnProcess(name, argv, host=host, log=run_dir / f"{name}.log")
                stack.callback(process.stop)
                process.start()
                return process, process.wait_ready()

            listen = f"tcp:{link.destination.address}:{link.destination.port()}"
            far, place = relay("far", link.destination, listen, target)
            host, port = link.connect_address(int(place.rpartition(":")[2]))
            near, _ = relay("near", link.source, source, f"tcp:{host}:{port}")
            yield vars(trial)["_Carrier"](source)
            self.cpu_s.append(sum(float(word) for each in (near, far) for word in each.wait_end(10).split()))


def row(name: str, runs: Sequence[Run], direct: Sequence[Run], between_s: Sequence[float]) -> str:
    """Of the table."""
    totals_s = [run.total_time_s or float("nan") for run in runs]
    ratios = [total_s / (other.total_time_s or float("nan")) for total_s, other in zip(totals_s, direct, strict=True)]
    qemus_s = [(run.cpu_s.source_qemu or 0) + (run.cpu_s.destination_qemu or 0) for run in runs]
    gib = statistics.median(run.wire_bytes or 0 for run in runs) / (1 << 30)
    return (
        f"{name:7}  {statistics.median(totals_s) * 1000:5.0f}  "
        f"{f'{min(totals_s) * 1000:.0f} to {max(totals_s) * 1000:.0f}':>14}  {statistics.median(ratios):5.2f}  "
        f"{f'{min(ratios):.2f} to {max(ratios):.2f}':>14}  {statistics.median(qemus_s):10.2f}  "
        f"{statistics.median(between_s):13.2f}  {gib:8.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=2, metavar="N", help="multifd's [%(default)s]")
    parser.add_argument("--memory", default="1GiB", metavar="SIZE", help="of the guest [%(default)s]")
    parser.add_argument(
        "--repeats", type=int, default=7, metavar="N", help="after one that does not count [%(default)s]"
    )
    asked = parser.parse_args()
    relays = Relays(asked.channels + 1)
    seen: dict[str, list[Run]] = defaultdict(list)
    between_s: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="pageferry-") as name, mock.patch.object(trial, "_open_carrier", relays):
        folder = Path(name)
        with trial.Lab(scenario := scenario_of(asked.memory, asked.channels, folder)) as lab:
            for turn, method in itertools.product(range(asked.repeats + 1), scenario.methods):
                run = lab.run(method, folder / f"{turn}-{method.name}", lambda _: None)
                if not run.verified or run.total_time_s is None:
                    raise SystemExit(f"{method.name}: {run.reason}")
                if turn:
                    seen[method.name].append(run)
                    spent_s = relays.cpu_s[-1] if method.name in (COPY, SPLICE) else 0.0
                    between_s[method.name].append(spent_s + (run.cpu_s.sender or 0) + (run.cpu_s.receiver or 0))
    print(f"{asked.memory}, {asked.channels} channels, {len(os.sched_getaffinity(0))} cores for all, n={asked.repeats}")
    print("through     ms           range  ratio           range  QEMUs' CPU s  between CPU s  wire GiB")
    for way, runs in seen.items():
        print(row(way, runs, seen[DIRECT], between_s[way]))


if __name__ == "__main__":
    main()
