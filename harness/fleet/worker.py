"""What a dask worker does: it hands cells to its leader, tells what that tells, and ends it when asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import dask
from distributed import get_worker

from backends.children import module_argv
from harness.fleet.orders import INTERRUPTED, Order
from harness.hosts.agent.identity import code_digest
from harness.hosts.child import Child

__all__ = ["dask_setup", "end_leader", "run_cell"]

_PATIENCE_S = 60.0
"""For a leader to take down what its run had started."""


def dask_setup(_: object) -> None:
    """Called by dask in a worker of ours that starts. Ctrl-C at a terminal is for the command, which ends its workers itself."""
    os.setsid()


def run_cell(order: Order) -> str | None:
    """The task: run the cell, whose result is saved when it returns. Gives why it is not whole, in a line."""
    if order.code != code_digest():
        return (
            f"the pageferry of its worker on {socket.gethostname()} is another: install one and the same there and here"
        )
    worker = get_worker()

    def tell(event: bytes | None) -> None:
        worker.log_event(order.session, (order.name, event))

    tell(None)
    return _LEADER.lead(order, tell)


async def end_leader(session: str) -> None:
    """Called in the worker: nothing of ``session`` is run any more, and a leader that led it last takes down what it runs."""
    await asyncio.to_thread(_LEADER.end, session)


class _Leader:
    """Started for the first cell, and kept: what it imports takes longer than a small run."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._connection: Connection | None = None
        self._over: set[str] = set()
        self._session = ""
        self._turn = threading.Lock()

    def lead(self, order: Order, tell: Callable[[bytes], None]) -> str | None:
        try:
            with self._turn:
                if order.session in self._over:
                    return INTERRUPTED
                self._session = order.session
                connection = self._connected()
                connection.send_bytes(order.packed)
            while (said := connection.recv())[0] == "event":
                tell(said[1])
        except (EOFError, OSError):
            return INTERRUPTED if order.session in self._over else f"the process that led it ended: {self._how()}"
        problem: str | None = said[1]
        return problem

    def end(self, session: str) -> None:
        with self._turn:  # a leader that ends is given nothing
            self._over.add(session)
            if session == self._session and (child := self._child) is not None and child.status is None:
                child.signal(signal.SIGTERM)
                child.ended(_PATIENCE_S)
                child.kill()

    def _connected(self) -> Connection:
        if self._child is None or self._connection is None or self._child.status is not None:
            self._connection, theirs = Pipe()
            with theirs:
                argv = module_argv("harness.fleet.leader", str(theirs.fileno()))
                self._child = Child(argv, prefix=_own_environment(), pass_fds=(theirs.fileno(),)).start()
        return self._connection

    def _how(self) -> str | None:
        child = self._child
        assert child is not None  # noqa: S101 - it was spoken to
        how = child.end_and_words(_PATIENCE_S)
        child.stop()
        return how


def _own_environment() -> tuple[str, ...]:
    """dask tunes malloc and threads by variables for what it computes, which is not what is measured."""
    names = dask.config.get("distributed.nanny.pre-spawn-environ")
    return ("env", *(word for name in names for word in ("-u", name)))


_LEADER = _Leader()
