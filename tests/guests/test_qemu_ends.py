"""QEMU's own methods, each migrating a live guest whose memory is then compared, and how a migration ends otherwise."""

import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from live_guests import CONFIG, stress_guest, unopened_guest

from harness.errors import QemuError
from harness.guests.accel import Accel, probe_accel
from harness.guests.contract import Place
from harness.guests.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s
from harness.guests.native import MethodPlan, SideSettings, plan_method
from harness.guests.stress import StressConfig
from harness.guests.stress.kind import Stress
from harness.hosts.local import HERE
from harness.qemu.migration import listen, migrate
from harness.qemu.survey import survey
from harness.scenario.methods import QemuMethod

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")]


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def guest() -> Stress:
    """Busy under KVM, idle under TCG: there QEMU 7.2 by itself loses some of a busy guest's last writes.

    64 MiB guest, multifd zlib, without us on the way: 9 of 12 runs under TCG, 0 of 12 under KVM (2-core AMD EPYC, 2026-11-22).
    """
    rate = 20 * MIB if probe_accel(QEMU, Stress).name == "kvm" else 0
    config = StressConfig(memory_bytes=128 * MIB, working_set_bytes=8 * MIB, dirty_rate_bytes_per_s=rate)
    return stress_guest(config, {"zero": 0.5, "random": 0.5})


def plan(**settings) -> MethodPlan:
    method = QemuMethod(name="m", **settings)
    return plan_method(method, survey(QEMU), downtime_limit_s=0.3, return_path=True)


def started(guest, run_dir, planned=None):
    return guest.start(planned or plan(), Place(run_dir, HERE, HERE))


METHODS = {
    "plain": {},
    "compress": {
        "capabilities": ("compress",),
        "source": {"compress-level": 1, "compress-threads": 4},
        "destination": {"decompress-threads": 2},
    },
    "xbzrle": {"capabilities": ("xbzrle",), "source": {"xbzrle-cache-size": 16 * MIB}},
    "multifd": {"capabilities": ("multifd",), "source": {"multifd-channels": 3}},
    "multifd-zlib": {
        "capabilities": ("multifd",),
        "source": {"multifd-compression": "zlib", "multifd-zlib-level": 2},
    },
    "multifd-zstd": {
        "capabilities": ("multifd",),
        "source": {"multifd-compression": "zstd", "multifd-zstd-level": 3},
    },
}


@pytest.mark.parametrize("name", METHODS)
def test_each_native_method_moves_a_live_guest_whole(name, guest, run_dir):
    settings = METHODS[name]
    if (lack := survey(QEMU).methods[name]) is not None:
        pytest.skip(lack)
    with started(guest, run_dir, plan(**settings)) as pair:
        pair.run_guest(60.0)
        seen = []
        outcome = migrate(
            pair.source,
            pair.destination,
            listen(pair.destination, "tcp:127.0.0.1:0"),
            timeout_s=60,
            on_status=seen.append,
        )
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        pair.wait_after_resume(resume_s)
        found = pair.kind.compare(pair.sides)
    assert all(check.ok for check in found), found
    assert (outcome.status, outcome.last.status, seen[-1].status) == ("completed", "completed", "completed")
    assert outcome.last.transferred_bytes > (60 * MIB if name != "xbzrle" else 50 * MIB)
    assert outcome.last.passes >= 2
    downtime_s = stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s)
    assert 0 < downtime_s < outcome.total_time_s
    beats_at_s = [beat.at_s for side in ("source", "destination") for beat in pair.consoles.beats(side)]
    assert longest_silence_s(beats_at_s, outcome.began_monotonic_s, resume_s, 10) > 0
    assert outcome.last.total_time_s > 0
    assert pair.source.cpu_s() > 0 < pair.destination.cpu_s()
    for side in ("source", "destination"):
        for parameter, value in settings.get(side, {}).items():
            assert pair.parameters[f"{side}.{parameter}"] == value
        for capability in settings.get("capabilities", ()):
            assert pair.parameters[f"{side}.capability.{capability}"] is True


def test_a_guest_paused_in_a_pass_goes_on_at_the_destination(guest, run_dir):
    with started(guest, run_dir) as pair:
        pair.run_guest(60.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 40 * MIB})
        heard = listen(pair.destination, "tcp:127.0.0.1:0")
        outcome = migrate(pair.source, pair.destination, heard, timeout_s=60, pause_at_pass=1)
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        pair.wait_after_resume(resume_s)
        found = pair.kind.compare(pair.sides)
    assert all(check.ok for check in found), found
    assert (outcome.status, outcome.paused) == ("completed", True)
    stopped_s = stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s)
    assert outcome.last.downtime_s < stopped_s <= outcome.total_time_s


def write_memory(qmp, path: Path, address: int, data: bytes) -> None:
    """Through QEMU's gdb server, in guest-physical addresses; the guest runs on afterwards."""

    def ask(packet: bytes) -> None:
        gdb.sendall(b"$%s#%02x" % (packet, sum(packet) % 256))
        answer = b""
        while b"OK#" not in answer:
            answer += gdb.recv(1000)
            assert b"$E" not in answer
        gdb.sendall(b"+")

    qmp.execute("human-monitor-command", **{"command-line": f"gdbserver unix:{path},server=on,wait=off"})
    with closing(socket.socket(socket.AF_UNIX)) as gdb:
        gdb.settimeout(120)
        gdb.connect(str(path))
        ask(b"Qqemu.PhyMemMode:1")
        ask(b"M%x,%x:%s" % (address, len(data), data.hex().encode()))
        ask(b"D")


@pytest.mark.parametrize("where", ["compare", "working_set"])
def test_a_byte_changed_at_the_destination_is_caught(where, guest, run_dir):
    with started(guest, run_dir) as pair:
        pair.run_guest(60.0)
        outcome = migrate(pair.source, pair.destination, listen(pair.destination, "tcp:127.0.0.1:0"), timeout_s=60)
        pair.wait_after_resume(wall_to_monotonic_s(outcome.resume_at_s))
        pair.consoles.send("destination", b"p")
        part = getattr(pair.kind.layout, where)[-1]
        address = part.start + part.bytes - 4096 + 16
        write_memory(pair.destination.qmp, run_dir / "gdb", address, b"\xa5" * 8)
        found = pair.kind.compare(pair.sides)
    assert not all(check.ok for check in found)
    if where == "compare":
        assert f"1 pages differ, first at address {address:#x}" in found[1].line
        assert "destination a5a5a5a5a5a5a5a5" in found[1].line
    else:
        assert "wrong" in found[0].line


def test_a_killed_destination_fails_the_migration_and_the_guest_runs_on(guest, run_dir):
    with started(guest, run_dir) as pair:
        pair.run_guest(60.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 20 * MIB})

        def kill(status):
            if status.transferred_bytes > 5 * MIB and pair.destination.ended() is None:
                os.kill(pair.destination.pid, signal.SIGKILL)

        uri = listen(pair.destination, "tcp:127.0.0.1:0")
        with pytest.raises(
            QemuError, match=r"destination: QEMU ended: killed by SIGKILL.*; the source's guest goes on running"
        ):
            migrate(pair.source, pair.destination, uri, timeout_s=60, on_status=kill)
        pair.consoles.wait_beats("source", 20, 60.0, since_s=time.monotonic())


def test_a_timeout_cancels_and_the_guest_runs_on(guest, run_dir):
    with started(guest, run_dir) as pair:
        pair.run_guest(60.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10 * MIB})
        outcome = migrate(pair.source, pair.destination, listen(pair.destination, f"unix:{run_dir}/in"), timeout_s=0.5)
        assert (outcome.status, outcome.source_runs, outcome.total_time_s) == ("timeout", True, None)
        assert outcome.reason.startswith("no end within 0.5 s: pass 1, ")
        pair.consoles.wait_beats("source", 20, 60.0, since_s=time.monotonic())


def test_an_exception_from_the_callback_cancels_and_passes_on(guest, run_dir):
    def fail(status):
        raise KeyboardInterrupt

    with started(guest, run_dir) as pair:
        pair.run_guest(60.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10 * MIB})
        with pytest.raises(KeyboardInterrupt):
            migrate(
                pair.source, pair.destination, listen(pair.destination, "tcp:127.0.0.1:0"), timeout_s=60, on_status=fail
            )
        assert pair.source.qmp.execute("query-migrate")["status"] in {"cancelled", "failed"}
        pair.consoles.wait_beats("source", 20, 60.0, since_s=time.monotonic())


def test_a_port_in_use_is_reported_with_the_address(guest, run_dir):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, started(guest, run_dir) as pair:
        uri = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(QemuError, match=f"Address already in use.*listening on {uri}; choose another address"):
            listen(pair.destination, uri)


def test_a_level_over_qmp_alone_is_refused_where_qemu_ignores_it(guest, run_dir):
    if int(survey(QEMU).version.split(".")[0]) >= 9:
        pytest.skip("this QEMU applies multifd's levels over QMP")
    planned = plan(capabilities=("multifd",), source={"multifd-zstd-level": 9})
    mute = replace(planned, source=replace(planned.source, argv=()))
    with (
        pytest.raises(QemuError, match="source: migration parameter multifd-zstd-level: asked for 9, QEMU kept 1"),
        started(guest, run_dir, mute),
    ):
        pytest.fail("the pair was handed out although a setting did not take")


@pytest.mark.parametrize("capabilities", [(), ("postcopy-ram",)])
@pytest.mark.parametrize("accel", ["kvm", "tcg"])
def test_emulation_and_memory_that_is_emptied_first_are_doubted(capabilities, accel):
    guest = unopened_guest(CONFIG, {"zero": 1.0})
    guest.accel = Accel(accel, "any", "because")
    side = SideSettings(dict.fromkeys(capabilities, True))
    kinds = [doubt.kind for doubt in guest.doubts_about(MethodPlan(side, side))]
    assert kinds == ["emulated"] * (accel == "tcg") + ["not_preallocated"] * bool(capabilities)
