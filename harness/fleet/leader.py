"""A process that leads cells, one after another, for a worker: ``python -m harness.fleet.leader DESCRIPTOR``.

The worker's own process has dask's threads in it, and no way to end a run; here a signal ends one as it ends ``pageferry run``.
Orders come by the socket DESCRIPTOR, and events and ends go back. The end of the socket is the end of the process.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection

from harness.errors import PageferryError
from harness.experiment.events import Event, RunFinished, RunProgress
from harness.experiment.runner import run_scenario
from harness.fleet.orders import Said
from harness.hosts.claims import release_all
from harness.hosts.signals import interruptible
from harness.links.pair import PairSettings, Reached, leased
from harness.scenario.inventory import Pair
from harness.scenario.kinds import LinkSettings

_EXIT_INTERRUPTED = 130
_LEASE_S = 60.0
"""For the agents of a leader that was killed to end, too."""


class _Lease:
    """Of the pair of the cell that was led last: the next is mostly on the same."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._pair: Pair | None = None
        self._reached: Reached | None = None

    def __enter__(self) -> _Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def hold(self, link: LinkSettings) -> None:
        """That of ``link``, if it is a pair's. :raises PageferryError: as ``leased``."""
        pair = link.pair if isinstance(link, PairSettings) else None
        if pair == self._pair and (self._reached is None or self._reached.stands):
            return
        self._pair = None
        self._open.close()
        self._reached = self._open.enter_context(leased(link, "pageferry fleet", _LEASE_S))
        self._pair = pair


def serve(connection: Connection) -> None:
    """Lead what is ordered. :raises EOFError: nobody orders any more."""
    with _Lease() as lease:
        while True:
            packed = connection.recv_bytes()
            _say(connection, ("ended", _problem_of(packed, connection, lease)))


def _problem_of(packed: bytes, connection: Connection, lease: _Lease) -> str | None:
    """Run it, or what is left of it. What fails is the cell's, and the next may do."""
    part, identity = pickle.loads(packed)  # noqa: S301 - of the client whose worker started us
    if not part.folder.parent.is_dir():
        return (
            f"{part.folder.parent}: is not there on {socket.gethostname()}, its worker's: choose an --out that both see"
        )

    def on_event(event: Event) -> None:
        if isinstance(event, RunFinished):  # the rest is in the result
            event = RunFinished(replace(event.run, samples=(), decisions=()))
        if not isinstance(event, RunProgress):
            _say(connection, ("event", pickle.dumps(event)))

    try:
        lease.hold(part.scenario.link)
        run_scenario(part.scenario, part.folder, on_event, identity=identity, resume=True)
    except PageferryError as exc:
        return str(exc)
    return None


def _say(connection: Connection, said: Said) -> None:
    connection.send(said)


def _main() -> int:
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    try:
        with Connection(descriptor) as connection, interruptible(release_all, ends_program=True):
            serve(connection)
    except EOFError:
        pass
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(_main())
