"""Recordings of real guests: a scenario's, whose passes are told, and somebody's, who loses nothing when recording fails."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from live_guests import QEMU, checked, two_guests, wait_status

from harness import cli
from harness.errors import PeerError, ResultError
from harness.experiment.recorder import record_guest, record_stream
from harness.scenario.model import load_scenario
from harness.streams.recording.reader import open_recording
from harness.streams.replay import feed
from harness.streams.streamfile import open_stream

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]

SMALL = ["guest.memory=32MiB", "guest.working_set=8MiB", "downtime_limit=10ms"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_scenarios_guest_is_recorded_pass_by_pass(tmp_path, capsys):
    out = tmp_path / "guest.pfs"
    settings = [*SMALL, "guest.dirty_rate=4MiB/s", "link.bandwidth=160Mbit/s"]
    assert cli.main(["record", "throttled", *(f"--set={each}" for each in settings), "--out", str(out)]) == 0
    recording = open_recording(out)
    about, facts = recording.about, recording.index.facts
    assert (about.scenario, about.guest["kind"], about.guest["memory_bytes"]) == ("throttled", "stress", 32 << 20)
    assert about.bandwidth_bytes_per_s == 20_000_000
    assert about.environment["qemu"]
    assert facts.machine == about.environment["machine_of_guest"]
    assert facts.opaque_reason is None
    assert len(facts.passes) > 1
    assert facts.passes[0].raw_pages + facts.passes[0].zero_pages >= (32 << 20) // 4096
    assert not any(each.stopped for each in facts.passes[:-1])
    assert f"{len(facts.passes)} passes" in capsys.readouterr().out
    assert open_stream(out).digest == facts.digest


def test_a_guest_that_writes_faster_than_the_link_carries_is_one_line_and_no_file(tmp_path):
    settings = [*SMALL, "guest.dirty_rate=20MiB/s", "link.bandwidth=40Mbit/s", "timeout=2s"]
    with pytest.raises(
        PeerError, match=r"throttled: no end within 2 s, in pass \d+: .* bandwidth 40 Mbit/s carries; raise"
    ):
        record_guest(load_scenario("throttled", settings), tmp_path / "guest.pfs")
    assert not (tmp_path / "guest.pfs").exists()


def test_somebodys_guest_runs_on_if_recording_fails_and_its_recording_runs_in_another_qemu(tmp_path):
    def recorded(out) -> list[BaseException]:
        failed: list[BaseException] = []
        ready = threading.Event()

        def run() -> None:
            try:
                record_stream(f"unix:{tmp_path}/rec", out, timeout_s=60, say=lambda _: ready.set())
            except Exception as exc:
                failed.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        assert ready.wait(120)
        guests.source.qmp.execute("migrate", uri=f"unix:{tmp_path}/rec")
        thread.join(60)
        return failed

    with two_guests(tmp_path) as guests:
        nobody_answers = [{"capability": "return-path", "state": False}]
        guests.source.qmp.execute("migrate-set-capabilities", capabilities=nobody_answers)
        guests.destination.qmp.execute("migrate-set-capabilities", capabilities=nobody_answers)
        (failure,) = recorded(Path("/dev/full"))
        assert isinstance(failure, ResultError)
        assert "/dev/full: cannot save the recording: No space left on device" in str(failure)
        wait_status(guests.source, "failed")
        assert guests.source.qmp.execute("query-status")["running"]
        assert recorded(tmp_path / "guest.pfs") == []
        wait_status(guests.source, "completed")
        guests.destination.qmp.execute("migrate-incoming", uri=f"unix:{tmp_path}/in")
        feed(open_stream(tmp_path / "guest.pfs").path, f"unix:{tmp_path}/in")
        guests.destination.qmp.wait_event("RESUME", 60)
        assert checked(guests).ok
