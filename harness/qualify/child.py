"""The process that checks run in: whatever a backend does to it, the qualification goes on.

Writes one line of JSON per event to a pipe of its own: {"begin": ID}, then {"end": ID, ...}. Standard output and error are the
backend's, and go to a log.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import Any

from harness.errors import PageferryError
from harness.qualify.catalogue import CHECKS
from harness.qualify.check import Bench, Check, Failed, Found, Job, NotApplicable, Value
from harness.qualify.identity import IDENTITY


def main() -> None:
    """``argv``: the pipe's number, the job, and the checks' ids, the last two as JSON."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    pipe = int(sys.argv[1])
    os.set_inheritable(pipe, False)
    job = Job(**json.loads(sys.argv[2]))
    for check_id in json.loads(sys.argv[3]):
        _say(pipe, {"begin": check_id})
        _say(pipe, {"end": check_id, **_outcome(job, {**CHECKS, IDENTITY.id: IDENTITY}[check_id])})
    # What a backend left running must not keep this process: it was looked for by the checks that look for it.
    sys.stdout.flush()
    os._exit(0)


def _say(pipe: int, event: dict[str, Any]) -> None:
    data = b"\n" + json.dumps(event, default=str).encode() + b"\n"  # in front too: a backend may have written there
    while data:
        data = data[os.write(pipe, data) :]


def _outcome(job: Job, check: Check) -> dict[str, Any]:
    try:
        found = check.run(Bench(job))
    except Failed as exc:
        return _told("fail", str(exc), exc.values)
    except NotApplicable as exc:
        return _told("n/a", str(exc))
    except Exception as exc:  # a backend may raise anything, anywhere
        return _told("fail", str(exc) if isinstance(exc, PageferryError) else _line(exc))
    return _told("pass", found.evidence, found.values, found)


def _told(status: str, evidence: str, values: tuple[Value, ...] = (), found: Found | None = None) -> dict[str, Any]:
    data = {} if found is None else dict(found.data)
    one_line = " ".join(evidence.split())  # a backend's own words may be in it
    return {"status": status, "evidence": one_line, "values": [asdict(value) for value in values], "data": data}


def _line(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())


if __name__ == "__main__":
    main()
