"""How long a guest in post-copy waits for a page that it asks for, by QEMU's own trace of its destination: from the request until
the page was put into place. No party between the two QEMUs has a part in it. Pages that came unasked leave no line.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.qemu.process import option_value
from harness.qemu.qmp import Json, Qmp

_EVENTS = "postcopy_page_req_*"
_ADDED, _ANSWERED = "postcopy_page_req_add", "postcopy_page_req_del"
_LINE = re.compile(rf"@(?P<at_s>\d+\.\d+):(?P<event>{_ADDED}|{_ANSWERED}) .*?(?P<page>0x[0-9a-f]+)")
"""With the thread before it: ``1234@1764338400.123456:postcopy_page_req_add new page req 0x7f0a total 1``."""
_ENOUGH_FOR_P99 = 100


@dataclass(frozen=True, slots=True)
class PageRequests:
    """Of one migration: so many that were answered, and how long half of them, and 99 of 100, took at most. ``p99_s``: None of
    fewer than 100."""

    answered: int
    p50_s: float
    p99_s: float | None
    longest_s: float


def can_trace(qmp: Qmp) -> bool:
    """Whether this QEMU knows the events and was built so that it can write them down."""
    known: Json = qmp.execute("trace-event-get-state", name=_EVENTS)
    return {_ADDED, _ANSWERED} <= {event["name"] for event in known if event["state"] != "unavailable"}


def trace_argv(file: Path) -> list[str]:
    """Has a QEMU write into ``file`` when a page was asked for and when it was there."""
    events = [word for event in (_ADDED, _ANSWERED) for word in ("-trace", event)]
    return ["-msg", "timestamp=on", "-D", option_value(file), *events]


def page_requests(file: Path) -> PageRequests | None:
    """What was written there. None: nothing was asked for, or QEMU was built to trace into something else than a file."""
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            waits_s = sorted(_waits_s(lines))
    except FileNotFoundError:
        return None
    if not waits_s:
        return None
    p99_s = statistics.quantiles(waits_s, n=100, method="inclusive")[98] if len(waits_s) >= _ENOUGH_FOR_P99 else None
    return PageRequests(len(waits_s), statistics.median(waits_s), p99_s, waits_s[-1])


def _waits_s(lines: Iterable[str]) -> Iterator[float]:
    """From the first request for each page until it was there."""
    asked_at_s: dict[str, float] = {}
    for line in lines:
        if (match := _LINE.search(line)) is None:
            continue
        at_s, page = float(match["at_s"]), match["page"]
        if match["event"] == _ADDED:
            asked_at_s.setdefault(page, at_s)
        elif page in asked_at_s:
            yield at_s - asked_at_s.pop(page)
