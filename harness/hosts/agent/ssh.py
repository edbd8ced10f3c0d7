"""How a host is reached: the system's own ssh, and where pageferry is started there."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import IO

PREPARED_IN = ".local/share/pageferry"
"""Below the home folder there: what `pageferry hosts prepare` fills."""
PREPARED = f'env "PATH=$HOME/{PREPARED_IN}/current/bin:$PATH" pageferry'
"""Starts the pageferry that was put there, else the one on the PATH that ssh gives; each login shell understands it."""
_MOST_WORDS_BYTES = 64 << 10
_END_S = 5.0


def ssh_to(host: str, command: str, config: Path | None = None) -> list[str]:
    """Runs ``command`` there, with the user's configuration and keys, and no questions: nobody is there to answer."""
    options = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=4")
    argv = ["ssh", "-T", *(part for option in options for part in ("-o", option))]
    return [*argv, *(("-F", str(config)) if config is not None else ()), "--", host, command]


def ssh_argv(host: str, command: str = PREPARED, config: Path | None = None) -> list[str]:
    """Starts the agent there."""
    return ssh_to(host, f"{command} agent", config)


class LastWords(threading.Thread):
    """The end of what a command there writes to ``stream``, however much that is: it is read to its end, so that nothing waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="last-words", daemon=True)
        self._stream, self._kept = stream, b""
        self.start()

    def run(self) -> None:
        """Until the stream ends, or is closed by whoever gives it up."""
        with contextlib.suppress(OSError, ValueError), self._stream:
            while piece := self._stream.read1(_MOST_WORDS_BYTES):  # type: ignore[attr-defined] # a pipe's
                self._kept = (self._kept + piece)[-_MOST_WORDS_BYTES:]

    def text(self) -> str:
        """Once the stream has ended, or what has come by then where somebody else holds it open."""
        self.join(_END_S)
        return self._kept.decode(errors="replace")
