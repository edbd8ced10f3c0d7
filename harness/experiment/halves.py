"""Runs sender and receiver as the processes that users run, ``pageferry send`` and ``pageferry receive``, and reads what
they leave behind: a ready line, statistics, CPU time as the kernel counted it, and on failure their one line.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.children import module_argv
from harness.errors import PageferryError, PeerError
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.hosts.ours import OwnProcess
from harness.links.contract import Link
from harness.scenario.model import Method

__all__ = [
    "Half",
    "failure_of",
    "open_pair",
    "pair_counters",
    "pair_decisions",
    "pair_doubts",
    "pair_parameters",
    "pair_steering",
]

_OWN_LINK = ("--insecure",)
"""The addresses are of links that the harness made, with nothing else on them."""


def sender_arguments(
    method: Method, source: Path, target: str, qmp: Path | None = None, *, return_path: bool = True
) -> list[str]:
    """``pageferry send`` for a scenario's method; ``qmp``: the source QEMU's, where it is to be steered."""
    arguments = ["send", "--from", f"unix:{source}", "--to", target, "--backend", str(method.backend), *_OWN_LINK]
    options = {
        "--level": method.level,
        "--threads": method.threads,
        "--decompress-threads": method.decompress_threads,
        "--batch": method.batch_bytes and f"{method.batch_bytes}B",
        "--inflight": method.inflight_bytes and f"{method.inflight_bytes}B",
        "--fallback": method.fallback,
        "--qmp": qmp and f"unix:{qmp}",
    }
    arguments += [] if return_path else ["--without-return-path"]
    arguments += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return arguments + [part for name, value in method.options.items() for part in ("--option", f"{name}={value}")]


def receiver_arguments(method: Method, listen: str, target: Path) -> list[str]:
    """``pageferry receive`` for a scenario's method."""
    arguments = ["receive", "--listen", listen, "--to", f"unix:{target}", *_OWN_LINK]
    return arguments + (["--threads", str(method.decompress_threads)] if method.decompress_threads else [])


class Half(OwnProcess):
    """``pageferry send`` or ``receive`` in its own process. ``name`` is "sender" or "receiver"."""

    def __init__(self, name: str, arguments: Sequence[str], *, run_dir: Path, host: Host = HERE) -> None:
        self._stats = run_dir / f"{name}.json"
        argv = module_argv("harness.cli", *arguments, "--stats", str(self._stats))
        super().__init__(name, argv, host=host, log=run_dir / f"{name}.log")

    def finish(self, timeout_s: float = 15.0) -> dict[str, Any]:
        """Wait for its end; its statistics. :raises PageferryError: it failed, or does not end."""
        self.wait_end(timeout_s)
        statistics: dict[str, Any] = json.loads(self._stats.read_text())
        return statistics


@contextlib.contextmanager
def open_pair(
    method: Method,
    link: Link,
    *,
    source: Path,
    target: Path,
    run_dir: Path,
    qmp: Path | None = None,
    return_path: bool = True,
) -> Iterator[tuple[Half, Half]]:
    """Sender and receiver at both ends of ``link``, ready: the source connects to ``source``, ``target`` is listened on.
    ``return_path``: whether the destination will confirm that it has all.

    :raises PageferryError: one of them does not start; its own words.
    """
    with contextlib.ExitStack() as stack:
        listen = f"tcp:{link.destination.address}:0"
        arguments = receiver_arguments(method, listen, target)
        receiver = Half("receiver", arguments, run_dir=run_dir, host=link.destination)
        stack.callback(receiver.stop)
        receiver.start()
        host, port = link.connect_address(int(receiver.wait_ready().rpartition(":")[2]))
        arguments = sender_arguments(method, source, f"tcp:{host}:{port}", qmp, return_path=return_path)
        sender = Half("sender", arguments, run_dir=run_dir, host=link.source)
        stack.callback(sender.stop)
        sender.start()
        sender.wait_ready()
        yield sender, receiver


def failure_of(halves: Sequence[Half], patience_s: float = 2.0) -> PageferryError | None:
    """What the pair died of. A codec's or the machine's fault before a broken link, which only follows from it; else the
    receiver's word first, since the sender repeats it. After a failed migration both are about to end: waited for up to
    ``patience_s``, or QEMU's consequence would be told for the cause.
    """
    deadline_s = time.monotonic() + patience_s
    while not all(half.ended() for half in halves) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    errors = [error for half in reversed(halves) if (error := half.failed()) is not None]
    return next((error for error in errors if not isinstance(error, PeerError)), errors[0] if errors else None)


def pair_parameters(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``sender.backend`` and so on: what the halves report that they used."""
    keys = ("backend", "level", "threads", "fallback")
    return {f"{name}.{key}": values[key] for name, values in statistics.items() for key in keys if key in values}


def pair_counters(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, int | float]:
    """What the halves counted, flat; ``fallbacks`` always."""
    counters: dict[str, int | float] = {"fallbacks": 0}
    for name, values in statistics.items():
        own = {**values.get("counters", {}), **values.get("steering", {})}
        counters |= {f"{name}_{key}": value for key, value in {**values, **own}.items() if type(value) in (int, float)}
        counters["fallbacks"] += values.get("fallbacks", 0)
        shares = values.get("policy", {}).get("shares", {})
        counters |= {f"{name}_share_{choice}": share for choice, share in shares.items()}
    return counters


def pair_decisions(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What the policy of ``auto`` chose, and why."""
    return tuple(statistics.get("sender", {}).get("policy", {}).get("decisions", ()))


def pair_steering(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What the source QEMU was told to believe, and why."""
    return tuple(statistics.get("sender", {}).get("steering", {}).get("decisions", ()))


def pair_doubts(statistics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for whatever makes the halves' figures other than they seem."""
    sender = statistics.get("sender", {})
    yield from sender.get("steering", {}).get("warnings", ())
    if sender.get("opaque_reason"):
        yield f"the stream was carried without knowing its pages: {sender['opaque_reason']}"
    if sender.get("fallbacks"):
        yield (
            f"{sender['fallbacks']} of {sender['batches']} batches were compressed by {sender['fallback']}, not by "
            f"{sender['backend']}: {sender['fallback_reason']}"
        )
