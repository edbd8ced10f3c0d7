"""The stress guest in real QEMUs: beats, dirties at its rate, checks itself, finds planted errors, lives through a migration."""

import mmap
import shutil
import struct
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness.errors import MissingError
from harness.guests import freestanding, stress
from harness.guests.accel import probe_accel
from harness.guests.console import Consoles
from harness.guests.stress import Command, Console, GuestFailure, Status, StressConfig, VerifyReport, build
from harness.guests.stress.kind import Stress
from harness.qemu.migration import listen, migrate
from harness.qemu.process import QemuProcess
from harness.streams.memory.memory import fill_image

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
MEMORY = 64 * MIB
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]


@pytest.fixture(params=["kvm", "tcg"])
def accel(request):
    try:
        return probe_accel(QEMU, Stress, request.param)
    except MissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield Path(folder)


class Guest:
    """A QEMU whose RAM is a file that the test maps, so that it can look and plant."""

    def __init__(self, stack, name, accel, *, run_dir, config, arguments):
        self.ram_file = run_dir / f"{name}.ram"
        ram = f"memory-backend-file,id=ram,size={config.memory_bytes},mem-path={self.ram_file},share=on"
        machine = f"{config.machine},accel={accel.name},memory-backend=ram"
        argv = [QEMU, "-machine", machine, "-object", ram, "-m", f"{config.memory_bytes >> 20}M", *accel.argv]
        argv += [*stress.devices(), *arguments]
        self.name, self.config = name, config
        self.qemu = stack.enter_context(QemuProcess(name, argv, run_dir=run_dir, chardevs=("console",)))
        self.reader = Consoles({name: Console().feed})
        stack.callback(self.reader.close)
        self.reader.connect({name: self.qemu.chardev_path("console")})
        file = stack.enter_context(self.ram_file.open("r+b"))
        self.ram = stack.enter_context(mmap.mmap(file.fileno(), 0))
        self.layout = stress.layout(config)

    def ask(self, command, kind):
        since = time.monotonic()
        self.reader.send(self.name, command.value)
        return self.reader.wait_said(self.name, lambda event: isinstance(event, kind), 60, since_s=since)

    def ready(self):
        ended = (Status, GuestFailure)
        return self.reader.wait_said(self.name, lambda event: isinstance(event, ended), 60, since_s=0)

    def page(self, number):
        return self.layout.ram_offset(self.layout.working_set[0].start) + 4096 * number


def boot(stack, accel, run_dir, *, kernel=None, change=("", ""), **settings):
    config = StressConfig(**{"memory_bytes": MEMORY, "working_set_bytes": 8 * MIB} | settings)
    images = []
    for number, part in enumerate(stress.layout(config).fill):
        images.append(run_dir / f"fill{number}")
        fill_image(images[-1], {"text": 0.5, "zero": 0.5}, part.bytes, 1)
    arguments = stress.boot(config, images)
    append = arguments.index("-append") + 1
    arguments[append] = arguments[append].replace(*change)
    if kernel:
        arguments[arguments.index("-kernel") + 1] = str(kernel)
    guest = Guest(stack, "source", accel, run_dir=run_dir, config=config, arguments=[*arguments, "-S"])
    guest.qemu.qmp.execute("cont")  # not before its console is read: what it says first would be lost
    return guest


@contextmanager
def paused(guest):
    guest.qemu.qmp.execute("stop")
    yield guest.ram
    guest.qemu.qmp.execute("cont")


def test_it_beats_at_100_hz_and_dirties_at_its_rate(accel, run_dir):
    with ExitStack() as stack:
        guest = boot(stack, accel, run_dir, dirty_rate_bytes_per_s=10 * MIB)
        assert guest.ready() == Status("ready", 2048, 2048, paused=False, dropped_ticks=0)
        began, first = time.monotonic(), guest.ask(Command.STATUS, Status)
        guest.reader.wait_beats("source", 150, 60, since_s=began)
        last = guest.ask(Command.STATUS, Status)
        beats, took_s = sum(beat.at_s >= began for beat in guest.reader.beats("source")), time.monotonic() - began
        assert 2 < beats / took_s < 120  # a busy test machine takes beats away, and never adds any
        if last.dropped_ticks == first.dropped_ticks:  # it may stall the guest, which says so
            assert (last.writes - first.writes) / beats == pytest.approx(10 * MIB / 4096 / 100, rel=0.2)


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_it_boots_on_both_machines_and_its_pages_are_as_written(accel, run_dir, machine):
    with ExitStack() as stack:
        guest = boot(stack, accel, run_dir, machine=machine, pattern="random", changed_bytes_per_page=4080)
        assert guest.ready().kind == "ready"
        report = guest.ask(Command.VERIFY, VerifyReport)
        assert report.ok, report.line
        assert report.checked == 2048


def test_paused_it_writes_nothing_and_resumed_it_goes_on(accel, run_dir):
    with ExitStack() as stack:
        guest = boot(stack, accel, run_dir)
        guest.ready()
        stopped = guest.ask(Command.PAUSE, Status)
        guest.reader.wait_beats("source", 20, 60, since_s=time.monotonic())
        assert guest.ask(Command.STATUS, Status) == stopped
        assert not guest.ask(Command.RESUME, Status).paused
        guest.reader.wait_beats("source", 20, 60, since_s=time.monotonic())
        assert guest.ask(Command.STATUS, Status).writes > stopped.writes


def corrupt(ram, guest):
    ram[guest.page(5) + 16 + 9] ^= 1


def swap(ram, guest):
    ram[guest.page(5) : guest.page(6)] = ram[guest.page(9) : guest.page(10)]


def lose_write(ram, guest):
    """As if the table had arrived and the page's last copy had not."""
    table = guest.layout.ram_offset(guest.layout.private[-1].start) + 4 * 5
    ram[table : table + 4] = struct.pack("<I", struct.unpack("<I", ram[table : table + 4])[0] + 1)


@pytest.mark.parametrize(("plant", "problem"), [(corrupt, "corrupt"), (swap, "misplaced"), (lose_write, "stale")])
def test_a_planted_error_is_found(accel, run_dir, plant, problem):
    with ExitStack() as stack:
        guest = boot(stack, accel, run_dir)
        guest.ready()
        guest.ask(Command.PAUSE, Status)
        with paused(guest) as ram:
            plant(ram, guest)
        report = guest.ask(Command.VERIFY, VerifyReport)
        assert (report.problem, report.bad, report.first_bad, report.ok) == (problem, 1, 5, False)


def test_only_the_head_of_a_page_changes_and_the_rest_keeps_its_fill(accel, run_dir):
    with ExitStack() as stack:
        guest = boot(stack, accel, run_dir, changed_bytes_per_page=32)
        guest.ready()
        fill = (run_dir / "fill0").read_bytes()
        base = guest.layout.fill[0].start
        with paused(guest) as ram:
            for number in range(2048):
                at = guest.page(number)
                assert ram[at + 48 : at + 4096] == fill[at - base + 48 : at - base + 4096]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("first=", "last="), "refused command line lacks table, first"),
        (("changed=64", "changed=4096"), "refused command line holds a value out of range"),
        (("pages=2048", "pages=16384"), "refused working set or table is not in RAM"),
    ],
    ids=["missing", "range", "ram"],
)
def test_a_command_line_that_does_not_fit_is_refused_aloud(run_dir, change, words):
    with ExitStack() as stack:
        guest = boot(stack, probe_accel(QEMU, Stress, "tcg"), run_dir, change=change)
        assert guest.ready().message.startswith(words)


def test_it_goes_on_after_a_migration_to_a_qemu_without_kernel_and_fill(accel, run_dir):
    with ExitStack() as stack:
        source = boot(stack, accel, run_dir)
        target = Guest(
            stack, "destination", accel, run_dir=run_dir, config=source.config, arguments=["-incoming", "defer"]
        )
        source.ready()
        uri = listen(target.qemu, f"unix:{run_dir}/migration")
        outcome = migrate(source.qemu, target.qemu, uri, timeout_s=60)
        assert outcome.status == "completed"
        target.reader.wait_beats("destination", 20, 60)
        report = target.ask(Command.VERIFY, VerifyReport)
        assert report.ok, report.line
        target.qemu.qmp.execute("stop")
        for part in target.layout.compare:
            here = slice(target.layout.ram_offset(part.start), target.layout.ram_offset(part.end - 1) + 1)
            assert source.ram[here] == target.ram[here], hex(part.start)
        for number in range(2048):
            tail = slice(target.page(number) + target.layout.page_changed_bytes, target.page(number + 1))
            assert source.ram[tail] == target.ram[tail]


def test_an_elf_of_this_machines_compiler_boots(run_dir):
    if freestanding.compiler_major() is None:
        pytest.skip("gcc is missing")
    build.build(run_dir / "stress.elf")
    with ExitStack() as stack:
        guest = boot(stack, probe_accel(QEMU, Stress, "auto"), run_dir, kernel=run_dir / "stress.elf")
        guest.ready()
        assert guest.ask(Command.VERIFY, VerifyReport).ok
