"""Fuzzes targets one after the other, led by coverage: ``python tests/fuzz/run.py [TARGET ...] --seconds 600``.

Each begins with what is kept for it. An input that breaks one is kept in ``tests/fuzz/crashers``, where CI tries it from then on,
and the exit status is 1. ``--keep`` adds what reached new code to the kept corpus. The figures of all runs into one folder are in
its ``report.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fuzz.limits import MOST_CPU_S
from fuzz.targets import CRASHERS, TARGETS, corpus_file, kept

MOST_PROCESS_MIB = 256
"""Of a target's whole process, Python and libraries included."""

_CHILD = str(Path(__file__).with_name("child.py"))
_KEPT_BYTES = 32 << 10
"""Of a target's corpus, packed: the smallest of its inputs."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_STATISTIC = re.compile(rb"stat::(\w+):\s+(\d+)")


@dataclass(slots=True)
class Figures:
    """Of all runs of a target."""

    inputs: int = 0
    seconds: float = 0.0
    peak_mib: int = 0
    broken: int = 0

    def add(self, told: dict[str, int], seconds: float, *, broken: bool) -> None:
        """One more run, with what libFuzzer told of it."""
        self.inputs += told.get("number_of_executed_units", 0)
        self.peak_mib = max(self.peak_mib, told.get("peak_rss_mb", 0))
        self.seconds += seconds
        self.broken += broken


@contextlib.contextmanager
def scratch() -> Iterator[dict[str, str]]:
    """The environment of a child whose files go with us: libFuzzer ends it before Python removes anything."""
    with tempfile.TemporaryDirectory(prefix="pageferry-fuzz-") as folder:
        yield {**os.environ, "TMPDIR": folder}


def fuzzed(name: str, corpus: Path, seconds: float) -> tuple[dict[str, int], str | None]:
    """libFuzzer's figures, and its last words where an input broke the target. Such an input is in ``CRASHERS`` then."""
    CRASHERS.mkdir(exist_ok=True)
    command = [
        sys.executable, _CHILD, name, str(corpus), f"-max_total_time={seconds:g}", f"-timeout={MOST_CPU_S:g}",
        f"-rss_limit_mb={MOST_PROCESS_MIB}", "-print_final_stats=1", f"-artifact_prefix={CRASHERS}/{name}-",
    ]  # fmt: skip
    with scratch() as own:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=own, check=False)
    told = {key.decode(): int(value) for key, value in _STATISTIC.findall(done.stdout)}
    return told, None if done.returncode == 0 else done.stdout[-3000:].decode(errors="replace")


def begin(name: str, corpus: Path) -> None:
    """What is kept, as files."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(kept(TARGETS[name])):
        (corpus / f"kept-{number:04}").write_bytes(data)


def keep(name: str, corpus: Path) -> int:
    """Of all that a target has now only what reaches code that the rest does not; how many."""
    with tempfile.TemporaryDirectory(prefix="pageferry-fuzz-") as least, scratch() as own:
        subprocess.run(
            [sys.executable, _CHILD, name, "-merge=1", least, str(corpus)],
            stderr=subprocess.DEVNULL,
            env=own,
            check=True,
        )
        if not any(Path(least).iterdir()):
            raise SystemExit(
                f"{name}: libFuzzer merged nothing of {corpus}; see python {_CHILD} {name} -merge=1 DIR {corpus}"
            )
        right = set(TARGETS[name].seeds())
        inputs = sorted({path.read_bytes() for path in Path(least).iterdir()} - right)
    file = corpus_file(name)
    file.parent.mkdir(exist_ok=True)
    left_bytes, number = _KEPT_BYTES, 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for data in sorted(inputs, key=lambda data: len(zlib.compress(data))):
            left_bytes -= len(zlib.compress(data))
            if left_bytes < 0:
                break
            packed.writestr(zipfile.ZipInfo(f"{number:04}", _LONG_AGO), data, zipfile.ZIP_DEFLATED)
            number += 1
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} [all]")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="for each target [60]")
    parser.add_argument(
        "--out", type=Path, default=Path("out/fuzz"), metavar="DIR", help="corpora and figures [out/fuzz]"
    )
    parser.add_argument("--keep", action="store_true", help="keep what reached new code")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"{', '.join(unknown)}: no such target; known: {', '.join(TARGETS)}")
    report = options.out / "report.json"
    figures = (
        {name: Figures(**told) for name, told in json.loads(report.read_bytes()).items()} if report.exists() else {}
    )
    failed = False
    for name in options.targets or TARGETS:
        corpus = options.out / name
        begin(name, corpus)
        told, broken = fuzzed(name, corpus, options.seconds)
        failed = failed or broken is not None
        mine = figures.setdefault(name, Figures())
        mine.add(told, options.seconds, broken=broken is not None)
        report.write_text(json.dumps({each: asdict(of) for each, of in figures.items()}, indent=1) + "\n")
        print(
            f"{name}: {told.get('number_of_executed_units', 0)} inputs, {mine.inputs} in all, at most {mine.peak_mib} MiB",
            flush=True,
        )
        if broken is not None:
            print(broken, file=sys.stderr, flush=True)
        elif options.keep:
            print(f"{name}: {keep(name, corpus)} inputs kept", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
