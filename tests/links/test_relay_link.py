"""The relay as a link: made, counted, removed, and ended with whoever made it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from open_links import given, push, wait_for_end

from harness.errors import PeerError
from harness.links.contract import LinkCounters
from harness.links.relay import RelayLink


def test_relay_counts_payload_exactly():
    with RelayLink(given()) as link:
        push(link, 5_000_001)
        assert link.counters() == LinkCounters(5_000_001, 0)
    assert "relay" in link.description


def test_relay_leaves_no_process():
    with RelayLink(given()) as link:
        pid = link._child.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_relay_ends_with_its_harness_even_when_that_is_killed():
    code = (
        "from harness.links.relay import RelayLink; from harness.scenario.kinds import LinkSettings; import time\n"
        "link = RelayLink(LinkSettings()); link.open(); print(link._child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_for_end(pid)


def test_dead_relay_is_an_error_with_its_last_words():
    with RelayLink(given()) as link:
        os.kill(link._child.pid, signal.SIGKILL)
        link._child.ended(120)
        with pytest.raises(PeerError, match="relay died"):
            link.connect_address(1)
        with pytest.raises(PeerError, match="relay died"):
            link.counters()


def test_relay_has_one_port_for_each_destination_port():
    with RelayLink(given()) as link:
        assert link.connect_address(4001) == link.connect_address(4001) != link.connect_address(4002)
