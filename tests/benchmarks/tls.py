"""What encrypting the link costs: ``python tests/benchmarks/tls.py [--rounds 5]``, CPU seconds per GiB on the link, in turn.

Messages of 300 kB cross TCP on loopback from one process to another, plain and over TLS; then TLS over memory, without a kernel,
and OpenSSL's ciphers alone in pieces of a record. A processor that others use too takes longer for the same: so the tenth
percentile of what is measured message by message, and the least of what is not, say most.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path.insert(0, str(Path(__file__).parents[1]))
import certificates

from harness.migrator.transport import tls_files
from harness.migrator.transport.contract import Tls, Transport
from harness.migrator.transport.registry import endpoint_for_halves
from harness.migrator.transport.tls import TlsTransport

GIB = 1 << 30
HEAD_BYTES, BODY_BYTES, PIECE_BYTES, RECORD_BYTES = 64, 300_000, 256 << 10, 16 << 10
MESSAGE_BYTES = HEAD_BYTES + BODY_BYTES
CROSSING_BYTES = 512 << 20
PARTS = (os.urandom(HEAD_BYTES), memoryview(os.urandom(BODY_BYTES)))
ROOMS = (memoryview(bytearray(HEAD_BYTES)), memoryview(bytearray(BODY_BYTES)))


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def receive(link: Transport) -> None:
    """One message, as ``FrameLink`` asks for it."""
    for room in ROOMS:
        at = 0
        while at < len(room):
            at += link.recv_into(room[at:][:PIECE_BYTES], None) or sys.exit("the link ended")


def dialled(address: str, tls: Tls | None, goes: int) -> None:
    """The sender's process: its CPU seconds go into that pipe."""
    link, began_s = endpoint_for_halves(address, "--to", tls=tls).dial(20), cpu_s()
    for _ in range(CROSSING_BYTES // MESSAGE_BYTES):
        link.send_parts(PARTS)
    os.write(goes, str(cpu_s() - began_s).encode())
    link.recv_into(memoryview(bytearray(1)), 60)


def crossed(tls: Tls | None) -> tuple[float, float]:
    """To send, and to receive."""
    comes, goes = os.pipe()
    with endpoint_for_halves("tcp:127.0.0.1:0", "--listen", tls=tls).listen() as listener:
        if (pid := os.fork()) == 0:
            dialled(listener.address, tls, goes)
            os._exit(0)
        while (link := listener.accept()) is None:
            time.sleep(0.01)
        link.open(20)
        began_s = cpu_s()
        for _ in range(CROSSING_BYTES // MESSAGE_BYTES):
            receive(link)
        took_s = cpu_s() - began_s
        link.close()
        os.waitpid(pid, 0)
    with open(comes) as told:  # noqa: PTH123 - a descriptor
        os.close(goes)
        return float(told.read()), took_s


class Memory:
    """One end of a link that is a buffer, of which TLS needs no more than this."""

    def __init__(self) -> None:
        self._room, self._filled, self._read = memoryview(bytearray(1 << 20)), 0, 0
        self.other: Memory = self

    def send_parts(self, parts: Sequence[bytes], timeout_s: float | None = None) -> int:
        other = self.other
        for part in parts:
            other._room[other._filled : other._filled + len(part)] = part
            other._filled += len(part)
        return sum(map(len, parts))

    def recv_into(self, buffer: memoryview, timeout_s: float | None = None) -> int | None:
        count = min(len(buffer), self._filled - self._read)
        buffer[:count] = self._room[self._read : self._read + count]
        self._read += count
        if self._read == self._filled:
            self._read = self._filled = 0
        return count or None


def over_memory(folder: Path) -> tuple[TlsTransport, TlsTransport]:
    ends = Memory(), Memory()
    ends[0].other, ends[1].other = ends[1], ends[0]
    contexts = (tls_files.context_of(folder, server_side=side) for side in (False, True))
    client, server = (
        TlsTransport(end, context, name="localhost" if end is ends[0] else None, server_side=end is ends[1])
        for end, context in zip(ends, contexts, strict=True)
    )
    while not all([client.open(0), server.open(0)]):
        pass
    return client, server


def timed(work: Callable[[], object]) -> float:
    began_s = time.thread_time()
    work()
    return time.thread_time() - began_s


def alone(bits: int, times: int) -> Iterator[float]:
    """CPU seconds of 16 records."""
    cipher, nonce, record = AESGCM(os.urandom(bits // 8)), os.urandom(12), os.urandom(RECORD_BYTES)
    for _ in range(times):
        yield timed(lambda: [cipher.encrypt(nonce, record, None) for _ in range(16)])


def tenth(name: str, seen: Sequence[float], size_bytes: int) -> None:
    """Percentile, of CPU seconds for that many bytes."""
    print(f"{name:28} {sorted(seen)[len(seen) // 10] / size_bytes * GIB:5.2f}   n={len(seen)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="[5]")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = certificates.lab(Path(name) / "pki")
        rows: dict[str, list[tuple[float, float]]] = {"TCP": [], "TCP, TLS": []}
        for _ in range(rounds):
            for row, tls in zip(rows.values(), (None, Tls(folder)), strict=True):
                row.append(crossed(tls))
        for row, seen in rows.items():
            for what, each in zip(("send", "receive"), zip(*seen, strict=True), strict=True):
                print(
                    f"{row + ', ' + what:28} {min(each) / CROSSING_BYTES * GIB:5.2f}   least of {len(each)}", flush=True
                )
        client, server = over_memory(folder)
        pairs = [(timed(lambda: client.send_parts(PARTS)), timed(lambda: receive(server))) for _ in range(rounds * 200)]
    for what, each in zip(("send", "receive"), zip(*pairs, strict=True), strict=True):
        tenth(f"memory, TLS, {what}", each, MESSAGE_BYTES)
    for bits in (256, 128):
        tenth(f"AES-{bits}-GCM alone", list(alone(bits, rounds * 200)), 16 * RECORD_BYTES)


if __name__ == "__main__":
    main()
