"""QEMU's own methods: planned, set, read back, and each one migrating a live guest whose memory is then compared."""

import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import MissingError, QemuError
from harness.experiment.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s
from harness.guests import accel
from harness.guests.accel import probe_accel
from harness.guests.native import MethodPlan, MethodUnavailable, SideSettings, apply_plan, plan_method
from harness.guests.pair import GuestSpec, start_pair
from harness.guests.stress import StressConfig, layout
from harness.guests.verify import verify
from harness.qemu.migration import listen, migrate
from harness.qemu.survey import QemuSurvey, survey
from harness.scenario.methods import QemuMethod

QEMU = "qemu-system-x86_64"
needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
MIB = 1 << 20

OLD = QemuSurvey(
    binary="qemu",
    version="7.2.22",
    machine="pc-i440fx-7.2",
    capabilities=frozenset({"compress", "events", "multifd", "return-path"}),
    choices={
        "compress-level": None,
        "downtime-limit": None,
        "max-bandwidth": None,
        "multifd-channels": None,
        "multifd-compression": ("none", "zlib"),
        "multifd-zlib-level": None,
    },
    properties=frozenset({"multifd-zlib-level", "x-compress-level"}),
)


def plan(known: QemuSurvey, *, capabilities=(), return_path=True, **settings) -> MethodPlan:
    method = QemuMethod(name="m", capabilities=capabilities, **settings)
    return plan_method(method, known, downtime_limit_s=0.3, return_path=return_path)


def test_bandwidth_downtime_and_return_path_are_always_set():
    planned = plan(OLD)
    assert planned.source.parameters == {"max-bandwidth": 1 << 40, "downtime-limit": 300}
    assert planned.destination.parameters == {"max-bandwidth": 1 << 40}
    assert planned.source.capabilities == planned.destination.capabilities == {"return-path": True, "events": True}
    assert plan(OLD, return_path=False).source.capabilities["return-path"] is False


def test_what_multifd_needs_alike_goes_to_both_sides():
    planned = plan(OLD, capabilities=("multifd",), source={"multifd-compression": "zlib", "multifd-zlib-level": 6})
    shared = {"multifd-channels": 2, "multifd-compression": "zlib"}
    assert planned.destination.parameters == {"max-bandwidth": 1 << 40} | shared
    assert planned.source.parameters.items() >= shared.items()


def test_a_level_that_qmp_may_ignore_goes_on_the_command_line_too():
    planned = plan(OLD, capabilities=("multifd",), source={"multifd-zlib-level": 6})
    assert planned.source.argv == ("-global", "migration.multifd-zlib-level=6")
    assert plan(OLD, capabilities=("compress",), source={"compress-level": 6}).source.argv == ()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"capabilities": ("xbzrle",)}, "QEMU 7.2.22 has no migration capability 'xbzrle'"),
        ({"source": {"multifd-qatzip-level": 1}}, "QEMU 7.2.22 has no migration parameter 'multifd-qatzip-level'"),
        (
            {"capabilities": ("multifd",), "source": {"multifd-compression": "zstd"}},
            "QEMU 7.2.22 has no 'zstd' for multifd-compression; it has none, zlib",
        ),
    ],
    ids=["capability", "parameter", "word"],
)
def test_what_this_qemu_lacks_is_a_reason_to_skip(settings, reason):
    with pytest.raises(MethodUnavailable) as caught:
        plan(OLD, **settings)
    assert str(caught.value) == reason


class Stubborn:
    """A QMP that answers success and keeps its own value."""

    name = "source"

    def execute(self, command: str, /, **arguments: object) -> object:
        if command == "query-migrate-capabilities":
            return [{"capability": "events", "state": True}]
        return {"multifd-zstd-level": 1} if command == "query-migrate-parameters" else {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SideSettings({}, {"multifd-zstd-level": 9}), "parameter multifd-zstd-level: asked for 9, QEMU kept 1"),
        (SideSettings({"multifd": True}), "capability multifd: asked for True, QEMU kept None"),
        (SideSettings({}, {"multifd-zstd-level": True}), "parameter multifd-zstd-level: asked for True, QEMU kept 1"),
    ],
    ids=["parameter", "capability", "type"],
)
def test_a_setting_that_did_not_take_is_named_with_what_was_asked_and_got(settings, message):
    with pytest.raises(QemuError, match=f"source: migration {message}"):
        apply_plan(MethodPlan(settings, SideSettings()), Stubborn(), Stubborn())


def test_kvm_that_is_absent_is_tcg_with_the_reason_and_an_error_where_kvm_was_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(accel, "KVM", tmp_path / "kvm")
    accel._probe_kvm.cache_clear()
    try:
        assert probe_accel(QEMU).name == "tcg"
        assert "/kvm is absent" in probe_accel(QEMU).reason
        with pytest.raises(MissingError, match=r'guest\.accel "kvm": .*/kvm is absent'):
            probe_accel(QEMU, "kvm")
    finally:
        accel._probe_kvm.cache_clear()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Half zero, half seeded noise, for a guest of 128 MiB."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(1)
    for index, part in enumerate(layout(StressConfig(memory_bytes=128 * MIB, working_set_bytes=8 * MIB)).fill):
        data = np.zeros(part.bytes, np.uint8)
        data[: part.bytes // 2] = rng.integers(0, 256, part.bytes // 2, np.uint8)
        data.tofile(folder / f"{index}.bin")
    return tuple(sorted(folder.iterdir()))


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield Path(folder)


def guest(images) -> GuestSpec:
    """Busy under KVM, idle under TCG: there QEMU 7.2 by itself loses some of a busy guest's last writes.

    64 MiB guest, multifd zlib, without us on the way: 9 of 12 runs under TCG, 0 of 12 under KVM (2-core AMD EPYC, 2026-11-22).
    """
    found = probe_accel(QEMU)
    rate = 20 * MIB if found.name == "kvm" else 0
    config = StressConfig(memory_bytes=128 * MIB, working_set_bytes=8 * MIB, dirty_rate_bytes_per_s=rate)
    return GuestSpec(QEMU, survey(QEMU).machine, found, config, images)


def started(images, run_dir, planned=None):
    return start_pair(guest(images), planned or plan(survey(QEMU)), run_dir=run_dir, log_dir=run_dir)


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


@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize("name", METHODS)
def test_each_native_method_moves_a_live_guest_whole(name, images, run_dir):
    settings = METHODS[name]
    if (lack := survey(QEMU).methods[name]) is not None:
        pytest.skip(lack)
    with started(images, run_dir, plan(survey(QEMU), **settings)) as pair:
        pair.run_guest(20.0)
        seen = []
        outcome = migrate(
            pair.source,
            pair.destination,
            listen(pair.destination, "tcp:127.0.0.1:0"),
            timeout_s=60,
            on_status=seen.append,
        )
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        pair.wait_after_resume(resume_s, 10.0)
        checked = verify(pair.source.qmp, pair.destination.qmp, pair.layout, run_dir, guest_checks=[pair.check_guest()])
    assert checked.ok, checked.lines
    assert (outcome.status, outcome.last.status, seen[-1].status) == ("completed", "completed", "completed")
    assert outcome.last.transferred_bytes > (60 * MIB if name != "xbzrle" else 50 * MIB)
    assert outcome.last.passes >= 2
    downtime_s = stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s)
    assert 0 < downtime_s < outcome.total_time_s < 60
    assert longest_silence_s(pair.reader.beats_at_s(), outcome.began_monotonic_s, resume_s) > 0
    assert outcome.last.total_time_s > 0
    assert pair.source.cpu_s() > 0 < pair.destination.cpu_s()
    for side in ("source", "destination"):
        for parameter, value in settings.get(side, {}).items():
            assert pair.parameters[f"{side}.{parameter}"] == value
        for capability in settings.get("capabilities", ()):
            assert pair.parameters[f"{side}.capability.{capability}"] is True


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
        gdb.settimeout(10)
        gdb.connect(str(path))
        ask(b"Qqemu.PhyMemMode:1")
        ask(b"M%x,%x:%s" % (address, len(data), data.hex().encode()))
        ask(b"D")


@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize("where", ["compare", "working_set"])
def test_a_byte_changed_at_the_destination_is_caught(where, images, run_dir):
    with started(images, run_dir) as pair:
        pair.run_guest(20.0)
        outcome = migrate(pair.source, pair.destination, listen(pair.destination, "tcp:127.0.0.1:0"), timeout_s=60)
        pair.wait_after_resume(wall_to_monotonic_s(outcome.resume_at_s), 10.0)
        pair.reader.send("destination", b"p")
        part = getattr(pair.layout, where)[-1]
        address = part.start + part.bytes - 4096 + 16
        write_memory(pair.destination.qmp, run_dir / "gdb", address, b"\xa5" * 8)
        checked = verify(pair.source.qmp, pair.destination.qmp, pair.layout, run_dir, guest_checks=[pair.check_guest()])
    assert not checked.ok
    if where == "compare":
        assert f"1 pages differ, first at address {address:#x}" in checked.lines[1]
        assert "destination a5a5a5a5a5a5a5a5" in checked.lines[1]
    else:
        assert "wrong" in checked.lines[0]


@needs_qemu
@pytest.mark.qemu
def test_a_killed_destination_fails_the_migration_and_the_guest_runs_on(images, run_dir):
    with started(images, run_dir) as pair:
        pair.run_guest(20.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 20 * MIB})

        def kill(status):
            if status.transferred_bytes > 5 * MIB and pair.destination.ended() is None:
                os.kill(pair.destination.pid, signal.SIGKILL)

        uri = listen(pair.destination, "tcp:127.0.0.1:0")
        with pytest.raises(
            QemuError, match=r"destination: QEMU ended: killed by SIGKILL.*; the source's guest goes on running"
        ):
            migrate(pair.source, pair.destination, uri, timeout_s=60, on_status=kill)
        pair.reader.wait_beats("source", 20, 5.0, since_s=time.monotonic())


@needs_qemu
@pytest.mark.qemu
def test_a_timeout_cancels_and_the_guest_runs_on(images, run_dir):
    with started(images, run_dir) as pair:
        pair.run_guest(20.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10 * MIB})
        outcome = migrate(pair.source, pair.destination, listen(pair.destination, f"unix:{run_dir}/in"), timeout_s=0.5)
        assert (outcome.status, outcome.source_runs, outcome.total_time_s) == ("timeout", True, None)
        assert outcome.reason.startswith("no end within 0.5 s: pass 1, ")
        pair.reader.wait_beats("source", 20, 5.0, since_s=time.monotonic())


@needs_qemu
@pytest.mark.qemu
def test_an_exception_from_the_callback_cancels_and_passes_on(images, run_dir):
    def fail(status):
        raise KeyboardInterrupt

    with started(images, run_dir) as pair:
        pair.run_guest(20.0)
        pair.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10 * MIB})
        with pytest.raises(KeyboardInterrupt):
            migrate(
                pair.source, pair.destination, listen(pair.destination, "tcp:127.0.0.1:0"), timeout_s=60, on_status=fail
            )
        assert pair.source.qmp.execute("query-migrate")["status"] in {"cancelled", "failed"}
        pair.reader.wait_beats("source", 20, 5.0, since_s=time.monotonic())


@needs_qemu
@pytest.mark.qemu
def test_a_port_in_use_is_reported_with_the_address(images, run_dir):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, started(images, run_dir) as pair:
        uri = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(QemuError, match=f"Address already in use.*listening on {uri}; choose another address"):
            listen(pair.destination, uri)


@needs_qemu
@pytest.mark.qemu
def test_a_level_over_qmp_alone_is_refused_where_qemu_ignores_it(images, run_dir):
    if int(survey(QEMU).version.split(".")[0]) >= 9:
        pytest.skip("this QEMU applies multifd's levels over QMP")
    planned = plan(survey(QEMU), capabilities=("multifd",), source={"multifd-zstd-level": 9})
    mute = replace(planned, source=replace(planned.source, argv=()))
    with (
        pytest.raises(QemuError, match="source: migration parameter multifd-zstd-level: asked for 9, QEMU kept 1"),
        started(images, run_dir, mute),
    ):
        pytest.fail("the pair was handed out although a setting did not take")
