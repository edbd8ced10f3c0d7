"""Who waits for a worker: a scheduler that is somebody's own may have none for a pair, or lose it, and says nothing of that."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from distributed import Client

from harness.errors import MissingError, PeerError
from harness.fleet.cluster import resource_of, workers_with
from harness.units import format_duration

EVERY_S = 5.0
"""How often is looked; whoever waits at a terminal hears of it within twice that."""


class Watch:
    """``address``: the scheduler's, as the user gave it. ``limit_s``: how long a pair may have no worker while it has cells to run.
    ``say`` is given a line when that changes.

    A worker that is killed is gone for its scheduler at once; one whose host hangs only after the scheduler's own patience
    (worker-ttl, 5 minutes where dask's settings do not say otherwise).
    """

    def __init__(
        self,
        client: Client,
        address: str,
        limit_s: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._limit_s, self._say, self._clock = client, limit_s, say, clock
        self._address = address
        self._since_s: dict[str, float] = {}
        self._next_s = clock()

    def look(self, pairs: Collection[str]) -> None:
        """At the workers of ``pairs``, which have cells to run; too soon after the last look, at nothing.

        :raises PeerError: the scheduler is gone. :raises MissingError: one of them has had no worker for too long.
        """
        now_s = self._clock()
        if now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        without = [pair for pair in sorted(pairs) if not self._workers_of(pair)]
        changed = set(without) != set(self._since_s)
        self._since_s = {pair: self._since_s.get(pair, now_s) for pair in without}
        if changed:
            self._tell(len(pairs), without)
        if late := [pair for pair in without if now_s - self._since_s[pair] >= self._limit_s]:
            raise MissingError(
                f"{self._address}: no worker has had the pair {late[0]} for {format_duration(self._limit_s)}: "
                f"{self._remedy(late[0])}, and go on with --resume; or wait longer with --worker-timeout"
            )

    def _workers_of(self, pair: str) -> list[str]:
        try:
            return workers_with(self._client, {pair})
        except OSError as exc:
            raise PeerError(
                f"{self._address}: the scheduler does not answer any more: see whether it runs there, and go on with --resume"
            ) from exc

    def _tell(self, pairs: int, without: Sequence[str]) -> None:
        has = f"{pairs - len(without)} of {pairs} pairs with cells to run have a worker"
        if without:
            has += f", none has {', '.join(without)}: {self._remedy(without[0])} ({format_duration(self._limit_s)} are waited)"
        self._say(has)

    def _remedy(self, pair: str) -> str:
        return (
            f"start one that reaches its hosts by ssh: dask worker {self._address} --nthreads 1 "
            f"--resources {resource_of(pair)}=1"
        )
