"""A libvirt daemon that stands for a host: own mounts for all that it writes, own host name and uuid, on this one machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from harness.hosts.child import Child
from harness.hosts.local import Local

GUEST = "pageferry-test"
SOCKET = Path("/var/lib/libvirt/qemu/pageferry.sock")
"""What each host's half of the pair uses; the same path, and on each host a file of its own."""

PATIENCE_S = 60.0
_MOUNTS = {"run": "/run", "etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt"}
_DAEMON_CONF = """\
host_uuid = "{uuid}"
unix_sock_dir = "{folder}/sock"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""
_QEMU_CONF = """\
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
security_driver = "none"
hugetlbfs_mount = []
"""
_MOUNT = """
set -e
hostname "$1"; folder=$2; shift 2
while [ "$1" != -- ]; do mkdir -p "${1#*=}"; mount --bind "$folder/${1%%=*}" "${1#*=}"; shift; done
shift; exec "$@"
"""
# libvirt waits until its QEMUs are gone for good, and whoever is process 1 in a container may take its time to reap them.
_REAP = """
import ctypes, os, signal, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
daemon = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *sys.argv[1:]])
signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
_DAEMON = ("libvirtd", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "/run/libvirtd.pid")


def why_not() -> str | None:
    """What is missing here to run such hosts, or None."""
    for program in ("libvirtd", "virsh", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install libvirt-daemon-system libvirt-clients)"
    if os.geteuid() != 0:
        return "not root: a daemon needs mounts of its own"
    tried = subprocess.run(
        ["unshare", "--mount", "--uts", "true"], capture_output=True, text=True, check=False, timeout=120
    )
    return f"no mount namespaces here: {tried.stderr.strip()}" if tried.returncode else None


class Host:
    """One host. ``folder`` is short, as sockets are in it, and the caller's to remove once ``stop`` has returned."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self._name = name
        for part in (*_MOUNTS, "sock", "lib/qemu", "log/qemu"):
            (folder / part).mkdir(parents=True)
        shutil.chown(folder / "lib/qemu", _qemu_user())
        (folder / "etc/libvirtd.conf").write_text(_DAEMON_CONF.format(uuid=uuid.uuid4(), folder=folder))
        (folder / "etc/qemu.conf").write_text(_QEMU_CONF)

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.folder}/sock/libvirt-sock"

    @property
    def processes(self) -> Local:
        """Where others run on this host, once it is started."""
        return Local(prefix=["nsenter", "--mount", "--uts", "--target", str(self._child.pid)])

    def start(self) -> None:
        mounts = [f"{part}={place}" for part, place in _MOUNTS.items()]
        command = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", _MOUNT, "sh", self._name]
        daemon = [sys.executable, "-c", _REAP, *_DAEMON]
        self._child = Child([*command, str(self.folder), *mounts, "--", *daemon], log=self.folder / "libvirtd.log")
        self._child.start()
        deadline_s = time.monotonic() + PATIENCE_S
        while self.virsh("uri", check=False).returncode != 0:
            assert self._child.ended() is None, self._child.said()
            assert time.monotonic() < deadline_s, "libvirtd does not answer"
            time.sleep(0.1)

    def virsh(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["virsh", "--quiet", "--connect", self.uri, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
        assert not check or done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr.strip()}"
        return done

    def guests(self) -> list[str]:
        return self.virsh("list", "--name").stdout.split()

    def stop(self) -> None:
        """The guest, whatever state it is in, and the daemon; whoever reaps for them then ends by itself."""
        self.virsh("destroy", GUEST, check=False)
        self._kill_guest()
        self._child.stop(10)

    def _kill_guest(self) -> None:
        """By the id that libvirt wrote down, if it still is the guest's."""
        for file in (self.folder / "run/libvirt/qemu").glob("*.pid"):
            pid = int(file.read_text())
            if f"guest={GUEST}".encode() in _command_line(pid):
                os.kill(pid, signal.SIGKILL)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _qemu_user() -> str:
    """Whom libvirt runs QEMU as: Debian's name, or everybody else's."""
    for name in ("libvirt-qemu", "qemu"):
        if subprocess.run(["id", name], capture_output=True, check=False).returncode == 0:
            return name
    return "root"
