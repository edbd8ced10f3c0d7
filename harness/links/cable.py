"""The packet line between two namespaces as its owner sees it: started, asked whether it lives, ended. See ``packet_line``."""

from __future__ import annotations

import re
from pathlib import Path

from backends.children import module_argv
from harness.errors import MissingError, PeerError
from harness.hosts.child import Child

__all__ = ["Cable"]

_READY, _READY_TIMEOUT_S = re.compile("ready$"), 10.0


class Cable:
    """``delay_s`` and ``jitter_s`` as a link's; ``loss``: the share of packets that vanish, in each direction."""

    def __init__(self, delay_s: float, jitter_s: float, loss: float) -> None:
        self._settings = ["--delay-s", str(delay_s), "--jitter-s", str(jitter_s), "--loss", str(loss)]
        self._child: Child | None = None

    def open(self, near: Path, far: Path) -> None:
        """Make an interface in each namespace. :raises MissingError: this machine cannot."""
        self._child = Child(module_argv("harness.links.packet_line", *self._settings, str(near), str(far))).start()
        if self._child.hear(_READY, _READY_TIMEOUT_S) is None:
            why = self._child.end_and_words() or "it is not ready"
            raise MissingError(
                f"link: no packet line between namespaces: {why}; allow /dev/net/tun, or leave out link.delay, link.jitter and"
                " link.loss"
            )

    def check(self) -> None:
        """:raises PeerError: the line has died, and its packets with it."""
        if self._child is not None and (how := self._child.end_and_words()) is not None:
            raise PeerError(f"link: the packet line died: {how}")

    def close(self) -> None:
        """End the process; the interfaces go with it."""
        if self._child is not None:
            self._child.stop()
            self._child = None
