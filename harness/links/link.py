"""Makes the link that every method of a scenario crosses: network namespaces as root, a userspace relay otherwise.

Start here: ``with open_link(kind, bandwidth) as link``. Knows nothing of QEMU or of what crosses the link.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import struct
import threading
from collections.abc import Iterator
from typing import Literal

from backends.children import module_argv
from harness.errors import MissingError, PeerError
from harness.hosts.child import Child
from harness.links.link_api import Link, LinkCounters
from harness.links.netns import NetnsLink, remove_leftovers
from harness.links.relay import COUNTERS_BYTES
from harness.links.shaping import UNLIMITED_LINE_BYTES, buffer_bytes, chunk_bytes
from harness.units import format_bandwidth, format_bytes, format_delay

__all__ = ["Link", "LinkCounters", "NetnsLink", "RelayLink", "choose_link", "open_link", "remove_leftovers"]

LinkKind = Literal["auto", "netns", "relay"]
_HOST = "127.0.0.1"
_ANSWER = re.compile(r"\d+$")
_ANSWER_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 5.0


class RelayLink(Link):
    """A relay process on loopback that both directions pass. Needs no rights; takes CPU from the parties it serves.

    ``delay_s`` is added in each direction, so that a round trip takes twice as long; ``jitter_s`` is up to so much more at
    random, and nothing overtakes.
    """

    kind = "relay"
    counts = "payload of TCP connections that the relay handed on: no headers"

    def __init__(
        self,
        bandwidth_bytes_per_s: int | None,
        reason: str | None = None,
        *,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
    ) -> None:
        super().__init__(bandwidth_bytes_per_s, reason)
        self.delay_s = delay_s
        self.jitter_s = jitter_s
        self._child: Child | None = None
        self._shared: mmap.mmap | None = None
        self._ports: dict[int, int] = {}
        self._asking = threading.Lock()

    @property
    def description(self) -> str:
        """Kind, rate, and what shapes it."""
        return f"relay: a userspace relay on loopback, {self._rate}{self._length}; it shares the CPU with both parties"

    @property
    def _rate(self) -> str:
        if self.bandwidth_bytes_per_s is None:
            return "unlimited"
        chunk, buffer = chunk_bytes(self.bandwidth_bytes_per_s), buffer_bytes(self.bandwidth_bytes_per_s)
        shape = f"one token bucket each way, {chunk} B at once, socket buffers {buffer} B"
        return f"{format_bandwidth(self.bandwidth_bytes_per_s)} ({shape})"

    @property
    def _length(self) -> str:
        if not self.delay_s and not self.jitter_s:
            return ""
        holds = (
            f", at most {format_bytes(UNLIMITED_LINE_BYTES)} under way" if self.bandwidth_bytes_per_s is None else ""
        )
        return f", {format_delay(self.delay_s, self.jitter_s)}{holds}, without TCP's windows and losses over a distance"

    def another(self) -> RelayLink:
        """With a process of its own."""
        return RelayLink(self.bandwidth_bytes_per_s, self.reason, delay_s=self.delay_s, jitter_s=self.jitter_s)

    def open(self) -> None:
        """Start the relay's process."""
        descriptor = os.memfd_create("pageferry-relay")
        try:
            os.ftruncate(descriptor, COUNTERS_BYTES)
            self._shared = mmap.mmap(descriptor, COUNTERS_BYTES)
            command = module_argv("harness.links.relay", "--counters-fd", str(descriptor))
            if self.bandwidth_bytes_per_s is not None:
                command += ["--bytes-per-s", str(self.bandwidth_bytes_per_s)]
            command += ["--delay-s", str(self.delay_s), "--jitter-s", str(self.jitter_s)]
            self._child = Child(command, hears=True, pass_fds=[descriptor]).start()
        finally:
            os.close(descriptor)

    def connect_address(self, destination_port: int) -> tuple[str, int]:
        """The relay's port for it; the first call for a port makes the relay listen. :raises PeerError: it does not."""
        with self._asking:
            if destination_port not in self._ports:
                self._ports[destination_port] = self._ask(f"{destination_port}")
            return _HOST, self._ports[destination_port]

    def set_bandwidth(self, bytes_per_s: int) -> None:
        """Buffers grow with the rate and never shrink: a connection's window may not. :raises PeerError: the relay is gone."""
        with self._asking:
            self._ask(f"rate={bytes_per_s}")

    def _ask(self, what: str) -> int:
        child = self._living()
        child.tell(what)
        answer = child.hear(_ANSWER, _ANSWER_TIMEOUT_S)
        if answer is None:
            self._living()
            raise PeerError(f"link: the relay (process {child.pid}) did not answer in {_ANSWER_TIMEOUT_S:g} s")
        return int(answer[0])

    def counters(self) -> LinkCounters:
        """Bytes handed on so far; read from shared memory, so nothing is asked of the relay."""
        self._living()
        return LinkCounters(*struct.unpack("@QQ", self._shared or b""))

    def _living(self) -> Child:
        if self._child is None:
            raise PeerError("link: the relay is not open")
        if (how := self._child.end_and_words()) is not None:
            raise PeerError(f"link: the relay died: {how}")
        return self._child

    def close(self) -> None:
        """End the relay: its connections are reset."""
        if self._child is not None:
            self._child.stop(_END_TIMEOUT_S)
            self._child = None
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        self._ports.clear()


def choose_link(
    kind: LinkKind, bandwidth_bytes_per_s: int | None, delay_s: float = 0.0, jitter_s: float = 0.0, loss: float = 0.0
) -> Link:
    """The link to enter. ``auto`` makes a trial of namespaces and falls back to the relay, saying why in ``reason``; a delay is
    the relay's, and packets to lose have namespaces alone."""
    length = {"delay_s": delay_s, "jitter_s": jitter_s}
    if kind == "netns" or (kind == "auto" and loss):
        reason = 'link.kind = "netns"' if kind == "netns" else "auto: only network namespaces lose packets"
        return NetnsLink(bandwidth_bytes_per_s, reason, **length, loss=loss)
    if kind == "relay":
        return RelayLink(bandwidth_bytes_per_s, 'link.kind = "relay"', **length)
    if any(length.values()):
        reason = "auto: a delay, which the relay makes without TCP's own limits over a distance; netns has those"
        return RelayLink(bandwidth_bytes_per_s, reason, **length)
    try:
        with NetnsLink(bandwidth_bytes_per_s):
            pass
    except (MissingError, PeerError) as exc:
        return RelayLink(bandwidth_bytes_per_s, f"auto: no network namespaces here: {exc}")
    return NetnsLink(bandwidth_bytes_per_s, "auto: root, and a trial of network namespaces worked")


@contextlib.contextmanager
def open_link(
    kind: LinkKind, bandwidth_bytes_per_s: int | None, delay_s: float = 0.0, jitter_s: float = 0.0, loss: float = 0.0
) -> Iterator[Link]:
    """Choose, make, give and remove a link. :raises MissingError: this machine cannot make the kind asked for."""
    with choose_link(kind, bandwidth_bytes_per_s, delay_s, jitter_s, loss) as link:
        yield link
