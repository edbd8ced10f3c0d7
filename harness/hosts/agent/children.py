"""An agent's child processes: what they write and how they end is told to whoever is at the stream's other end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Sequence

from harness.hosts.agent.frames import Frames
from harness.hosts.agent.messages import Ended, Output
from harness.hosts.child import Child

_READ_BYTES = 1 << 16
_REAP_S = 10.0


class Children:
    """By number. Each has a thread that waits for its output and its end."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._running: dict[int, Child] = {}

    def start(self, number: int, argv: Sequence[str]) -> int:
        """Its process id. :raises MissingError: the program is not there."""
        output, into = os.pipe2(os.O_CLOEXEC)
        try:
            child = Child(argv, output=into).start()
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(into)
        self._running[number] = child
        follow = threading.Thread(
            target=self._follow, args=(number, child, output), name=f"child-{number}", daemon=True
        )
        follow.start()
        return child.pid

    def cpu_s(self, number: int) -> float:
        """So far."""
        return self._running[number].cpu_s()

    def signal(self, number: int, which: int) -> None:
        """If it still runs."""
        if (child := self._running.get(number)) is not None:
            child.signal(signal.Signals(which))

    def kill_all(self) -> None:
        """At once, and all that they started."""
        for child in tuple(self._running.values()):
            child.kill()

    def _follow(self, number: int, child: Child, output: int) -> None:
        with contextlib.closing(os.fdopen(output, "rb", buffering=0)), contextlib.suppress(OSError):
            end = os.pidfd_open(child.pid)
            try:
                self._pass_on(number, output, end)
            finally:
                os.close(end)
            child.ended(_REAP_S)
            os.set_blocking(output, False)
            with contextlib.suppress(BlockingIOError):
                while self._told(number, output):
                    pass
            self._frames.send(Ended(child=number, status=child.status or 0, cpu_s=child.cpu_s()))

    def _pass_on(self, number: int, output: int, end: int) -> None:
        """Until it has ended, whoever else may hold its output open."""
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.register(output, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if output in ready and not self._told(number, output):
                poll.unregister(output)
            if end in ready:
                return

    def _told(self, number: int, output: int) -> bool:
        data = os.read(output, _READ_BYTES)
        if data:
            self._frames.send(Output(child=number), data)
        return bool(data)
