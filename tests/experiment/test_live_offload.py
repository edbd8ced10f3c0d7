"""Live migrations whose batches a device compresses (the CPU through PoCL), also when the device dies in mid-migration."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress

import psutil
import pytest
from experiment.test_live import dirty_rate

from backends.api import BackendUnavailable
from backends.opencl import OpenclBackend
from harness.experiment import runner
from harness.experiment.plan import Turn
from harness.experiment.trial import Lab
from harness.scenario.model import load_scenario


def lack() -> str | None:
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed"
    try:
        OpenclBackend.probe()
    except BackendUnavailable as exc:
        return str(exc)
    return None


LACK = lack()
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(LACK is not None, reason=LACK or "")]

SETTINGS = ["guest.memory=256MiB", "guest.working_set=8MiB", "link.bandwidth=300Mbit/s"]
PATIENT = "method.opencl-cpu.options.timeout_ms=200000"
"""This host's processors are the device, and others may keep them busy."""


def migrate(out, *settings, on_progress=lambda _: None):
    scenario = load_scenario("offload", [*SETTINGS, PATIENT, dirty_rate(), *settings], only=["opencl-cpu"])
    method = next(method for method in scenario.methods if method.name == "opencl-cpu")
    with Lab(scenario) as lab:
        return runner.run_turn(lab, Turn(method, 1, 1, 1, scenario), out / "logs", on_progress)


def test_a_device_compresses_a_live_migration(tmp_path):
    run = migrate(tmp_path)
    assert (run.status, run.verified) == ("completed", True), run.reason
    counters = run.counters
    assert counters["fallbacks"] == 0, run.warnings
    assert counters["sender_offload_raw_bytes"] > 100 << 20
    assert counters["sender_offload_batches"] > 100
    assert counters["sender_offload_kernel_s"] > 0
    assert counters["sender_offload_verified_batches"] >= 2
    assert run.parameters["sender.fallback"] == "isal:1"
    assert run.ratio > 2
    # The device is a process of its own; its time is the source host's.
    assert run.cpu_s.sender > counters["sender_offload_worker_cpu_s"] > 0


def workers() -> list[psutil.Process]:
    """The sender's device workers: its children. Those of other tests are children of this process itself."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # others come and go
            for process in child.children(recursive=True):
                if any("backends.opencl.worker" in word for word in process.cmdline()):
                    found.append(process)
    return found


def kill_once(signal_number: int):
    """A progress listener that ends the worker as soon as a third of the guest has been sent."""
    killed = []

    def listen(progress) -> None:
        if not killed and progress.wire_bytes > 20 << 20:
            killed.extend(workers())
            for process in killed:
                process.send_signal(signal_number)

    return killed, listen


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_device_that_dies_in_mid_migration_costs_no_page_and_every_fallback_is_counted(tmp_path, how):
    killed, listen = kill_once(how)
    limit = ["method.opencl-cpu.options.timeout_ms=3000"] if how == signal.SIGSTOP else []
    run = migrate(tmp_path, *limit, on_progress=listen)
    assert len(killed) == 1
    assert (run.status, run.verified) == ("completed", True), run.reason
    counters = run.counters
    assert 0 < counters["fallbacks"] < counters["sender_batches"]
    assert counters["sender_fallback_bytes"] > 0
    assert counters["sender_offload_deaths"] + counters["sender_offload_timeouts"] >= 1
    assert any("batches were compressed by isal:1, not by opencl" in warning for warning in run.warnings)
    assert not psutil.pid_exists(killed[0].pid)


def test_where_fallback_is_forbidden_the_run_fails_and_the_source_runs_on(tmp_path):
    killed, listen = kill_once(signal.SIGKILL)
    run = migrate(tmp_path, "method.opencl-cpu.fallback=never", on_progress=listen)
    assert len(killed) == 1
    assert run.status == "failed"
    assert "opencl" in run.reason
    assert "the source's guest goes on running" in run.reason
