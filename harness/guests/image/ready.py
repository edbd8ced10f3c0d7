"""Finding out whether a guest that we did not make does its work: by its console, its network, or its agent.

A probe answers yes or no, again and again until it is yes; it says nothing of how long that may take.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backends.children import module_argv
from harness.errors import QemuError
from harness.guests.console import Consoles
from harness.guests.image.console import Ready
from harness.guests.image.settings import ReadySettings
from harness.guests.qemu_kind import Sides
from harness.qemu.qmp import Json, Qmp

AGENT = "agent"
"""The character device on which the guest's agent talks."""
_NET = "pageferry-net"
_FORWARDED = re.compile(rf"\({_NET}\):.*?TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)", re.DOTALL)
_LOOK_S = 0.05
_MOST_ANSWER_BYTES = 1 << 20

Probe = Callable[[float], bool]
"""Whether the guest is ready; looks for so many seconds at most."""


def device_arguments(ready: ReadySettings) -> list[str]:
    """QEMU's for what the probe needs: a network card, or the agent's channel."""
    if ready.tcp is not None:
        # Port 0: QEMU takes a free one. No ROM: the guest does not boot from its network.
        forward = f"user,id={_NET},hostfwd=tcp:127.0.0.1:0-:{ready.tcp}"
        return ["-netdev", forward, "-device", f"virtio-net-pci,netdev={_NET},romfile="]
    if ready.agent is not None:
        port = f"virtserialport,chardev={AGENT},name=org.qemu.guest_agent.0"
        return ["-device", "virtio-serial-pci", "-device", port]
    return []


def sought(ready: ReadySettings) -> str:
    """What is waited for, in words."""
    if ready.serial is not None:
        return f"nothing like {ready.serial!r} on its console"
    return f"TCP port {ready.tcp} not open" if ready.tcp is not None else f"no answer of its agent to {ready.agent!r}"


@contextmanager
def open_probe(ready: ReadySettings, sides: Sides, side: str, since_s: float) -> Iterator[Probe]:
    """For a side whose guest runs since ``since_s``. :raises QemuError: what it needs of QEMU is not there."""
    qemu = sides.qemus[side]
    if ready.serial is not None:
        yield _serial(sides.consoles, side, since_s)
    elif ready.agent is not None:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(qemu.chardev_path(AGENT)))
            yield _agent(channel, ready.agent)
    else:
        host = sides.place.source if side == "source" else sides.place.destination
        port = _forwarded_port(qemu.qmp)
        log = sides.place.run_dir / f"{side}-knock.log"
        with host.child(module_argv("harness.guests.image.knock", port), log=log):
            yield lambda wait_s: _reached(qemu.qmp, port, wait_s)


def _serial(consoles: Consoles, side: str, since_s: float) -> Probe:
    def answered(wait_s: float) -> bool:
        return consoles.heard(side, lambda event: isinstance(event, Ready), wait_s, since_s=since_s) is not None

    return answered


def _agent(channel: socket.socket, command: str) -> Probe:
    """What is sent before the agent runs waits for it in QEMU, so that it may answer several times."""
    asked = json.dumps({"execute": command}).encode() + b"\n"
    heard = b""

    def answered(wait_s: float) -> bool:
        nonlocal heard
        channel.settimeout(wait_s)
        try:
            channel.sendall(asked)
            heard += channel.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError as exc:
            raise QemuError(f"the guest agent's channel is closed: {exc.strerror}") from exc
        if len(heard) > _MOST_ANSWER_BYTES:
            raise QemuError(
                f"guest.ready.agent: {command!r}: {len(heard)} bytes came and no answer among them: no guest agent talks on the "
                "guest's port org.qemu.guest_agent.0"
            )
        return _has_answer(heard, command)

    return answered


def _has_answer(heard: bytes, command: str) -> bool:
    for line in heard.splitlines():
        try:
            said: Json = json.loads(line)
        except ValueError:  # the rest is still to come
            continue
        if "error" in said:
            raise QemuError(f"guest.ready.agent: {command!r}: the guest agent refuses: {said['error'].get('desc')}")
        if "return" in said:
            return True
    return False


def _forwarded_port(qmp: Qmp) -> str:
    found = _FORWARDED.search(_usernet(qmp))
    if found is None:
        raise QemuError(
            f"{qmp.name}: QEMU does not say which port it forwards (info usernet); it needs user networking"
        )
    return found[1]


def _reached(qmp: Qmp, port: str, wait_s: float) -> bool:
    """QEMU takes each connection at once; whether the guest did too is what QEMU says of its state."""
    reached = re.compile(rf"TCP\[ESTABLISHED\]\s+\d+\s+127\.0\.0\.1\s+{port}\s")
    deadline_s = time.monotonic() + wait_s
    while not (found := reached.search(_usernet(qmp)) is not None) and time.monotonic() < deadline_s:
        time.sleep(_LOOK_S)
    return found


def _usernet(qmp: Qmp) -> str:
    arguments: dict[str, Json] = {"command-line": "info usernet"}
    return str(qmp.execute("human-monitor-command", **arguments))
