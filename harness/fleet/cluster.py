"""Where cells run: workers of our own on this machine, or those of somebody's scheduler. All of dask's settings are here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.security import Security

__all__ = ["own_cluster", "resource_of"]

_LOOPBACK = "127.0.0.1"
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
}


def resource_of(pair: str) -> str:
    """What its worker has one of, and a cell needs."""
    return f"pair-{pair}"


@contextlib.contextmanager
def own_cluster(pairs: Sequence[str]) -> Iterator[tuple[Client, str]]:
    """A scheduler in this process and a worker process for each pair, which end with it. Gives the address of the dashboard too.

    Who else is on this machine cannot speak to them: keys are made for them alone.
    """
    with dask.config.set(_SETTINGS):
        security = Security.temporary()
        speech = {"host": _LOOPBACK, "protocol": "tls://", "security": security}
        scheduler = {"cls": Scheduler, "options": {**speech, "port": 0, "dashboard_address": f"{_LOOPBACK}:0"}}
        with (
            SpecCluster(
                workers={pair: {"cls": Nanny, "options": {**speech, **_worker(pair)}} for pair in pairs},
                scheduler=scheduler,
                security=security,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client, cluster.dashboard_link


def _worker(pair: str) -> dict[str, object]:
    return {
        "name": pair,
        "nthreads": 1,
        "resources": {resource_of(pair): 1},
        "memory_limit": 0,
        "dashboard": False,
        "silence_logs": logging.CRITICAL,
    }
