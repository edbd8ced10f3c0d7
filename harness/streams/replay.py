"""Replays a stream without QEMU: a feeder in the place of the source, a hashing sink in that of the destination.

Each is a process of its own, so that its time is nobody else's: ``python -m harness.streams.replay feed FILE --to ADDRESS``
and ``... sink --listen ADDRESS``. Times are of CLOCK_MONOTONIC, which all processes of a host share. ``Player`` runs one
of them and reads its report. Knows nothing of links, methods or scenarios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import xxhash

from backends.children import module_argv
from harness.errors import MissingError, PageferryError, PeerError
from harness.hosts.ours import ERROR, READY, OwnProcess
from harness.migrator.transport.registry import endpoint_for_qemu

_SEND_BYTES = 1 << 20
_RECEIVE_BYTES = 1 << 20
_CONNECT_TIMEOUT_S = 10.0
_DEFAULT_TIMEOUT_S = 60.0
_OWN_LINK = ("--insecure",)
"""The addresses are of links that the harness made, with nothing else on them, and the stream is of its own making."""

Report = dict[str, Any]


def feed(path: Path, target: str, timeout_s: float = _DEFAULT_TIMEOUT_S, *, insecure: bool = False) -> Report:
    """Send the file as a source QEMU would, then wait until the other side has closed too.

    ``began_s`` is when the connection stood, ``ended_s`` when the last byte was handed over: not when it arrived.

    :raises PeerError: nobody listens, or the other side stopped reading for ``timeout_s`` or broke off.
    """
    endpoint = endpoint_for_qemu(target, "--to", insecure=insecure)
    try:
        file = path.open("rb", buffering=0)
    except OSError as exc:
        raise MissingError(f"{path}: cannot read the stream: {exc.strerror}; make one with `pageferry record`") from exc
    with file:
        _into_page_cache(file.fileno())  # the run must not measure the disk
        with endpoint.connect("start the listening side first", _CONNECT_TIMEOUT_S) as connection:
            _limit_waits(connection, timeout_s)
            began_s = time.monotonic()
            try:
                sent = _send_all(file.fileno(), connection)
                ended_s = time.monotonic()
                connection.shutdown(socket.SHUT_WR)
                _drain(connection)
            except BlockingIOError as exc:
                raise PeerError(f"--to {target}: the other side took nothing for {timeout_s:g} s") from exc
            except OSError as exc:
                raise PeerError(f"--to {target}: the other side broke off: {exc.strerror}") from exc
    return {"bytes": sent, "began_s": began_s, "ended_s": ended_s, "seconds": ended_s - began_s, "cpu_s": _cpu_s()}


def _into_page_cache(descriptor: int) -> None:
    buffer, at = bytearray(_SEND_BYTES), 0
    while count := os.preadv(descriptor, [buffer], at):
        at += count


def _send_all(descriptor: int, connection: socket.socket) -> int:
    sent = 0
    while count := os.sendfile(connection.fileno(), descriptor, sent, _SEND_BYTES):
        sent += count
    return sent


def _drain(connection: socket.socket) -> None:
    """Take what comes back (a return path) to its end."""
    while connection.recv(_SEND_BYTES):
        pass


def sink(source: str, timeout_s: float, on_ready: Callable[[str], None], *, insecure: bool = False) -> Report:
    """Accept one connection, digest all that comes, keep nothing. Port 0 lets the system choose; ``on_ready`` hears it.

    :raises PeerError: nobody came, or nothing came for ``timeout_s``, or the connection broke.
    """
    with endpoint_for_qemu(source, "--listen", insecure=insecure).listen() as listener:
        source = listener.address
        listener.socket.settimeout(timeout_s)
        on_ready(source)
        try:
            connection, _ = listener.socket.accept()
        except TimeoutError as exc:
            raise PeerError(f"--listen {source}: nobody connected in {timeout_s:g} s") from exc
    with connection:
        _limit_waits(connection, timeout_s)
        try:
            return _digest(connection)
        except BlockingIOError as exc:
            raise PeerError(f"--listen {source}: nothing came for {timeout_s:g} s") from exc
        except OSError as exc:
            raise PeerError(f"--listen {source}: the connection broke: {exc.strerror}") from exc


def _digest(connection: socket.socket) -> Report:
    accepted_s = first_s = last_s = time.monotonic()
    digest, buffer, total = xxhash.xxh3_128(), bytearray(_RECEIVE_BYTES), 0
    view = memoryview(buffer)
    while count := connection.recv_into(buffer):
        last_s = time.monotonic()
        first_s = last_s if total == 0 else first_s
        digest.update(view[:count])
        total += count
    times = {"accepted_s": accepted_s, "first_byte_s": first_s, "last_byte_s": last_s}
    return {"bytes": total, "digest": digest.hexdigest(), **times, "cpu_s": _cpu_s()}


def _limit_waits(connection: socket.socket, timeout_s: float) -> None:
    """In the kernel, for a Python time-out would poll before every call, and sendfile takes no notice of it."""
    connection.setblocking(True)
    limit = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def feed_argv(path: Path, target: str) -> list[str]:
    """The feeder's command; ``target`` is ``unix:PATH`` or ``tcp:HOST:PORT``."""
    return module_argv("harness.streams.replay", "feed", str(path), "--to", target, *_OWN_LINK)


def sink_argv(source: str) -> list[str]:
    """The sink's command; ``source`` is where it listens."""
    return module_argv("harness.streams.replay", "sink", "--listen", source, *_OWN_LINK)


class Player(OwnProcess):
    """A feeder, which begins as soon as it is started, or a sink, which is ready with the address on which it listens."""

    def finish(self, timeout_s: float) -> Report:
        """Wait for its end; its report. :raises PageferryError: it failed, or does not end."""
        report: Report = json.loads(self.wait_end(timeout_s))
        return report


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The processes' entry: one line of JSON at the end, or one line of error and its exit status."""
    parser = argparse.ArgumentParser(prog="python -m harness.streams.replay")
    parser.add_argument("--timeout", type=float, default=_DEFAULT_TIMEOUT_S, metavar="SECONDS")
    commands = parser.add_subparsers(dest="command", required=True)
    feeding = commands.add_parser("feed")
    feeding.add_argument("path", type=Path)
    feeding.add_argument("--to", required=True)
    sinking = commands.add_parser("sink")
    sinking.add_argument("--listen", required=True)
    for each in (feeding, sinking):
        each.add_argument("--insecure", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.command == "feed":
            report = feed(options.path, options.to, options.timeout, insecure=options.insecure)
        else:
            insecure = options.insecure
            report = sink(options.listen, options.timeout, lambda where: _say(f"{READY}{where}"), insecure=insecure)
    except PageferryError as exc:
        _say(f"{ERROR}{exc}")
        return exc.exit_status
    _say(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
