"""Side by side: threads, processes, and the child of a fork."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict

from backends.children import code_argv
from backends.conformance import KINDS, sample
from harness.hosts.child import Child
from harness.qualify.check import Bench, Check, Failed, Found, Job, NotApplicable, check
from harness.qualify.checks.contract import rule_check

CHECKS: list[Check] = []

_PROCESSES = 3
_PATIENCE_S = 60.0
_FORK_S = 20.0

rule_check(CHECKS, "concurrency.threads", "threads", "the migrator has an instance in each of its threads")
rule_check(
    CHECKS,
    "concurrency.gil",
    "gil",
    "the migrator's other threads read, send and compress meanwhile; what holds the GIL stops them all",
)


def round_trips(bench: Bench, batches: int, seed: int) -> None:
    """So many batches of every kind, by one instance. :raises Failed: one came back different."""
    with bench.opened() as instance:
        for number in range(batches):
            kind = KINDS[number % len(KINDS)]
            data = sample(kind, 4096 * (1 + number % 37), seed=seed)
            if bytes(instance.decompress(instance.compress(data), len(data))) != data:
                raise Failed(f"batch {number}, {len(data)} bytes of {kind}: came back different")


@check(
    CHECKS,
    "concurrency.processes",
    f"{_PROCESSES} processes use it at once",
    "hosts migrate several guests at once, each with a sender of its own; a card must serve them all",
    limit_s=90,
    alone=True,
)
def _processes(bench: Bench) -> Found:
    batches = 100 if bench.quick else 1000
    code = "from harness.qualify.checks.concurrency import _process; _process(sys.argv[1:])"
    commands = [code_argv(code, json.dumps(asdict(bench.job)), str(batches), str(seed)) for seed in range(_PROCESSES)]
    with ExitStack() as stack:
        running = [stack.enter_context(Child(command)) for command in commands]
        deadline_s = time.monotonic() + _PATIENCE_S
        for number, process in enumerate(running):
            if process.ended(max(0.0, deadline_s - time.monotonic())) is None:
                raise Failed(f"process {number} of {_PROCESSES} is still at work after {_PATIENCE_S:g} s")
            if process.status:
                raise Failed(f"process {number} of {_PROCESSES}: {process.end_and_words()}")
    return Found(f"{_PROCESSES} processes x {batches} batches")


def _process(arguments: list[str]) -> None:
    job, batches, seed = arguments
    round_trips(Bench(Job(**json.loads(job))), int(batches), int(seed))


@check(
    CHECKS,
    "concurrency.fork",
    "after a fork, parent and child both work on",
    "supervisors fork; a library whose handle the child inherits corrupts, hangs or serves the wrong process",
    limit_s=90,
    alone=True,
)
def _fork(bench: Bench) -> Found:
    if not bench.info.survives_fork:
        raise NotApplicable("it declares info.survives_fork = False")
    rounds = 40
    with bench.opened() as instance:
        data = sample("text", 65536)
        instance.compress(data)
        pid = os.fork()
        if pid == 0:
            _in_fork(bench, rounds)
        status = _wait(pid)
        if status != 0:
            raise Failed(f"in the child of a fork, new instances {_ENDINGS.get(status, f'ended with status {status}')}")
        again = bench.make() if bench.info.stateful else instance
        if bytes(again.decompress(again.compress(data), len(data))) != data:
            raise Failed("after a fork, the parent's instance restored other data")
    return Found(f"{rounds} batches by a new instance in the child, then one by the parent's")


_ENDINGS = {1: "restored other data", 2: "raised an error", -signal.SIGKILL: f"had no end within {_FORK_S:g} s"}


def _in_fork(bench: Bench, rounds: int) -> None:
    try:
        round_trips(bench, rounds, seed=9)
    except Failed:
        os._exit(1)
    except BaseException as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr, flush=True)  # noqa: T201 - the log
        os._exit(2)
    os._exit(0)


def _wait(pid: int) -> int:
    """The child's exit status; killed when its time is over."""
    deadline_s = time.monotonic() + _FORK_S
    while time.monotonic() < deadline_s:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
