"""A link without root: a process on loopback that both directions pass. See ``relay_process``."""

from __future__ import annotations

import mmap
import os
import re
import struct
import threading

from backends.children import module_argv
from harness.errors import PeerError
from harness.hosts.child import Child
from harness.links.contract import Link, LinkCounters
from harness.links.relay_process import COUNTERS_BYTES
from harness.links.shaping import UNLIMITED_LINE_BYTES, buffer_bytes, chunk_bytes
from harness.scenario.kinds import LinkSettings
from harness.units import format_bandwidth, format_bytes, format_delay

_ANSWER = re.compile(r"\d+$")
_ANSWER_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 60.0


class RelaySettings(LinkSettings):
    """A relay in userspace on loopback. It has no packets to lose."""

    kind: str = "relay"


class RelayLink(Link):
    """A relay process on loopback that both directions pass. Needs no rights; takes CPU from the parties it serves.

    With a jitter nothing overtakes.
    """

    settings = RelaySettings
    summary = "a relay in userspace on loopback, for any user; it takes CPU from the parties"
    counts = "payload of TCP connections that the relay handed on: no headers"
    counts_headers = False
    shares_cpu = True

    def __init__(self, given: LinkSettings) -> None:
        super().__init__(given)
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
        if self.given.bandwidth_bytes_per_s is None:
            return "unlimited"
        chunk, buffer = chunk_bytes(self.given.bandwidth_bytes_per_s), buffer_bytes(self.given.bandwidth_bytes_per_s)
        shape = f"one token bucket each way, {chunk} B at once, socket buffers {buffer} B"
        return f"{format_bandwidth(self.given.bandwidth_bytes_per_s)} ({shape})"

    @property
    def _length(self) -> str:
        if not self.given.delay_s and not self.given.jitter_s:
            return ""
        holds = (
            f", at most {format_bytes(UNLIMITED_LINE_BYTES)} under way"
            if self.given.bandwidth_bytes_per_s is None
            else ""
        )
        return f", {format_delay(self.given.delay_s, self.given.jitter_s)}{holds}, without TCP's windows and losses over a distance"

    def open(self) -> None:
        """Start the relay's process."""
        descriptor = os.memfd_create("pageferry-relay")
        try:
            os.ftruncate(descriptor, COUNTERS_BYTES)
            self._shared = mmap.mmap(descriptor, COUNTERS_BYTES)
            command = module_argv("harness.links.relay_process", "--counters-fd", str(descriptor))
            if self.given.bandwidth_bytes_per_s is not None:
                command += ["--bytes-per-s", str(self.given.bandwidth_bytes_per_s)]
            command += ["--delay-s", str(self.given.delay_s), "--jitter-s", str(self.given.jitter_s)]
            self._child = Child(command, hears=True, pass_fds=[descriptor]).start()
        finally:
            os.close(descriptor)

    def connect_address(self, destination_port: int) -> tuple[str, int]:
        """The relay's port for it; the first call for a port makes the relay listen. :raises PeerError: it does not."""
        with self._asking:
            if destination_port not in self._ports:
                self._ports[destination_port] = self._ask(f"{destination_port}")
            return self.destination.address, self._ports[destination_port]

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
