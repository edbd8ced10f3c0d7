"""Links that die, crawl or burst: the stream arrives as it is, or both ends say in time why it does not."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest
from open_links import given

from harness.errors import MissingError, PeerError
from harness.experiment.trial import Lab
from harness.links.netns import NetnsLink
from harness.migrator.session import FrameLink
from harness.migrator.transport.contract import Transport
from harness.migrator.transport.tcp import TcpTransport
from harness.scenario.model import load_scenario
from harness.wire.pair.forms import Role

HALF = (
    "import sys; from harness.migrator.transport.contract import Transport; Transport.dead_after_s = 3.0; "
    "from harness.cli import main; sys.exit(main(sys.argv[1:]))"
)
SCENARIO = """
description = "an odd link"
[guest]
kind = "synthetic"
memory = "16MiB"
fill = {{zero = 0.9, text = 0.09, random = 0.01}}
working_set = "256KiB"
[link]
{}
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
[[method]]
name = "auto"
engine = "pageferry"
backend = "auto"
[[method]]
name = "zstd-1"
engine = "pageferry"
backend = "zstd"
"""


def drain(connection):
    """To its end."""
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            pass


@pytest.fixture
def netns_link():
    with contextlib.ExitStack() as stack:
        try:
            link = stack.enter_context(NetnsLink(given(12_500_000)))
        except MissingError as exc:
            pytest.skip(str(exc))
        yield link


@pytest.fixture
def half():
    """Starts ``send`` or ``receive`` in a namespace, with a short patience, and waits until it is ready."""
    started = []

    def start(prefix, *arguments):
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", HALF, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if "ready" in line:
                return process, line
        pytest.fail(f"it ended before it was ready: {said}")

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("busy", [True, False], ids=["bytes-under-way", "bytes-that-cannot-leave"])
def test_a_link_that_dies_fails_both_ends_with_the_reason(tmp_path, netns_link, half, busy):
    """Nothing is closed when a cable is pulled, so that only silence tells. With our own interface down nothing may be
    unacknowledged, for nothing left.
    """
    host, out_of, into = netns_link.destination.address, tmp_path / "s", tmp_path / "d"
    with contextlib.ExitStack() as stack:
        guest, target = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        target.bind(str(into))
        target.listen(1)
        receiver, line = half(
            netns_link.destination.prefix, "receive", "--listen", f"tcp:{host}:0", "--to", f"unix:{into}", "--insecure"
        )
        to = f"tcp:{host}:{line.rpartition(':')[2].strip()}"
        route = ("--from", f"unix:{out_of}", "--to", to, "--backend", "none", "--without-return-path", "--insecure")
        sender, _ = half(netns_link.source.prefix, "send", *route)
        guest.connect(str(out_of))
        guest.sendall(b"x")
        destination = stack.enter_context(target.accept()[0])

        def push() -> None:
            with contextlib.suppress(OSError):
                while True:
                    guest.sendall(bytes(1 << 20))

        pusher, *threads = [threading.Thread(target=work, daemon=True) for work in (push, lambda: drain(destination))]
        threads[0].start()
        if busy:
            pusher.start()
        time.sleep(0.5)
        subprocess.run(["ip", "-n", netns_link.source.file.name, "link", "set", "pf0", "down"], check=True)
        if not busy:
            pusher.start()
        threads.append(pusher)
        said = [process.communicate(timeout=120)[0] for process in (sender, receiver)]
        assert [process.returncode for process in (sender, receiver)] == [PeerError.exit_status] * 2
        assert re.search(r"the link to the receiver (is dead: nothing was heard from it for \d+ s|broke)", said[0])
        assert re.search(r"the link to the sender (is dead: nothing was heard from it for \d+ s|broke)", said[1])
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads), "a guest's connection outlived the link"


def test_a_peer_that_lives_and_takes_nothing_is_not_dead(monkeypatch):
    monkeypatch.setattr(Transport, "dead_after_s", 0.6)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                near.send(bytes(1 << 20))
        near.setblocking(True)
        link = FrameLink(TcpTransport(near), Role.RECEIVER)
        ended = threading.Timer(2.0, far.close)
        ended.start()
        with pytest.raises(PeerError, match="broke while receiving"):  # by its own close, not by silence
            next(link.messages())
        ended.join()


@pytest.mark.parametrize(
    "link",
    [
        'bandwidth = "1Mbit/s"\nkind = "netns"',
        'bandwidth = "100Mbit/s"\nkind = "netns"\nstep = ['
        + ", ".join(
            f'{{after = "{0.1 + 0.1 * n:.1f}s", bandwidth = "{("1Mbit/s", "200Mbit/s")[n % 2]}"}}' for n in range(8)
        )
        + "]",
    ],
    ids=["crawls", "bursts"],
)
@pytest.mark.parametrize("method", ["auto", "zstd-1"])
def test_a_link_that_crawls_or_bursts_carries_every_byte(tmp_path, netns_link, link, method):
    path = tmp_path / "odd.toml"
    path.write_text(SCENARIO.format(link))
    scenario = load_scenario(path)
    chosen = next(each for each in scenario.methods if each.name == method)
    with Lab(scenario) as lab:
        run = lab.run(chosen, tmp_path, lambda _: None)
    assert run.status == "completed", run.reason
    assert run.verified
