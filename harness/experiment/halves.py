"""Runs sender and receiver as the processes that users run, ``pageferry send`` and ``pageferry receive``, and reads what
they leave behind: a ready line, statistics, CPU time as the kernel counted it, and on failure their one line.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import PageferryError, PeerError, ResultError
from harness.hosts.contract import Host
from harness.hosts.files import read_part, write_part
from harness.hosts.local import HERE
from harness.hosts.ours import OwnProcess
from harness.hosts.pinning import pinned
from harness.hosts.rundir import LOGS_BYTES
from harness.links.contract import Link
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.document import WrongDocumentError, dumped, parsed
from harness.migrator.report import ReceiverReport, SenderReport
from harness.migrator.transport.contract import Tls
from harness.scenario.methods import PairMethod
from harness.scenario.pin import Pin


def _send_config(
    method: PairMethod, source: Path, target: str, qmp: Path | None, shortest: float | None, *, return_path: bool
) -> SendConfig:
    """A scenario's method. ``insecure``: the link is one that the harness made, with nothing else on it."""
    return SendConfig(
        f"unix:{source}",
        target,
        str(method.backend),
        level=method.level,
        threads=method.threads,
        decompress_threads=method.decompress_threads,
        batch_bytes=method.batch_bytes,
        inflight_bytes=method.inflight_bytes,
        max_channels=method.most_connections,
        options=method.options,
        fallback=method.fallback,
        qmp=None if qmp is None else f"unix:{qmp}",
        downtime_s=None if shortest is None else "shortest",
        downtime_cost_share=shortest or 0.0,
        insecure=True,
        without_return_path=not return_path,
    )


class Half(OwnProcess):
    """``pageferry send`` or ``receive`` in its own process, told its settings by a document."""

    def __init__(self, config: SendConfig | ReceiveConfig, *, run_dir: Path, host: Host = HERE) -> None:
        name, command = ("sender", "send") if isinstance(config, SendConfig) else ("receiver", "receive")
        self._host, self._folder, self._kept = host, host.folder(run_dir), run_dir / f"{name}.json"
        self._settings, self._document = self._folder / f"{name}-settings.json", dumped(config)
        self._stats = self._folder / f"{name}.json"
        argv = host.program(command, "--config", str(self._settings), "--stats", str(self._stats))
        super().__init__(name, argv, host=host, log=run_dir / f"{name}.log")

    def start(self) -> None:
        """Raises as ``OwnProcess``."""
        self._host.call(write_part, self._settings, 0, self._document)
        super().start()

    def finish(self, timeout_s: float = 15.0) -> SenderReport | ReceiverReport:
        """Wait for its end; its report. :raises PageferryError: it failed, or does not end, or its report is none."""
        self.wait_end(timeout_s)
        try:
            told = self._host.call(read_part, self._stats, 0, LOGS_BYTES)
            self._kept.write_bytes(told)
            return parsed(SenderReport, told) if self.name == "sender" else parsed(ReceiverReport, told)
        except (OSError, WrongDocumentError) as exc:
            raise ResultError(f"{self.name}: its statistics cannot be read: {exc}") from exc


@contextlib.contextmanager
def open_pair(
    method: PairMethod,
    link: Link,
    pin: Pin,
    *,
    source: Path,
    target: Path,
    run_dir: Path,
    qmp: Path | None = None,
    shortest: float | None = None,
    return_path: bool = True,
    tls: Tls | None = None,
) -> Iterator[tuple[Half, Half]]:
    """Sender and receiver at both ends of ``link``, ready: the source connects to ``source``, ``target`` is listened on.
    ``return_path``: whether the destination will confirm that it has all. ``tls``: with what their link is encrypted.
    ``shortest``: what the shortest downtime may cost, where it is wanted.

    :raises PageferryError: one of them does not start; its own words.
    """
    with contextlib.ExitStack() as stack:
        listen, threads = f"tcp:{link.destination.address}:{link.destination.port()}", method.decompress_threads
        most = method.most_connections
        heard = ReceiveConfig(listen, f"unix:{target}", threads=threads, insecure=True, max_channels=most)
        if tls is not None:
            heard = replace(heard, tls=str(link.destination.folder(run_dir) / tls.folder.name), tls_peer=tls.peer)
        receiver = Half(heard, run_dir=run_dir, host=pinned(link.destination, pin.receiver))
        stack.callback(receiver.stop)
        receiver.start()
        host, port = link.connect_address(int(receiver.wait_ready().rpartition(":")[2]))
        said = _send_config(method, source, f"tcp:{host}:{port}", qmp, shortest, return_path=return_path)
        if tls is not None:
            said = replace(said, tls=str(link.source.folder(run_dir) / tls.folder.name), tls_peer=tls.peer)
        sender = Half(said, run_dir=run_dir, host=pinned(link.source, pin.sender))
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
