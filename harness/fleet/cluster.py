"""Where cells run: workers of our own on this machine, or those of somebody's scheduler. All of dask's settings are here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Sequence

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.security import Security

from harness.errors import PeerError
from harness.hosts.rundir import open_scratch
from harness.terminal import one_line

_LOOPBACK = "127.0.0.1"
_SAFE_PATH = "PYTHONSAFEPATH"
_JOIN_S = 5
"""For whoever waits at a terminal; a scheduler that is there answers in milliseconds."""
_ANSWER_S = 60
_SETTINGS = {
    # A machine that is measured is busy: nobody is taken for dead who only waits for a processor.
    "distributed.comm.timeouts.connect": "120s",
    "distributed.comm.timeouts.tcp": "300s",
    "distributed.scheduler.worker-ttl": "15 minutes",
    "distributed.deploy.lost-worker-timeout": "15 minutes",
    "distributed.scheduler.allowed-failures": 3,
    # A cell belongs to its pair, whose worker does nothing beside it.
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["harness.fleet.worker"],
    "distributed.nanny.environ": {},
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.admin.system-monitor.gil.enabled": False,
    # Scheduler, nanny and worker wake 50 times a second to see whether they are late, and twice to look at their machine.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


def resource_of(pair: str) -> str:
    """What its worker has one of, and a cell needs."""
    return f"pair-{pair}"


@contextlib.contextmanager
def own_cluster(groups: Sequence[Sequence[str]]) -> Iterator[tuple[Client, str]]:
    """A scheduler in this process and a worker process for each group of pairs, which end with it. Gives the address of the
    dashboard too.

    Who else is on this machine cannot speak to them: keys are made for them alone.
    """
    with open_scratch() as folder, _safe_path(), dask.config.set(_SETTINGS | {"temporary-directory": str(folder)}):
        security = Security.temporary()
        speech = {"host": _LOOPBACK, "protocol": "tls://", "security": security}
        scheduler = {"cls": Scheduler, "options": {**speech, "port": 0, "dashboard_address": f"{_LOOPBACK}:0"}}
        with (
            SpecCluster(
                workers={pairs[0]: {"cls": Nanny, "options": {**speech, **_worker(pairs)}} for pairs in groups},
                scheduler=scheduler,
                security=security,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client, cluster.dashboard_link


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """dask's own processes do not look for modules in the working folder, where a ``queue.py`` may lie."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def _worker(pairs: Sequence[str]) -> dict[str, object]:
    return {
        "name": pairs[0],
        "nthreads": 1,
        "resources": {resource_of(pair): 1 for pair in pairs},
        "memory_limit": 0,
        "dashboard": False,
        "silence_logs": logging.CRITICAL,
    }


@contextlib.contextmanager
def joined_cluster(address: str) -> Iterator[tuple[Client, str]]:
    """A scheduler that is there, and whatever workers it has. Gives the address of the dashboard too.

    :raises PeerError: no scheduler answers at ``address`` in time.
    """
    with dask.config.set(_SETTINGS), contextlib.ExitStack() as stack:
        for name in ("distributed", "distributed.client"):  # the second is told a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            client = stack.enter_context(Client(address, timeout=_JOIN_S))
        except OSError as exc:
            raise PeerError(
                f"--scheduler {address}: no scheduler answers there within {_JOIN_S} s: start one (dask scheduler), or leave "
                "--scheduler out"
            ) from exc
        except Exception as exc:  # dask raises whatever its reading of another program's bytes ends in
            raise PeerError(
                f"--scheduler {address}: no scheduler that we can speak to: {type(exc).__name__}: {one_line(str(exc))}; write "
                "its address as it tells it, such as tcp://lab-head:8786"
            ) from exc
        yield client, client.dashboard_link


def workers_with(client: Client, pairs: Collection[str]) -> list[str]:
    """Addresses of the workers that have any of ``pairs``. :raises OSError: the scheduler does not answer."""
    needed = {resource_of(pair) for pair in pairs}
    # Not Client.scheduler_info: what it gives may be overwritten meanwhile by what the client asks now and then, without workers.
    assert client.scheduler is not None  # noqa: S101 - it is connected
    found = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_ANSWER_S)
    return [address for address, worker in found["workers"].items() if needed & set(worker["resources"])]
