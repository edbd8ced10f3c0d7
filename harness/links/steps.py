"""Changes a link's bandwidth in the middle of a migration, at times counted from its begin."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from harness.links.contract import Link
from harness.scenario.kinds import LinkStep


@contextlib.contextmanager
def stepping(link: Link, steps: Sequence[LinkStep]) -> Iterator[None]:
    """The body is the migration. :raises MissingError: the link cannot be changed; told at the end, as of the whole run."""
    over = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        passed_s = 0.0
        for step in sorted(steps, key=lambda step: step.after_s):
            if over.wait(step.after_s - passed_s):
                return
            passed_s = step.after_s
            try:
                link.set_bandwidth(step.bandwidth_bytes_per_s)
            except Exception as exc:
                errors.append(exc)
                return

    thread = threading.Thread(target=work, name="link-steps", daemon=True)
    if steps:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if steps:
            thread.join()
    if errors:
        raise errors[0]
