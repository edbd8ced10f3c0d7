"""A network interface of a host's: what it has sent, and a limit of its rate that goes with the agent. Runs on that host."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import MissingError, PeerError, UserError
from harness.hosts.claims import Claim
from harness.links.netlink import QueueCounter

_HERE = Path("/proc/self/ns/net")
_DEV = Path("/proc/self/net/dev")
_CLAIMS = Path("/run/pageferry")
_OURS = "7066:"
_NO_QUEUE = "noqueue"
_held: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Nic:
    """``queue``: the kind of its root queue.

    ``counts``: what ``sent_bytes`` counts, in words. ``bits_per_s``: None where it does not say.
    """

    mtu: int
    queue: str
    counts: str
    bits_per_s: int | None


def look_at_nic(interface: str) -> Nic:
    """:raises MissingError: there is none of that name; names those that are there."""
    if interface not in (known := _interfaces()):
        raise MissingError(
            f"{interface}: there is no such network interface; there are {', '.join(known)}: write one in the file of hosts"
        )
    queue = _queue(interface)[0]
    counts = "bytes that it sent" if queue == _NO_QUEUE else f"Ethernet frames that left its queue ({queue})"
    return Nic(_number(interface, "mtu") or 0, queue, counts, _bits_per_s(interface))


def sent_bytes(interface: str) -> int:
    """So far; by its queue, where it has one, which counts each packet's headers. :raises PeerError: it has gone."""
    if _counted_by_queue(interface):
        return _counter(interface).read_bytes()
    for line in _DEV.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == interface:
            return int(figures.split()[8])
    raise PeerError(f"{interface}: the network interface has gone")


def shape_nic(interface: str, queue: Sequence[str]) -> None:
    """Have it a root queue of ours, as tc takes it, or change that; it is removed when this process ends.

    :raises MissingError: no root, or no tc. :raises UserError: somebody's own queue is there, or another run's.
    """
    if os.geteuid() != 0:
        raise MissingError(f"{interface}: only root may limit its rate: let ssh log in as root, or write shape = false")
    if interface not in _held:
        _hold(interface)
    _tc("qdisc", "replace", "dev", interface, "root", "handle", _OURS, *queue)
    _counted_by_queue.cache_clear()
    _counter.cache_clear()


def _hold(interface: str) -> None:
    _CLAIMS.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = os.open(_CLAIMS / f"nic-{_HERE.stat().st_ino}-{interface}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_free(interface)
    except BlockingIOError as exc:
        os.close(lock)
        raise UserError(
            f"{interface}: another run limits its rate now, or one whose connection broke within the last minute: wait for its end"
        ) from exc
    except BaseException:
        os.close(lock)
        raise
    _held[interface] = lock
    Claim(_CLAIMS, lambda _: _put_back(interface)).take()


def _check_free(interface: str) -> None:
    """What a killed agent left is ours to replace."""
    kind, handle = _queue(interface)
    if handle not in ("0:", _OURS):
        raise UserError(
            f"{interface}: has a queue of somebody's own ({kind} {handle}), which could not be put back: remove it "
            f"(tc qdisc del dev {interface} root), or write shape = false"
        )


def _put_back(interface: str) -> None:
    subprocess.run(["tc", "qdisc", "del", "dev", interface, "root", "handle", _OURS], capture_output=True, check=False)
    os.close(_held.pop(interface))


def _queue(interface: str) -> tuple[str, str]:
    """Kind and handle of the root queue; what the kernel put there by itself has the handle ``0:``."""
    found = [each for each in json.loads(_tc("-j", "qdisc", "show", "dev", interface)) if each.get("root")]
    return (found[0]["kind"], found[0]["handle"]) if found else (_NO_QUEUE, "0:")


def _tc(*words: str) -> str:
    try:
        done = subprocess.run(["tc", *words], capture_output=True, text=True, check=False)
    except OSError as exc:
        raise MissingError(f"tc: {exc.strerror}; apt install iproute2") from exc
    if done.returncode:
        raise PeerError(f"tc {' '.join(words)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout


@functools.cache
def _counted_by_queue(interface: str) -> bool:
    return _queue(interface)[0] != _NO_QUEUE


@functools.cache
def _counter(interface: str) -> QueueCounter:
    return QueueCounter(_HERE, interface)


def _interfaces() -> list[str]:
    return [line.partition(":")[0].strip() for line in _DEV.read_text().splitlines()[2:]]


def _bits_per_s(interface: str) -> int | None:
    found = _number(interface, "speed")
    return found * 1_000_000 if found is not None and found > 0 else None


def _number(interface: str, name: str) -> int | None:
    """By ``ip``: /sys may be another network namespace's."""
    if name == "mtu":
        return int(json.loads(_ip("-j", "link", "show", interface))[0]["mtu"])
    try:
        return int((Path("/sys/class/net") / interface / name).read_text())
    except (OSError, ValueError):
        return None


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    return done.stdout
