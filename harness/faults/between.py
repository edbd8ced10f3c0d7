"""A place on somebody's way: a unix socket that listens, and threads for who comes. What passes there is its subclasses' matter."""

from __future__ import annotations

import abc
import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from harness.migrator.transport.sockets import close_all

_END_S = 5.0


class Between(abc.ABC):
    """Listens at ``here``. A context manager; ``_open`` is closed with it."""

    def __init__(self, here: Path, *, most_waiting: int) -> None:
        self._here = here
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._failure: RuntimeError | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(here))
        self._listener.listen(most_waiting)

    @abc.abstractmethod
    def _serve(self) -> None:
        """Who comes to ``_listener``, until that is closed."""

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name=f"faults-{type(self).__name__.lower()}", daemon=True)
        thread.start()
        self._threads.append(thread)  # one that did not start cannot be joined

    def _guarded(self) -> None:
        """That no thread can be started is for ``close`` to raise; whoever has connected is let go at once."""
        try:
            with contextlib.suppress(OSError):
                self._serve()
        except RuntimeError as exc:
            self._failure = exc
            close_all(self._listener, *self._open)

    def close(self) -> None:
        """Whatever it holds open. :raises RuntimeError: it could not start a thread."""
        close_all(self._listener, *self._open)
        for thread in self._threads:
            thread.join(_END_S)
        close_all(*self._open)  # and what came meanwhile
        self._here.unlink(missing_ok=True)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        """It listens. :raises RuntimeError: it cannot start a thread."""
        try:
            self._spawn(self._guarded)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Closed."""
        self.close()
