"""What can happen to one of the four processes of a migration, or to the link between two of them: each fault once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.hosts.contract import Host

Party = Literal["sender", "receiver", "source", "destination", "link"]
_STANDS_S = 8.0
_INTERFACE = "pf0"


@dataclass(frozen=True, slots=True)
class Struck:
    """What a strike may touch. ``pids``: of the processes. ``host``: at one end of the link; None: that is a socket."""

    pids: Mapping[Party, int]
    host: Host | None
    release: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Strike:
    """``kills``: its party is no more. ``silent``: for a while nothing tells what is the matter."""

    title: str
    party: Party
    apply: Callable[[Struck], None]
    kills: bool = False
    silent: bool = False


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


_NAMES: Mapping[Party, str] = {
    "sender": "`pageferry send`", "receiver": "`pageferry receive`", "source": "the source QEMU",
    "destination": "the destination QEMU",
}  # fmt: skip


def _of(party: Party, name: str) -> dict[str, Strike]:
    kill, end = _signalled(party, signal.SIGKILL), _signalled(party, signal.SIGTERM)
    return {
        f"{party}-killed": Strike(f"{name} is killed (SIGKILL)", party, kill, kills=True),
        f"{party}-terminated": Strike(f"{name} is asked to end (SIGTERM)", party, end, kills=True),
        f"{party}-stopped": Strike(
            f"{name} stands still for {_STANDS_S:g} s (SIGSTOP)", party, _stopped(party), silent=True
        ),
    }


STRIKES: dict[str, Strike] = {
    **{fault: strike for party, name in _NAMES.items() for fault, strike in _of(party, name).items()},
    "link-away": Strike(f"the link is down for {_STANDS_S:g} s", "link", _link_away, silent=True),
    "link-down": Strike("the link is down for good", "link", _link_down, silent=True),
}
