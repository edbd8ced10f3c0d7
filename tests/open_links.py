"""Links of a test: made from a few settings, with something pushed across."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import MissingError
from harness.links.contract import Link
from harness.links.netns import NetnsLink
from harness.scenario.kinds import LINKS, LinkSettings

SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
connection, total = server.accept()[0], 0
while part := connection.recv(1 << 20):
    total += len(part)
print(total)
"""
FEED = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
connection.sendall(bytes(int(sys.argv[3])))
connection.close()
"""


def given(bytes_per_s: int | None = None, kind: str = "auto", **length: float) -> LinkSettings:
    return LINKS.load(kind).settings.model_validate({"kind": kind, "bandwidth_bytes_per_s": bytes_per_s, **length})


@pytest.fixture(scope="module")
def needs_netns() -> None:
    try:
        with NetnsLink(given()):
            pass
    except MissingError as exc:
        pytest.skip(str(exc))


def push(link: Link, count: int) -> float:
    """``count`` bytes from a process on the source's side to one on the destination's; seconds it took."""
    sink = [*link.destination.prefix, sys.executable, "-c", SINK, link.destination.address]
    with subprocess.Popen(sink, stdout=subprocess.PIPE, text=True) as process:
        host, port = link.connect_address(int(process.stdout.readline()))
        began_s = time.monotonic()
        feed = [*link.source.prefix, sys.executable, "-c", FEED, host, str(port), str(count)]
        subprocess.run(feed, check=True, timeout=60)
        assert int(process.stdout.read()) == count
    return time.monotonic() - began_s


def wait_for_end(pid: int) -> None:
    """Of a process that is not ours: an init that does not reap leaves it a zombie."""
    deadline_s = time.monotonic() + 120
    stat = Path(f"/proc/{pid}/stat")
    while True:
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
