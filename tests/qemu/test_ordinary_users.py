"""The pair as one ordinary user, both QEMUs as another, none with a capability; what they share is a group, for their sockets."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from live_guests import CONFIG, PATIENCE_S, QEMU, checked, wait_status

from harness.experiment.halves import Half
from harness.guests.contract import Place
from harness.guests.native import MethodPlan, SideSettings
from harness.guests.stress.kind import Stress, StressSettings
from harness.hosts.local import Local
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.qemu.migration import listen
from harness.scenario.methods import QemuMethod
from harness.scenario.model import Scenario

ROOT = Path(__file__).parents[2]
_QEMU_USER, _PAIR_USER, _GROUP = 65501, 65502, 65503


_OPENED = """set -e; umask 022
hidden=$1 held=$2 && shift 2
mount --rbind "$hidden" "$held"
mount -t tmpfs -o mode=755 none "$hidden"
while [ "$1" != -- ]; do mkdir -p "$1" && mount --rbind "$held/${1#"$hidden"/}" "$1" && shift; done
shift && exec "$@"
"""
"""In a mount namespace of its own: of a hidden folder, only these."""


def _opening(held: Path) -> tuple[str, ...]:
    """Goes before a command: a Python that root installed for itself can be read, and nothing beside it. ``held``: an empty
    folder."""
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    hidden = sorted(above for each in needed for above in each.parents if not above.stat().st_mode & stat.S_IXOTH)
    if not hidden:
        return ()
    below = [str(each) for each in needed if each.is_relative_to(hidden[0])]
    return ("unshare", "--mount", "sh", "-c", _OPENED, "sh", str(hidden[0]), str(held), *below, "--")


class _User(Local):
    """Of this machine; what we write for it, its group may read."""

    def call(self, function, *arguments):
        told = function(*arguments)
        for file in (each for each in arguments if isinstance(each, Path) and each.is_file()):
            file.chmod(0o640)
        return told


def _as_user(user: int, held: Path) -> Local:
    """Who else is in the group may use the sockets that it makes. ``held`` as above."""
    rights = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs")
    own = ("setpriv", f"--reuid={user}", f"--regid={_GROUP}", "--clear-groups", *rights)
    return _User(prefix=(*_opening(held), *own, "sh", "-c", 'umask 007; exec "$@"', "sh"))


def _lack() -> str | None:
    """Why this cannot be tried here."""
    if os.geteuid() != 0:
        return "only root can begin processes of two other users"
    for tool in (QEMU, "setpriv", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    code = f"import sys; sys.path[:] = {[folder for folder in sys.path if folder]!r}; import harness.migrator.receiver"
    with tempfile.TemporaryDirectory(prefix="pageferry-") as held:
        prefix = _as_user(_PAIR_USER, Path(held)).prefix
        done = subprocess.run([*prefix, sys.executable, "-c", code], capture_output=True, check=False)
    return (
        None
        if done.returncode == 0
        else f"this Python ({sys.executable}) or pageferry lies where other users may not read"
    )


pytestmark = pytest.mark.qemu


@pytest.fixture
def run_dir():
    if (lack := _lack()) is not None:
        pytest.skip(lack)
    with tempfile.TemporaryDirectory(prefix="pageferry-") as name:
        folder = Path(name)
        os.chown(folder, 0, _GROUP)
        folder.chmod(stat.S_ISGID | 0o770)
        mask = os.umask(0o007)  # QEMU connects to a socket of ours
        yield folder
        os.umask(mask)


def _owner_and_limits(pid: int) -> tuple[int, int, int]:
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(told["Uid"].split()[0]), int(told["CapEff"], 16), int(told["NoNewPrivs"])


def test_two_users_with_no_rights_but_a_common_group_migrate_a_guest(run_dir, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(run_dir))  # where the guest's memory is made, for its QEMU to read

    given = StressSettings(
        memory=CONFIG.memory_bytes,
        working_set=CONFIG.working_set_bytes,
        dirty_rate=CONFIG.dirty_rate_bytes_per_s,
        fill={"text": 0.5, "zero": 0.5},
        accel="tcg",
    )
    scenario = Scenario(name="two", description="two", guest=given, method=(QemuMethod(name="any", baseline=True),))
    guest = Stress(scenario)
    guest.open()
    for made in (run_dir / "pageferry").iterdir():
        made.chmod(0o640)
    side = SideSettings({"events": True, "return-path": True}, {"max-bandwidth": 1 << 40})
    shared = {"socket_mode": "0660", "socket_group": str(_GROUP)}
    link, source, destination = run_dir / "link", run_dir / "s", run_dir / "d"
    (held := run_dir / "held").mkdir()
    qemus, pair = _as_user(_QEMU_USER, held), _as_user(_PAIR_USER, held)
    receiver = Half(ReceiveConfig(f"unix:{link}", f"unix:{destination}"), run_dir=run_dir, host=pair)
    sender = Half(SendConfig(f"unix:{source}", f"unix:{link}", "zlib", **shared), run_dir=run_dir, host=pair)
    with guest.start(MethodPlan(side, side), Place(run_dir, qemus, qemus)) as guests:
        try:
            guests.run_guest(PATIENCE_S)
            listen(guests.destination, f"unix:{destination}")
            for half in (receiver, sender):
                half.start()
                half.wait_ready()
            assert [_owner_and_limits(each.pid) for each in (guests.source, guests.destination)] == [
                (_QEMU_USER, 0, 1)
            ] * 2
            assert [each.stat().st_uid for each in (source, link, destination)] == [_PAIR_USER, _PAIR_USER, _QEMU_USER]
            guests.source.qmp.execute(
                "stop"
            )  # other users have no KVM, and under TCG a count of writes came over old once
            guests.source.qmp.execute("migrate", uri=f"unix:{source}")
            assert wait_status(guests.source, "completed", "failed") == "completed"
            assert wait_status(guests.destination, "completed", "failed") == "completed"
            guests.destination.qmp.execute("cont")
            assert sender.finish().stream_bytes == receiver.finish().stream_bytes
            assert "sandbox: " in sender.log.read_text()
            assert checked(guests).ok
        finally:
            sender.stop()
            receiver.stop()
