"""Runs one live migration between two QEMUs that are set up: listen, migrate, watch, end. Sets no parameters.

One clock: QEMU's event timestamps and ``time.time()`` are the same wall clock of this host, and every absolute time here
(``*_at_s``) is on it. ``clock_step_s`` says how far that clock was moved against the monotonic one meanwhile; anything
but a fraction of a millisecond makes the durations doubtful.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Literal

from harness.errors import QemuError
from harness.qemu.process import QemuProcess
from harness.qemu.progress import ENDED, MigrationStatus, StatusCallback, Watch
from harness.qemu.qmp import Json

SETTLE_S = 60.0  # for what follows the end: the destination's RESUME, final statistics, a cancel


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """How a migration ended. ``last`` is the source's final statistics, ``reason`` says why a timeout is one.

    ``total_time_s``: from the migrate command to the destination's RESUME or the source's "completed", whichever is later.
    ``stop_at_s`` and ``resume_at_s``: the source's STOP and the destination's RESUME, or where the guest was held there, when it
    could have gone on; None where it did not run.
    ``paused``: whether the guest was paused before QEMU itself stopped it, which QEMU's own downtime does not count.
    ``switched_at_s``: when the source went over to post-copy; None: it did not.
    ``source_runs``: whether the guest runs on the source after a migration that did not complete.
    """

    status: Literal["completed", "timeout"]
    last: MigrationStatus
    began_at_s: float
    began_monotonic_s: float
    clock_step_s: float
    total_time_s: float | None = None
    stop_at_s: float | None = None
    resume_at_s: float | None = None
    paused: bool = False
    switched_at_s: float | None = None
    source_runs: bool = False
    reason: str | None = None


def listen(destination: QemuProcess, uri: str) -> str:
    """Make the destination (started with ``-incoming defer``) listen; returns the URI to migrate to.

    ``tcp:HOST:0`` lets the system choose the port, which the answer then carries.

    :raises QemuError: the address cannot be used, in QEMU's words.
    """
    try:
        destination.qmp.execute("migrate-incoming", uri=uri)
    except QemuError as exc:
        raise QemuError(f"{exc} (listening on {uri}; choose another address if it is in use)") from exc
    if not (uri.startswith("tcp:") and uri.endswith(":0")):
        return uri
    addresses: Json = destination.qmp.execute("query-migrate").get("socket-address", [])
    for address in addresses:
        if address["type"] == "inet":
            return f"{uri[:-2]}:{address['port']}"
    raise QemuError(f"destination: {uri}: QEMU does not say which port it listens on; name one")


def migrate(
    source: QemuProcess,
    destination: QemuProcess,
    uri: str,
    *,
    timeout_s: float,
    held: bool = False,
    pause_at_pass: int | None = None,
    switch_after_passes: int | None = None,
    interval_s: float = 0.05,
    on_status: StatusCallback | None = None,
) -> MigrationOutcome:
    """Migrate to ``uri`` and wait for the end of it on both sides. Both guests are left paused or running as QEMU has them.

    ``held``: the destination was started with ``-S``, so that its guest does not go on by itself.
    ``pause_at_pass``: in which pass the source's guest is paused; it goes on at the destination, unless that is held.
    ``switch_after_passes``: after how many passes the guest is to run at the destination, whatever is left; that comes behind it
    as it is asked for (post-copy). Needs the capability postcopy-ram on both sides.
    ``on_status`` gets every snapshot; an exception from it cancels the migration and passes on.

    :raises QemuError: it failed: both sides' words, and whether the guest still runs on the source.
    """
    watch = Watch(source, destination, interval_s, on_status, pause_at_pass, switch_after_passes)
    was_running = bool(source.qmp.execute("query-status")["running"])
    watch.begin()
    try:
        source.qmp.execute("migrate", uri=uri)
        last = watch.until_ended(timeout_s)
    except BaseException:
        with contextlib.suppress(QemuError):  # the first failure is the one to tell
            _cancel(watch)
        raise
    if last.status not in ENDED:
        ended = _cancel(watch)
        if ended.status != "completed":  # else it ended while the cancel was on its way
            return _give_up(watch, last, ended.status, timeout_s)
        last = ended
    if last.status != "completed":
        raise QemuError(_why_failed(watch, last))
    patience_s = max(SETTLE_S, timeout_s - last.t_s)  # without return path, the last bytes may still be under way
    return _finish(watch, patience_s, was_running=was_running, held=held)


def _finish(watch: Watch, patience_s: float, *, was_running: bool, held: bool) -> MigrationOutcome:
    began_at_s = watch.began_at_s
    resume_at_s = stop_at_s = None
    switched_at_s = watch.said_at_s(watch.source, "postcopy-active")
    if was_running:
        watch.source.qmp.wait_event("STOP", SETTLE_S, since_s=began_at_s)
        stop_at_s = watch.source.qmp.events("STOP", since_s=began_at_s)[-1].at_s  # an aborted switch-over has its own
    if was_running and not (held or watch.paused):
        resume_at_s = watch.destination.qmp.wait_event("RESUME", patience_s, since_s=began_at_s).at_s
        if switched_at_s is not None:
            _wait_destination(watch, patience_s)  # only then it tells of its page faults
        completed_at_s = _completed_at_s(watch, watch.source, *([] if switched_at_s is None else [watch.destination]))
    else:
        _wait_destination(watch, patience_s)
        resume_at_s = _completed_at_s(watch, watch.destination) if was_running else None
        completed_at_s = _completed_at_s(watch, watch.source, watch.destination)
    if watch.paused and not held:  # QEMU leaves a guest as it was, so this one would stay paused
        watch.destination.qmp.execute("cont")
        resume_at_s = watch.destination.qmp.wait_event("RESUME", patience_s, since_s=began_at_s).at_s
    last = _settled(watch)
    return MigrationOutcome(
        status="completed",
        last=last,
        began_at_s=began_at_s,
        began_monotonic_s=watch.began_monotonic_s,
        clock_step_s=watch.clock_step_s(),
        total_time_s=max(completed_at_s, resume_at_s or 0.0) - began_at_s,
        stop_at_s=stop_at_s,
        resume_at_s=resume_at_s,
        paused=watch.paused,
        switched_at_s=switched_at_s,
    )


def _completed_at_s(watch: Watch, *sides: QemuProcess) -> float:
    """When the last of ``sides`` completed, by its event; by this moment where QEMU sends none (capability "events")."""
    found = [at_s for side in sides if (at_s := watch.said_at_s(side, "completed")) is not None]
    return max(found) if found else time.time()


def _wait_destination(watch: Watch, patience_s: float) -> None:
    """Until it has completed, and said so if it says so at all: the event comes before the answer, and is read beside it."""
    deadline_s, looks = time.monotonic() + patience_s, 0
    while time.monotonic() < deadline_s:
        looks += watch.destination.qmp.execute("query-migrate").get("status") == "completed"
        if watch.said_at_s(watch.destination, "completed") is not None or looks > 1:
            return
        time.sleep(0.005)
    raise QemuError(f"destination: the source completed and the destination did not within {patience_s:g} s")


def _settled(watch: Watch) -> MigrationStatus:
    """Final statistics. QEMU can say "completed" with a total-time of 0 for a moment (7.2, multifd and compress)."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        last = watch.look()
        if (last.total_time_s > 0 and last.downtime_s is not None) or time.monotonic() > deadline_s:
            return last
        time.sleep(0.01)


def _cancel(watch: Watch) -> MigrationStatus:
    """Ask, and ask again, until the source has left the migration. Post-copy is left alone: the guest is at neither side whole."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        if (status := watch.look(tell=False)).status.startswith("postcopy"):
            return status
        watch.source.qmp.execute("migrate_cancel")
        for _ in range(25):
            status = watch.look(tell=False)
            if status.status in ENDED or time.monotonic() > deadline_s:
                return status
            time.sleep(0.02)


def _give_up(watch: Watch, last: MigrationStatus, ended: str, timeout_s: float) -> MigrationOutcome:
    runs = _source_runs(watch)
    reason = (
        f"no end within {timeout_s:g} s: pass {last.passes}, {last.remaining_bytes} bytes left, "
        f"guest dirties {last.dirty_rate_bytes_per_s:.0f} bytes/s; {ended}, "
        f"the source's guest {'goes on running' if runs else 'does not run'}"
    )
    return MigrationOutcome(
        status="timeout",
        last=last,
        began_at_s=watch.began_at_s,
        began_monotonic_s=watch.began_monotonic_s,
        clock_step_s=watch.clock_step_s(),
        source_runs=runs,
        reason=reason,
    )


def _source_runs(watch: Watch, wait_s: float = 2.0) -> bool:
    deadline_s = time.monotonic() + wait_s
    while not (runs := bool(watch.source.qmp.execute("query-status")["running"])) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return runs


def _why_failed(watch: Watch, last: MigrationStatus) -> str:
    words = [f"migration {last.status}"]
    if last.error:
        words.append(f"source: {last.error}")
    ended = watch.destination.ended(wait_s=1.0)
    if ended is not None:
        words.append(f"destination: {ended}")
    else:
        with contextlib.suppress(QemuError):  # it may end while we ask
            raw: Json = watch.destination.qmp.execute("query-migrate")
            said = raw.get("error-desc") or watch.destination.last_words()
            words.append(f"destination: {said or 'said nothing'}")
    runs = _source_runs(watch)
    return "; ".join([*words, f"the source's guest {'goes on running' if runs else 'does not run'}"])
