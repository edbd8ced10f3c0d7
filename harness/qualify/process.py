"""Runs checks in child processes, one after another, each within its time. A crash or a hang is the check's result.

A child takes checks until one ends it or asks for a process of its own; the next child takes the rest.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backends.children import module_argv
from harness.hosts import rundir
from harness.hosts.child import Child
from harness.links import netns
from harness.qualify.check import Check, Job

Outcome = dict[str, Any]

_START_S = 30.0
_STACKS_S = 0.3
_EXIT_S = 10.0
_LOOK_S = 0.2
_LONGEST_LINE_BYTES = 64 << 20
_NOT_THEIRS = ("/harness/qualify/", "/backends/conformance/", '"<frozen ')


def run_checks(
    job: Job, checks: Sequence[Check], logs: Path, *, patience: float = 1.0
) -> Iterator[tuple[str, Outcome]]:
    """``(id, outcome)`` as each check ends. An outcome is what ``child`` wrote, and ``duration_s``; ``patience``
    multiplies limits."""
    logs.mkdir(parents=True, exist_ok=True)
    waiting = list(checks)
    try:
        while waiting:
            batch = _batch(waiting)
            done = 0
            for check, outcome in _run_child(job, batch, logs, patience):
                done += 1
                yield check.id, outcome
            del waiting[:done]
    finally:  # a child that was killed, by an interrupt or at its time's end, may have had a guest migrate
        netns.remove_leftovers()
        rundir.remove_leftovers()


def _batch(waiting: Sequence[Check]) -> list[Check]:
    """The next child's checks."""
    if waiting[0].alone:
        return [waiting[0]]
    alone = next((index for index, check in enumerate(waiting) if check.alone), len(waiting))
    return list(waiting[:alone])


def _run_child(job: Job, checks: Sequence[Check], logs: Path, patience: float) -> Iterator[tuple[Check, Outcome]]:
    """At least one check and its outcome."""
    log = logs / f"{checks[0].id}.log"
    with _Checks(job, [check.id for check in checks], log) as child:
        for check in checks:
            limit_s = check.limit_s * patience
            began_s = time.monotonic()
            outcome = child.outcome(check.id, limit_s)
            yield check, {**outcome, "duration_s": time.monotonic() - began_s}
            if outcome.pop("over", False):
                return


class _Checks:
    """One process of checks. What it starts ends with it."""

    def __init__(self, job: Job, ids: Sequence[str], log: Path) -> None:
        self._log = log
        self._buffer = b""
        self._reader, self._writer = os.pipe()
        argv = module_argv("harness.qualify.child", str(self._writer), json.dumps(asdict(job)), json.dumps(ids))
        self._process = Child(argv, log=log, pass_fds=[self._writer])

    def __enter__(self) -> _Checks:
        try:
            self._process.start()
        finally:
            os.close(self._writer)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.ended(0.5)
        self._process.kill()
        os.close(self._reader)

    def outcome(self, check_id: str, limit_s: float) -> Outcome:
        """Of the check that is next. ``over``: this process takes no further one."""
        deadline_s = time.monotonic() + limit_s + _START_S
        while True:
            event = self._event(deadline_s)
            if event is None:
                return self._lost(limit_s, late=time.monotonic() >= deadline_s)
            if "begin" in event:
                deadline_s = time.monotonic() + limit_s
            elif event.pop("end", None) == check_id and "status" in event:
                return event

    def _event(self, deadline_s: float) -> dict[str, Any] | None:
        """The next line, or None: the end of the process, or of the time."""
        while b"\n" not in self._buffer:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            ended = self._process.ended() is not None  # what it forked may hold the pipe open
            if not select.select([self._reader], [], [], 0 if ended else min(left_s, _LOOK_S))[0]:
                if ended:
                    return None
                continue
            data = os.read(self._reader, 1 << 16)
            if not data or len(self._buffer) > _LONGEST_LINE_BYTES:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            event = json.loads(line)
        except ValueError:
            return {}  # a backend wrote to a descriptor that is not its own
        return event if isinstance(event, dict) else {}

    def _lost(self, limit_s: float, *, late: bool) -> Outcome:
        """It has no more to say: its time is over (``late``), or its pipe is at its end, as the process then mostly is."""
        how = self._process.ended(0.2 if late else _EXIT_S)
        if how is None and not late:
            evidence = "it closed or flooded the pipe on which checks report, and went on: it was killed"
        elif how is None:
            self._process.signal(signal.SIGUSR1)  # its stacks go to the log
            time.sleep(_STACKS_S)
            evidence = f"no end within {limit_s:g} s: it was killed; {self._where()}"
        else:
            evidence = f"the process that ran it ended: {how}; {self._where()}"
        self._process.kill()
        return {"status": "fail", "evidence": evidence, "values": [], "data": {}, "over": True}

    def _where(self) -> str:
        """Where it was, as far as its log tells."""
        frames = [line.strip() for line in self._process.said().splitlines() if line.strip().startswith("File ")]
        own = [frame for frame in frames if not any(other in frame for other in _NOT_THEIRS)]
        return f"it was in {(own or frames)[0]}" if frames else f"nothing in {self._log.name} says where it was"
