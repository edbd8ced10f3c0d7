"""What the live rig does to a process, a disk and a clock is what it says, and touches nobody else's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import MissingError
from harness.faults.live.shortages import no_more_files, no_more_memory
from harness.faults.live.smalldisk import SmallDisk
from harness.faults.live.wallclock import WallClock, build
from harness.hosts.local import HERE

_LOOP = "import sys, time\nkept = open('/dev/zero', 'rb')\nprint(flush=True)\nfor line in sys.stdin: print(eval(line), flush=True)"


class Asked:
    """A Python that answers each line with its value."""

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        command = [*prefix, sys.executable, "-Ic", _LOOP]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.process.stdout.readline()

    def ask(self, line: str) -> str:
        """ "" where it died of it."""
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> str:
        """What it said of its end."""
        return self.process.communicate()[1]


@pytest.fixture
def asked() -> Iterator[Asked]:
    made = Asked()
    yield made
    made.close()


def test_who_gets_no_more_memory_keeps_what_it_has(asked):
    assert asked.ask("len(bytearray(64 << 20))") == str(64 << 20)
    no_more_memory(asked.process.pid)
    assert asked.ask("1 + 1") == "2"
    assert asked.ask("len(bytearray(64 << 20))") == ""
    assert "MemoryError" in asked.close()


def test_who_may_open_no_more_files_reads_those_that_are_open(asked):
    no_more_files(asked.process.pid)
    assert asked.ask("kept.read(1)") == repr(b"\0")
    assert asked.ask("open('/dev/null')") == ""
    assert os.strerror(errno.EMFILE) in asked.close()


@pytest.fixture
def clock(tmp_path) -> WallClock:
    try:
        return WallClock(build(tmp_path), tmp_path / "clock")
    except MissingError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_wall_clock_steps_for_one_process_and_what_counts_seconds_goes_on(clock, step_s):
    process = Asked(clock.clocked(HERE).prefix)
    before_s, counted_s = time.time(), time.monotonic()
    told = [float(value) for value in process.ask("time.time(), time.monotonic()")[1:-1].split(",")]
    clock.step(step_s)
    stepped = [float(value) for value in process.ask("time.time(), time.monotonic()")[1:-1].split(",")]
    took_s = time.monotonic() - counted_s
    process.close()
    assert before_s <= told[0] <= before_s + took_s
    assert counted_s <= told[1] <= stepped[1] <= counted_s + took_s
    assert stepped[0] - told[0] == pytest.approx(step_s, abs=took_s)
    assert clock.readings >= 2


def test_a_clock_that_nobody_reads_is_not_called_stepped(clock):
    with pytest.raises(MissingError, match="no process reads this clock"):
        clock.step(1.0)


def test_a_small_disk_is_filled_to_its_last_file_and_then_gone():
    try:
        made = SmallDisk()
        with made as disk:
            disk.path.joinpath("kept").write_bytes(b"abc")
            disk.fill()
            for words in (b"", b"a"):
                with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                    disk.path.joinpath(f"more{len(words)}").write_bytes(words)
            assert disk.path.joinpath("kept").read_bytes() == b"abc"
    except MissingError as exc:
        pytest.skip(str(exc))
    assert not made.path.parent.exists()
    assert str(made.path) not in Path("/proc/self/mounts").read_text()
