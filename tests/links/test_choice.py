"""Which link it is, what it says of itself, and what its settings come to; none is needed for that."""

import pytest
from open_links import given

from harness.errors import MissingError, PeerError
from harness.links import netns
from harness.links.contract import choose_link
from harness.links.netns import NetnsLink, tbf_settings
from harness.links.relay import RelayLink


def test_closed_links_say_so():
    for link in (RelayLink(given()), NetnsLink(given())):
        link.close()
        with pytest.raises(PeerError, match="not open"):
            link.counters()


def test_auto_takes_the_relay_and_says_why_without_root(monkeypatch):
    monkeypatch.setattr(netns.os, "geteuid", lambda: 1000)
    chosen = choose_link(given(125_000_000))
    assert chosen.kind is RelayLink
    assert "needs root" in chosen.reason
    with pytest.raises(MissingError, match=r'link\.kind = "relay"'), NetnsLink(given()):
        pass


def test_whoever_may_not_lose_packets_is_told_what_to_do(monkeypatch):
    """Not to take a relay, which cannot lose any either."""
    monkeypatch.setattr(netns.os, "geteuid", lambda: 1000)
    chosen = choose_link(given(125_000_000, loss=0.01))
    with pytest.raises(MissingError, match=r"run as root, or leave out link\.loss") as caught, chosen.make():
        pass
    assert "relay" not in str(caught.value)


def test_auto_takes_the_relay_for_a_delay_and_says_why():
    chosen = choose_link(given(12_500_000, delay_s=0.05, jitter_s=0.005))
    assert chosen.kind is RelayLink
    assert "delay" in chosen.reason
    assert "50 to 55 ms each way, 100 to 110 ms round trip" in chosen.make().description
    assert "round trip" not in RelayLink(given()).description
    assert "256 MiB under way" in RelayLink(given(delay_s=0.0005)).description


def test_packets_are_lost_in_namespaces_alone_and_auto_says_so():
    chosen = choose_link(given(12_500_000, delay_s=0.01, loss=0.01))
    assert chosen.kind is NetnsLink
    assert "lose packets" in chosen.reason
    for words in ("packet line, 10 ms each way, 20 ms round trip", "1 % of packets lost", "TCP buffers"):
        assert words in chosen.make().description
    assert "packet line" not in NetnsLink(given(12_500_000)).description


@pytest.mark.parametrize(("kind", "headers", "shares"), [("netns", True, False), ("relay", False, True)])
def test_a_result_is_told_what_its_link_counts_and_takes(kind, headers, shares):
    chosen = choose_link(given(kind=kind))
    told = chosen.describe()
    assert told["link"].startswith(f"{kind}: ")
    assert (told["link_counts_headers"], told["link_shares_cpu"]) == (headers, shares)
    assert told["link_reason"] == f'link.kind = "{kind}"'


def test_each_run_has_a_link_of_its_own():
    chosen = choose_link(given(kind="netns"))
    assert chosen.make().source.file != chosen.make().source.file


def test_tbf_settings_scale_with_the_rate():
    slow, fast = tbf_settings(3_125_000), tbf_settings(1_250_000_000)
    assert slow.arguments() == ["tbf", "rate", "25000000bit", "burst", "4096b", "limit", "32768b"]
    assert fast.arguments() == ["tbf", "rate", "10000000000bit", "burst", "1250000b", "limit", "5000000b"]


def test_a_distant_links_queue_holds_a_round_trip():
    assert tbf_settings(125_000_000, 0.1).limit_bytes == 12_500_000
    assert tbf_settings(125_000_000, 0.001) == tbf_settings(125_000_000)


def test_a_burst_holds_a_gso_packet_where_that_is_short():
    for bits_per_s in (100e6, 200e6, 300e6, 400e6, 1e9):
        tbf = tbf_settings(round(bits_per_s / 8))
        assert tbf.burst_bytes >= 64 << 10
        assert tbf.burst_bytes * 8 / bits_per_s <= 0.006
        assert tbf.limit_bytes >= 2 * tbf.burst_bytes
    assert tbf_settings(round(50e6 / 8)).burst_bytes * 8 / 50e6 <= 0.006
