"""What more channels cost or bring: ``python tests/benchmarks/channels.py [--channels 0,1,2,4,8] [--cpus 0,1]``, interleaved.

The pages of a generated guest are written into `pageferry send` as QEMU's multifd would, on so many connections besides the main
one, and read behind `pageferry receive`; 0 channels: on the main one, as without multifd. Sender, receiver and this program, which
feeds and drains, all run on the processors of ``--cpus``, so that the table says what those do; the link is a unix socket. CPU
times are from when both halves are ready.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import statistics
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
import sample_streams
from multifd_samples import initial, packet

from harness.experiment.halves import Half
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.hosts.pinning import parse_cpus
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.spec import parse_spec
from harness.streams.memory.memory import generate

MIX = {"zero": 0.1, "text": 0.3, "code": 0.2, "heap": 0.3, "random": 0.1}
PACKET_PAGES = 128
HEAD = ("channels", "threads", "MB/s", "range", "ratio", "sender CPU s", "receiver CPU s", "MiB of both")


class Seen(NamedTuple):
    """Of one migration."""

    rate: float
    ratio: float
    sender_cpu_s: float
    receiver_cpu_s: float
    peak_bytes: int


def streams_of(pages: Sequence[bytes], channels: int) -> list[bytes]:
    """What each connection brings, the main one first."""
    names = [
        sample_streams.raw_page(4096 * number, page, None if number else "pc.ram") for number, page in enumerate(pages)
    ]
    head = [sample_streams.header(), sample_streams.config(), sample_streams.start_ram([("pc.ram", 1 << 34)])]
    tail = [sample_streams.end(), sample_streams.eof(), sample_streams.vmdescription()]
    main = b"".join([*head, *([] if channels else [sample_streams.part(*names)]), *tail])
    packets = [b"".join(pages[at : at + PACKET_PAGES]) for at in range(0, len(pages), PACKET_PAGES)]
    others = [
        initial(number) + b"".join(packet(len(one) // 4096, one) for one in packets[number::channels])
        for number in range(channels)
    ]
    return [main, *others]


def feed(path: Path, streams: Sequence[bytes]) -> list[threading.Thread]:
    """Each stream on a connection of its own; the main one ends last, as QEMU's does."""
    connections = []
    for _ in streams:
        connections.append(socket.socket(socket.AF_UNIX))
        connections[-1].connect(str(path))

    def write(connection: socket.socket, data: bytes, after: Sequence[threading.Thread] = ()) -> None:
        half = len(data) // 2 if after else len(data)
        connection.sendall(memoryview(data)[:half])
        for thread in after:
            thread.join()
        connection.sendall(memoryview(data)[half:])
        connection.close()

    others = [threading.Thread(target=write, args=one) for one in zip(connections[1:], streams[1:], strict=True)]
    main = threading.Thread(target=write, args=(connections[0], streams[0], others))
    for thread in (*others, main):
        thread.start()
    return [*others, main]


def drain(listener: socket.socket, counted: list[int]) -> None:
    """All that comes, on as many connections as come, until the listener is closed."""

    def read(connection: socket.socket) -> None:
        buffer = bytearray(1 << 20)
        with connection:
            while count := connection.recv_into(buffer):
                counted.append(count)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=read, args=(connection,), daemon=True).start()


def migrate(
    streams: Sequence[bytes], backend: str, threads: int, inflight_bytes: int | None = None, host: Host = HERE
) -> Seen:
    """Through the pair, as ``host`` has it."""
    spec = parse_spec(backend)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pageferry-")))
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "d"))
        listener.listen(64)
        counted: list[int] = []
        threading.Thread(target=drain, args=(listener, counted), daemon=True).start()
        most = len(streams)
        receiver = Half(
            ReceiveConfig(f"unix:{folder}/link", f"unix:{folder}/d", max_channels=most), run_dir=folder, host=host
        )
        send = SendConfig(
            f"unix:{folder}/s",
            f"unix:{folder}/link",
            spec.backend,
            level=spec.level,
            threads=threads,
            inflight_bytes=inflight_bytes,
            max_channels=most,
            without_return_path=True,
        )
        sender = Half(send, run_dir=folder, host=host)
        for half in (receiver, sender):
            stack.callback(half.stop)
            half.start()
            half.wait_ready()
        started_s = sender.cpu_s(), receiver.cpu_s()
        for thread in feed(folder / "s", streams):
            thread.join()
        sent, received = sender.finish(600), receiver.finish(600)
        total = sum(map(len, streams))
        if sum(counted) != total:
            raise SystemExit(f"{sum(counted)} of {total} bytes arrived")
        listener.shutdown(socket.SHUT_RDWR)
        return Seen(
            total / sent.elapsed_s,
            total / sent.sent_bytes,
            sent.cpu_s - started_s[0],
            received.cpu_s - started_s[1],
            sent.peak_rss_bytes + received.peak_rss_bytes,
        )


def row(channels: int, threads: int, seen: Sequence[Seen]) -> tuple[str, ...]:
    rates = [one.rate / 1e6 for one in seen]
    middle = [statistics.median(column) for column in zip(*seen, strict=True)]
    return (
        str(channels), str(threads), f"{statistics.median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}",
        f"{middle[1]:.2f}", f"{middle[2]:.2f}", f"{middle[3]:.2f}", f"{middle[4] / (1 << 20):.0f}",
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="0,1,2,4,8", metavar="N,...", help="[%(default)s]")
    parser.add_argument("--backends", default="none,zstd:1", metavar="BACKEND[:LEVEL],...", help="[%(default)s]")
    parser.add_argument("--threads", default="2", metavar="N,...", help="compression threads [%(default)s]")
    parser.add_argument("--cpus", metavar="LIST", help="processors, as for taskset [all]")
    parser.add_argument("--mib", type=int, default=256, metavar="N", help="of pages [%(default)s]")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="[%(default)s]")
    asked = parser.parse_args()
    if asked.cpus:
        os.sched_setaffinity(0, parse_cpus(asked.cpus))
    pages = [bytes(page) for chunk in generate(MIX, asked.mib << 8, 1) for page in chunk]
    counts, threads = ([int(one) for one in text.split(",")] for text in (asked.channels, asked.threads))
    streams = {channels: streams_of(pages, channels) for channels in counts}
    cells = list(itertools.product(asked.backends.split(","), counts, threads))
    seen: dict[tuple[str, int, int], list[Seen]] = {cell: [] for cell in cells}
    for _, cell in itertools.product(range(asked.repeats), cells):
        backend, channels, many = cell
        seen[cell].append(migrate(streams[channels], backend, many))
    print(f"{asked.mib} MiB of pages, {len(os.sched_getaffinity(0))} cores for all, n={asked.repeats}")
    print(f"{'':8}", *HEAD, sep="   ")
    for (backend, channels, many), runs in seen.items():
        cells_ = row(channels, many, runs)
        print(f"{backend:8}", *(f"{cell:>{len(head)}}" for cell, head in zip(cells_, HEAD, strict=True)), sep="   ")


if __name__ == "__main__":
    main()
