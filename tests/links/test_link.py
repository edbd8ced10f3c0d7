"""Links: made, counted, removed; and what a killed run left is found."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import MissingError, PeerError
from harness.links import link as links
from harness.links import netns
from harness.links.link import NetnsLink, RelayLink, choose_link, open_link, remove_leftovers
from harness.links.netns import tbf_settings

NAMESPACES = Path("/run/netns")
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


@pytest.fixture(scope="module")
def needs_netns():
    try:
        with NetnsLink(None):
            pass
    except MissingError as exc:
        pytest.skip(str(exc))


def namespaces(link):
    """The files that stand for both network namespaces of ``link``."""
    return [host.file for host in (link.source, link.destination)]


def push(link, count):
    """``count`` bytes from a process on the source's side to one on the destination's; seconds it took."""
    sink = [*link.destination.prefix, sys.executable, "-c", SINK, link.destination.address]
    with subprocess.Popen(sink, stdout=subprocess.PIPE, text=True) as process:
        host, port = link.connect_address(int(process.stdout.readline()))
        began_s = time.monotonic()
        feed = [*link.source.prefix, sys.executable, "-c", FEED, host, str(port), str(count)]
        subprocess.run(feed, check=True, timeout=60)
        assert int(process.stdout.read()) == count
    return time.monotonic() - began_s


def wait_for_end(pid):
    """Of a process that is not ours: an init that does not reap leaves it a zombie."""
    deadline_s = time.monotonic() + 10
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


def test_relay_counts_payload_exactly():
    with open_link("relay", None) as link:
        push(link, 5_000_001)
        assert link.counters() == links.LinkCounters(5_000_001, 0)
    assert "relay" in link.description


def test_relay_leaves_no_process():
    with RelayLink(None) as link:
        pid = link._child.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_relay_ends_with_its_harness_even_when_that_is_killed():
    code = (
        "from harness.links.link import RelayLink; import time\n"
        "link = RelayLink(None); link.open(); print(link._child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_for_end(pid)


def test_dead_relay_is_an_error_with_its_last_words():
    with RelayLink(None) as link:
        os.kill(link._child.pid, signal.SIGKILL)
        link._child.ended(10)
        with pytest.raises(PeerError, match="relay died"):
            link.connect_address(1)
        with pytest.raises(PeerError, match="relay died"):
            link.counters()


def test_closed_links_say_so():
    for link in (RelayLink(None), NetnsLink(None)):
        link.close()
        with pytest.raises(PeerError, match="not open"):
            link.counters()


def test_auto_takes_the_relay_and_says_why_without_root(monkeypatch):
    monkeypatch.setattr(netns.os, "geteuid", lambda: 1000)
    link = choose_link("auto", 125_000_000)
    assert isinstance(link, RelayLink)
    assert "needs root" in link.reason
    with pytest.raises(MissingError, match=r'link\.kind = "relay"'), open_link("netns", None):
        pass


def test_auto_takes_the_relay_for_a_delay_and_says_why():
    link = choose_link("auto", 12_500_000, delay_s=0.05, jitter_s=0.005)
    assert isinstance(link, RelayLink)
    assert "delay" in link.reason
    assert "50 to 55 ms each way, 100 to 110 ms round trip" in link.description
    assert (link.another().delay_s, link.another().jitter_s, link.another().reason) == (0.05, 0.005, link.reason)
    assert "round trip" not in choose_link("relay", None).description
    assert "256 MiB under way" in choose_link("relay", None, delay_s=0.0005).description


def test_packets_are_lost_in_namespaces_alone_and_auto_says_so():
    link = choose_link("auto", 12_500_000, delay_s=0.01, loss=0.01)
    assert isinstance(link, NetnsLink)
    assert "lose packets" in link.reason
    for words in ("packet line, 10 ms each way, 20 ms round trip", "1 % of packets lost", "TCP buffers"):
        assert words in link.description
    assert link.another().description == link.description
    assert "packet line" not in choose_link("netns", 12_500_000).description


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


@pytest.mark.netns
def test_namespaces_count_frames_with_their_headers(needs_netns):
    count = 8_000_000
    with open_link("netns", 125_000_000) as link:
        before = link.counters()
        took_s = push(link, count)
        after = link.counters()
        assert all(namespace.exists() for namespace in namespaces(link))
    wire_bytes = after.forward_wire_bytes - before.forward_wire_bytes
    assert 1.04 * count < wire_bytes < 1.07 * count  # 1514 bytes of frame carry 1448; some segments are short
    assert after.return_wire_bytes - before.return_wire_bytes < 0.05 * count
    assert took_s > wire_bytes / 125_000_000 * 0.95
    assert not any(namespace.exists() for namespace in namespaces(link))


@pytest.mark.netns
def test_reading_namespace_counters_is_cheap(needs_netns):
    with open_link("netns", None) as link:
        samples_s = []
        for _ in range(100):
            began_s = time.monotonic()
            link.counters()
            samples_s.append(time.monotonic() - began_s)
    assert sorted(samples_s)[50] < 0.001


@pytest.mark.netns
def test_tcp_sees_the_length_of_a_link_between_namespaces(needs_netns):
    delay_s = 0.05
    with open_link("netns", 125_000_000, delay_s=delay_s, jitter_s=0.001) as link:
        took_s = push(link, 200_000)
        counters = link.counters()
    assert took_s > 4 * delay_s  # a handshake, and more than one window
    assert 200_000 < counters.forward_wire_bytes < 230_000


@pytest.mark.netns
def test_a_lossy_link_between_namespaces_delivers_all_and_sends_some_twice(needs_netns):
    count = 2_000_000
    with open_link("netns", 125_000_000, loss=0.05) as link:
        push(link, count)
        sent_bytes = link.counters().forward_wire_bytes
    assert sent_bytes > count * 1.07  # headers alone are 1.046


@pytest.mark.netns
def test_a_packet_line_ends_with_its_link_and_with_its_harness_even_when_that_is_killed(needs_netns):
    with open_link("netns", None, delay_s=0.001) as link:
        pid = link._cable._child.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
    code = (
        "from harness.links.netns import NetnsLink; import time\n"
        "link = NetnsLink(None, delay_s=0.001); link.open(); print(link._cable._child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_for_end(pid)
    remove_leftovers()


@pytest.mark.netns
def test_a_dead_packet_line_is_an_error_with_its_last_words(needs_netns):
    with open_link("netns", None, delay_s=0.001) as link:
        os.kill(link._cable._child.pid, signal.SIGKILL)
        link._cable._child.ended(10)
        with pytest.raises(PeerError, match="packet line died"):
            link.counters()


@pytest.mark.netns
def test_two_links_stand_side_by_side(needs_netns):
    with open_link("netns", None) as one, open_link("netns", None) as other:
        push(one, 1_000_000)
        assert one.counters().forward_wire_bytes > 1_000_000 > other.counters().forward_wire_bytes


@pytest.mark.netns
def test_a_link_that_fails_halfway_leaves_nothing(needs_netns, monkeypatch):
    monkeypatch.setattr(netns, "_COUNTING_QUEUE", ["nosuchqdisc"])
    link = NetnsLink(None)
    with pytest.raises(MissingError, match="nosuchqdisc"), link:
        pass
    assert not any(namespace.exists() for namespace in namespaces(link))


KILLED = "from harness.links.netns import NetnsLink\nimport os\nlink = NetnsLink(None); link.open()\nprint(*link.source.prefix)"


@pytest.mark.netns
def test_leftovers_of_the_killed_are_removed_and_those_of_the_living_stay(needs_netns):
    code = f"{KILLED}; os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.split()[-1].removeprefix("--net="))
    assert left.exists()
    with open_link("netns", None) as link:
        assert left.name in remove_leftovers()
        assert not left.exists()
        assert all(namespace.exists() for namespace in namespaces(link))
        link.counters()


@pytest.mark.netns
def test_a_namespace_that_only_has_a_name_like_ours_stays(needs_netns):
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    theirs = f"pf-{dead.pid}-{random.randrange(1000, 9999)}-a"
    subprocess.run(["ip", "netns", "add", theirs], check=True)
    try:
        assert theirs not in remove_leftovers()
        assert (NAMESPACES / theirs).exists()
    finally:
        subprocess.run(["ip", "netns", "del", theirs], check=True)


@pytest.mark.netns
def test_a_link_of_another_pid_namespace_is_alive(needs_netns):
    code = "from harness.links.netns import remove_leftovers; print(remove_leftovers())"
    elsewhere = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    with open_link("netns", None) as link:
        removed = subprocess.run(elsewhere, capture_output=True, text=True, check=False)
        if removed.returncode != 0:
            pytest.skip(f"no PID namespaces here: {removed.stderr.strip()}")
        assert not any(namespace.name in removed.stdout for namespace in namespaces(link))
        assert all(namespace.exists() for namespace in namespaces(link))
        link.counters()


@pytest.mark.netns
def test_processes_of_a_link_see_the_machine_as_it_is(needs_netns):
    """Most of all the limits of their control group: ``ip netns exec`` would hide all of /sys/fs/cgroup."""
    with open_link("netns", None) as link:
        look = ["cat", "/proc/self/mountinfo"]
        inside = subprocess.run([*link.source.prefix, *look], capture_output=True, text=True, check=True)
        assert inside.stdout == Path("/proc/self/mountinfo").read_text()


@pytest.mark.netns
def test_namespaces_go_when_the_program_ends_without_closing(needs_netns):
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.split()[-1].removeprefix("--net=")).exists()


def test_relay_has_one_port_for_each_destination_port():
    with RelayLink(None) as link:
        assert link.connect_address(4001) == link.connect_address(4001) != link.connect_address(4002)
