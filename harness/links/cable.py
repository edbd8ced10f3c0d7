"""The packet line between two namespaces as its owner sees it: started, asked whether it lives, ended. See ``packet_line``."""

from __future__ import annotations

import select
import subprocess
from pathlib import Path

from backends.children import module_argv
from harness.errors import MissingError, PeerError

__all__ = ["Cable"]

_READY_TIMEOUT_MS = 10_000
_END_TIMEOUT_S = 5.0


class Cable:
    """``delay_s`` and ``jitter_s`` as a link's; ``loss``: the share of packets that vanish, in each direction."""

    def __init__(self, delay_s: float, jitter_s: float, loss: float) -> None:
        self._settings = ["--delay-s", str(delay_s), "--jitter-s", str(jitter_s), "--loss", str(loss)]
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, near: Path, far: Path) -> None:
        """Make an interface in each namespace. :raises MissingError: this machine cannot."""
        # A session of its own: Ctrl-C is the harness's to handle. Its end is that of its standard input.
        self._process = subprocess.Popen(
            module_argv("harness.links.packet_line", *self._settings, str(near), str(far)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        stdout = self._process.stdout
        waiting = select.poll()
        if stdout is not None:
            waiting.register(stdout, select.POLLIN)
        if stdout is None or not waiting.poll(_READY_TIMEOUT_MS) or not stdout.readline():
            raise MissingError(
                f"link: no packet line between namespaces: {self._last_words(self._process)}; allow /dev/net/tun, or leave out"
                " link.delay, link.jitter and link.loss"
            )

    def check(self) -> None:
        """:raises PeerError: the line has died, and its packets with it."""
        if self._process is not None and self._process.poll() is not None:
            raise PeerError(f"link: the packet line died: {self._last_words(self._process)}")

    def close(self) -> None:
        """End the process; the interfaces go with it."""
        process, self._process = self._process, None
        if process is not None:
            self._last_words(process)

    @staticmethod
    def _last_words(process: subprocess.Popen[bytes]) -> str:
        try:
            _, said = process.communicate(timeout=_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {process.returncode}"
