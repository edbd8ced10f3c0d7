"""What can happen to one of the four processes of a migration, to the link between two of them, and to what their hosts give them:
each fault once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.faults.live.shortages import no_more_files, no_more_memory
from harness.faults.live.smalldisk import SmallDisk
from harness.faults.live.wallclock import WallClock
from harness.hosts.contract import Host

Party = Literal["sender", "receiver", "source", "destination", "link", "disk", "clocks"]
_STANDS_S = 8.0
_STEP_S = 3600.0
_LOSS = 0.05
_INTERFACE = "pf0"


@dataclass(frozen=True, slots=True)
class Struck:
    """What a strike may touch. ``pids``: of the processes. ``host``: at one end of the link; None: that is a socket. ``disk`` and
    ``clocks``: of both halves; none: the host's own."""

    pids: Mapping[Party, int]
    host: Host | None
    release: Callable[[], None]
    disk: SmallDisk | None = None
    clocks: Mapping[Party, WallClock] = field(default_factory=dict)

    def go_on(self) -> None:
        """Nothing more is held."""
        self.release()


@dataclass(frozen=True, slots=True)
class Strike:
    """``kills``: its party is no more. ``silent``: for a while nothing tells what is the matter. ``cause``: what the line of a half
    that fails by it must say. ``loss``: the share of packets that the link loses, from the beginning on."""

    title: str
    party: Party
    apply: Callable[[Struck], None]
    kills: bool = False
    silent: bool = False
    cause: str = ""
    loss: float = 0.0


def _signalled(party: Party, number: signal.Signals) -> Callable[[Struck], None]:
    def apply(struck: Struck) -> None:
        os.kill(struck.pids[party], number)
        struck.release()

    return apply


def _stopped(party: Party) -> Callable[[Struck], None]:
    def apply(struck: Struck) -> None:
        os.kill(struck.pids[party], signal.SIGSTOP)
        struck.release()
        time.sleep(_STANDS_S)
        os.kill(struck.pids[party], signal.SIGCONT)

    return apply


def _link(host: Host | None, state: str) -> None:
    prefix = () if host is None else host.prefix
    subprocess.run([*prefix, "ip", "link", "set", _INTERFACE, state], check=True)


def _link_down(struck: Struck) -> None:
    _link(struck.host, "down")
    struck.release()


def _link_away(struck: Struck) -> None:
    _link_down(struck)
    time.sleep(_STANDS_S)
    _link(struck.host, "up")


def _disk_full(struck: Struck) -> None:
    assert struck.disk is not None  # noqa: S101 - for the type checker: whoever strikes it gave it
    struck.disk.fill()
    struck.release()


def _refused(party: Party, act: Callable[[int], None]) -> Callable[[Struck], None]:
    def apply(struck: Struck) -> None:
        act(struck.pids[party])
        struck.release()

    return apply


def _stepped(party: Party, seconds: float) -> Callable[[Struck], None]:
    def apply(struck: Struck) -> None:
        struck.clocks[party].step(seconds)
        struck.release()

    return apply


_HALVES: Mapping[Party, str] = {"sender": "`pageferry send`", "receiver": "`pageferry receive`"}
_NAMES: Mapping[Party, str] = {**_HALVES, "source": "the source QEMU", "destination": "the destination QEMU"}


def _of(party: Party, name: str) -> dict[str, Strike]:
    kill, end = _signalled(party, signal.SIGKILL), _signalled(party, signal.SIGTERM)
    return {
        f"{party}-killed": Strike(f"{name} is killed (SIGKILL)", party, kill, kills=True),
        f"{party}-terminated": Strike(f"{name} is asked to end (SIGTERM)", party, end, kills=True),
        f"{party}-stopped": Strike(
            f"{name} stands still for {_STANDS_S:g} s (SIGSTOP)", party, _stopped(party), silent=True
        ),
    }


def _of_half(party: Party, name: str) -> dict[str, Strike]:
    memory, files = _refused(party, no_more_memory), _refused(party, no_more_files)
    return {
        f"{party}-memory": Strike(f"{name} gets no more memory (RLIMIT_AS)", party, memory, cause="memory"),
        f"{party}-files": Strike(f"{name} may open no more files (RLIMIT_NOFILE)", party, files, cause="open files"),
        **{
            f"{party}-clock-{way}": Strike(
                f"the wall clock of {name} steps an hour {way}", "clocks", _stepped(party, seconds)
            )
            for way, seconds in (("ahead", _STEP_S), ("back", -_STEP_S))
        },
    }


STRIKES: dict[str, Strike] = {
    **{fault: strike for party, name in _NAMES.items() for fault, strike in _of(party, name).items()},
    **{fault: strike for party, name in _HALVES.items() for fault, strike in _of_half(party, name).items()},
    "disk-full": Strike("no room for the halves' statistics and sockets", "disk", _disk_full, cause="No space left"),
    "link-away": Strike(f"the link is down for {_STANDS_S:g} s", "link", _link_away, silent=True),
    "link-down": Strike("the link is down for good", "link", _link_down, silent=True),
    "link-lossy": Strike(
        f"the link loses {_LOSS * 100:g} % of all packets each way, from the beginning on",
        "link",
        Struck.go_on,
        loss=_LOSS,
    ),
}
