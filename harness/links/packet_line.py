"""A delay line for packets: a process between two network namespaces that holds what one sends until it is due at the other.

``python -m harness.links.packet_line --delay-s S [--jitter-s S] [--loss SHARE] NAMESPACE NAMESPACE``, started by ``NetnsLink``,
makes an interface in each namespace (its cable ends in this process), says so by a line on its standard output, and runs until
it is killed; the interfaces go with it. Packets keep their order. The kernel's TCP sees the length of the link and its
losses. Rate and counters are those of the queues before the interfaces. Needs root. Knows nothing of what the packets hold.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import os
import random
import select
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from harness.links.netlink import in_namespace
from harness.links.shaping import UNLIMITED_LINE_BYTES, Delay

INTERFACE = "pf0"
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4 = 0x01, 0x02
_PACKET_BYTES = (64 << 10) + 64  # the largest segment that the kernel leaves whole, and its headers
_AT_ONCE = 64  # packets of one end, so that the other has its turn


def open_end(namespace: Path, *, whole: bool) -> int:
    """An interface in ``namespace``, as a descriptor that gives and takes its packets.

    ``whole``: TCP's large segments pass as they are, one for up to 44 packets; without it each packet comes alone.
    """

    def work() -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", INTERFACE.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _TUN_F_CSUM | (_TUN_F_TSO4 if whole else 0))
        return descriptor

    return in_namespace(namespace, work)


@dataclass(slots=True, eq=False)
class _Way:
    """One direction."""

    source: int
    destination: int
    delay: Delay
    under_way: collections.deque[tuple[float, bytes]] = field(default_factory=collections.deque)
    held_bytes: int = 0
    last_due_s: float = 0.0


class PacketLine:
    """``loss``: the share of packets that vanish, each way, the same ones in each run."""

    def __init__(self, ends: tuple[int, int], delay_s: float, jitter_s: float, loss: float) -> None:
        near, far = ends
        there, back = Delay(delay_s, jitter_s, seed=0), Delay(delay_s, jitter_s, seed=1)
        self._ways = (_Way(near, far, there), _Way(far, near, back))
        self._loss = loss
        self._chance = random.Random(2)  # noqa: S311 - which packet is lost is no secret

    def run(self) -> NoReturn:
        """Serve for ever."""
        while True:
            due = [way.under_way[0][0] for way in self._ways if way.under_way]
            wait_s = max(0.0, min(due) - time.monotonic()) if due else None
            full = [way for way in self._ways if way.held_bytes > UNLIMITED_LINE_BYTES]
            sources = [way.source for way in self._ways if way not in full]
            readable, _, _ = select.select(sources, [], [], wait_s)
            for way in self._ways:
                self._send_off(way, way.source in readable)
                self._deliver(way)

    def _send_off(self, way: _Way, readable: bool) -> None:
        if not readable:
            return
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                packet = os.read(way.source, _PACKET_BYTES)
                if self._loss and self._chance.random() < self._loss:
                    continue
                way.last_due_s = max(way.last_due_s, way.delay.arrival(time.monotonic()))
                way.held_bytes += len(packet)
                way.under_way.append((way.last_due_s, packet))

    @staticmethod
    def _deliver(way: _Way) -> None:
        now_s = time.monotonic()
        while way.under_way and way.under_way[0][0] <= now_s:
            packet = way.under_way.popleft()[1]
            way.held_bytes -= len(packet)
            with contextlib.suppress(OSError):  # an interface that is down loses what comes, as a cable would
                os.write(way.destination, packet)


def main() -> None:
    """The process's entry."""
    parser = argparse.ArgumentParser(prog="python -m harness.links.packet_line", description=__doc__)
    parser.add_argument("namespaces", nargs=2, type=Path)
    parser.add_argument("--delay-s", type=float, default=0.0, help="in each direction: a round trip is twice as long")
    parser.add_argument("--jitter-s", type=float, default=0.0, help="up to so much more, at random; nothing overtakes")
    parser.add_argument("--loss", type=float, default=0.0, help="share of the packets that are lost in each direction")
    arguments = parser.parse_args()
    near, far = (open_end(namespace, whole=not arguments.loss) for namespace in arguments.namespaces)
    line = PacketLine((near, far), arguments.delay_s, arguments.jitter_s, arguments.loss)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    line.run()


if __name__ == "__main__":
    main()
