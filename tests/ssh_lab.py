"""A lab on this machine: two network namespaces, each with an sshd of its own and a wire to the other, and a file of hosts.

Each sshd has its own address, port, host key and home folder; ssh finds both by a configuration of the lab's. What crosses from one
to the other has an interface of its own. All goes with the lab.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness.hosts.child import Child

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
SIDES = ("a", "b")
NIC, PORT = "pf0", 2222
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE_S = 60.0
_CONTROL = ipaddress.IPv4Address("198.18.0.0")  # RFC 2544: for measurements, and nobody's route


def why_not() -> str | None:
    """Why there can be none here."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    missing = [tool for tool in ("ip", "tc", "nsenter", "ssh", "ssh-keygen") if shutil.which(tool) is None]
    if SSHD is None:
        missing.append("sshd (openssh-server)")
    return f"needs {', '.join(missing)}" if missing else None


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class SshLab:
    """``folder``: for keys, logs and homes. ``hosts``: the file, whose pair is called "lab"."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.folder, self.hosts, self.config = folder, folder / "hosts.toml", folder / "ssh_config"
        self.names = {side: f"pfs-{os.getpid()}-{number}-{side}" for side in SIDES}
        first = _CONTROL + 8 * ((os.getpid() + 1000 * number) % 8192)
        self.addresses = {"a": str(first + 2), "b": str(first + 6)}
        self._ours = {"a": str(first + 1), "b": str(first + 5)}
        self._stack = contextlib.ExitStack()
        self.sshds: dict[str, Child] = {}

    def __enter__(self) -> SshLab:
        try:
            self._wire()
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key"))
            for side in SIDES:
                self._start(side)
            self.config.write_text("".join(self._ssh_host(side) for side in SIDES))
            self.hosts.write_text(self.pair_table())
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pair_table(self, **changed: object) -> str:
        """``[pair.lab]``, with other values for some keys."""
        command = f"env XDG_CACHE_HOME={self.folder}/cache {sys.executable} -P -m harness.cli"
        keys = {
            "source": "lab-a", "destination": "lab-b", "address": "192.0.2.2", "nic": NIC, "shape": True, "command": command,
            "ssh_config": "ssh_config", "ports": "49152-49160", **changed,
        }  # fmt: skip
        lines = [
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in keys.items()
        ]
        return "\n".join(["[pair.lab]", *lines, ""])

    def inside(self, side: str, *words: str) -> str:
        """Run in a side's network namespace."""
        return run("ip", "netns", "exec", self.names[side], *words)

    def _wire(self) -> None:
        for side, name in self.names.items():
            run("ip", "netns", "add", name)
            self._stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False, capture_output=True)
            run("ip", "-n", name, "link", "set", "lo", "up")
            near = f"pf{os.getpid() % 100000}{self._ours[side][-1]}{side}"[-15:]
            run("ip", "link", "add", near, "type", "veth", "peer", "name", "ctl0", "netns", name)
            self._stack.callback(subprocess.run, ["ip", "link", "del", near], check=False, capture_output=True)
            run("ip", "addr", "add", f"{self._ours[side]}/30", "dev", near)
            run("ip", "link", "set", near, "up")
            run("ip", "-n", name, "addr", "add", f"{self.addresses[side]}/30", "dev", "ctl0")
            run("ip", "-n", name, "link", "set", "ctl0", "up")
        near, far = self.names.values()
        run("ip", "-n", near, "link", "add", NIC, "type", "veth", "peer", "name", NIC, "netns", far)
        for name, address in ((near, "192.0.2.1"), (far, "192.0.2.2")):
            run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", NIC)
            run("ip", "-n", name, "link", "set", NIC, "up")

    def _start(self, side: str) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        key, config, home = (self.folder / name for name in (f"host-{side}", f"sshd-{side}.conf", f"home-{side}"))
        home.mkdir()
        python = Path(sys.executable).resolve().parent  # without what is installed for us
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        config.write_text(
            f"Port {PORT}\nListenAddress {self.addresses[side]}\nHostKey {key}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/key.pub\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            f"SetEnv HOME={home} PATH={python}:{PATH}\n"
        )
        argv = ["nsenter", f"--net=/run/netns/{self.names[side]}", str(SSHD), "-D", "-e", "-f", str(config)]
        self.sshds[side] = self._stack.enter_context(Child(argv, log=self.folder / f"sshd-{side}.log"))
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                socket.create_connection((self.addresses[side], PORT), 1.0).close()
            except OSError:
                assert time.monotonic() < deadline_s, self.sshds[side].said()
                assert self.sshds[side].ended() is None, self.sshds[side].said()
                time.sleep(0.02)
            else:
                return

    def _ssh_host(self, side: str) -> str:
        known = self.folder / f"known-{side}"
        public = (self.folder / f"host-{side}.pub").read_text().strip()
        known.write_text(f"[{self.addresses[side]}]:{PORT} {public}\n")
        return (
            f"Host lab-{side}\n HostName {self.addresses[side]}\n Port {PORT}\n User root\n IdentityFile {self.folder}/key\n"
            f" IdentitiesOnly yes\n UserKnownHostsFile {known}\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n"
        )
