"""Cells -> tasks -> results on the disk. Start reading here.

A task's key says which cell it is. Its worker runs what of the cell has not been run, and all of that is saved when the task
returns: a worker that dies costs the run in progress, and a task that dask does twice finds the cell whole.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

from distributed import Client, Future

from harness.experiment.events import Event
from harness.fleet.cells import Begun, Cell, Ended
from harness.fleet.cluster import resource_of, workers_with
from harness.fleet.waiting import EVERY_S
from harness.fleet.worker import end_leader, run_cell
from harness.results.identity import Identity

OnEvent = Callable[[Cell, Event | Begun | Ended], None]
Look = Callable[[Collection[str]], None]
_Heard = tuple[str, Event | Begun | Ended]


def run_cells(client: Client, cells: Sequence[Cell], identity: Identity, on_event: OnEvent, look: Look) -> None:
    """All of them, each on its pair's worker, in their order; ``on_event`` is called by this thread, and ``look`` every
    few seconds with the pairs that have cells to run.

    An interrupt, and what ``look`` raises, ends the runs in progress, whose parts are taken down before it goes on.
    """
    session, by_name = uuid.uuid4().hex, {cell.name: cell for cell in cells}
    heard: queue.SimpleQueue[_Heard] = queue.SimpleQueue()
    client.subscribe_topic(session, lambda event: heard.put(_unpacked(*event[1])))
    futures: dict[str, Future[str | None]] = {}
    try:
        for index, cell in enumerate(cells):
            futures[cell.name] = future = _submit(client, cell, identity, session, index)
            future.add_done_callback(lambda done, name=cell.name: heard.put((name, _end_of(done))))
        while futures:
            look({by_name[name].pair for name in futures})
            for name, event in _next(heard, futures):
                on_event(by_name[name], event)
                if isinstance(event, Ended):
                    del futures[name]
    finally:
        _end(client, session, cells, list(futures.values()))


def _next(heard: queue.SimpleQueue[_Heard], futures: Mapping[str, Future[str | None]]) -> list[_Heard]:
    """Of cells that have not ended: what was heard, or after ``EVERY_S`` without a word each one's end that dask told nobody, since
    the host refused it a thread for that."""
    try:
        name, event = heard.get(timeout=EVERY_S)
    except queue.Empty:
        return [(name, _end_of(future)) for name, future in futures.items() if future.done()]
    return [(name, event)] if name in futures else []


def _end(client: Client, session: str, cells: Sequence[Cell], left: Sequence[Future[str | None]]) -> None:
    """Nothing of it is run any more; a scheduler that has gone is told nothing."""
    if client.status != "running":
        return
    client.cancel(left)
    with contextlib.suppress(OSError):
        if workers := workers_with(client, {cell.pair for cell in cells}):
            client.run(end_leader, session, workers=workers)


def _submit(client: Client, cell: Cell, identity: Identity, session: str, index: int) -> Future[str | None]:
    key, needs = f"{cell.name}-{identity.run_id}", {resource_of(cell.pair): 1}
    return client.submit(run_cell, cell.order(identity, session), key=key, resources=needs, priority=-index)


def _unpacked(name: str, event: bytes | None) -> _Heard:
    return name, Begun() if event is None else pickle.loads(event)  # noqa: S301 - of our own leaders


def _end_of(done: Future[str | None]) -> Ended:
    if done.status == "finished":
        return Ended(done.result())
    exc = done.exception() if done.status == "error" else None
    return Ended(
        f"{type(exc).__name__}: {exc}"
        if exc is not None
        else f"its scheduler ended, or dropped it ({done.status}): see whether that runs, and go on with --resume"
    )
