"""What a half counts of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import PeerError
from harness.migrator.session import FrameLink, own_usage
from harness.migrator.transport.contract import Transport
from harness.migrator.transport.memory import memory_pair
from harness.wire.pair.forms import Role

COUNTS = "from harness.migrator.session import own_usage; print(own_usage().peak_rss_bytes)"


def test_a_process_counts_its_own_memory_not_that_of_who_started_it():
    large = bytearray(b"\x01") * (300 << 20)
    assert own_usage().peak_rss_bytes > len(large)
    said = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, text=True, check=True).stdout
    assert 5 << 20 < int(said) < 150 << 20


@pytest.mark.parametrize("side", [0, 1], ids=["by us", "by the other half"])
def test_a_link_that_was_closed_is_not_open(side):
    ends = memory_pair()
    link = FrameLink(ends[0], Role.SENDER)
    link.require_open()
    ends[side].close()
    with pytest.raises(PeerError, match="the sender closed the link"):
        link.require_open()
    for end in ends:
        end.close()


class Silent(Transport):
    """Nothing comes, and nothing was heard of the peer for so long."""

    def __init__(self, *silences_s: float) -> None:
        self.silences_s = list(silences_s)

    def peer_silence_s(self):
        return self.silences_s.pop(0)

    def recv_into(self, buffer, timeout_s=None):
        return None

    def send_parts(self, parts, timeout_s=None):
        raise AssertionError

    fileno = has_hung_up = close = send_parts


def test_a_peer_is_dead_once_it_was_silent_for_too_long():
    transport = Silent(0.0, 29.9, 30.0)
    with pytest.raises(
        PeerError, match="the link to the receiver is dead: nothing was heard from it for 30 s; look at"
    ):
        next(FrameLink(transport, Role.RECEIVER).messages())
    assert transport.silences_s == []
