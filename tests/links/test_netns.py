"""Network namespaces as a link: made, counted, removed; and what a killed run left is found."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from open_links import given, needs_netns, push, wait_for_end
from pairs import wait_until

from harness.errors import MissingError, PeerError
from harness.links import netns
from harness.links.netns import NetnsLink, remove_leftovers

NAMESPACES = Path("/run/netns")
__all__ = ["needs_netns"]
pytestmark = pytest.mark.netns


def namespaces(link):
    """The files that stand for both network namespaces of ``link``."""
    return [host.file for host in (link.source, link.destination)]


def test_namespaces_count_frames_with_their_headers(needs_netns):
    count = 8_000_000
    with NetnsLink(given(125_000_000)) as link:
        before = link.counters()
        took_s = push(link, count)
        after = link.counters()
        assert all(namespace.exists() for namespace in namespaces(link))
    wire_bytes = after.forward_wire_bytes - before.forward_wire_bytes
    assert 1.04 * count < wire_bytes < 1.07 * count  # 1514 bytes of frame carry 1448; some segments are short
    assert after.return_wire_bytes - before.return_wire_bytes < 0.05 * count
    assert took_s > wire_bytes / 125_000_000 * 0.95
    assert not any(namespace.exists() for namespace in namespaces(link))


def test_reading_namespace_counters_is_cheap(needs_netns):
    with NetnsLink(given()) as link:
        samples_s = []
        for _ in range(100):
            began_s = time.monotonic()
            link.counters()
            samples_s.append(time.monotonic() - began_s)
    assert sorted(samples_s)[50] < 0.001


def test_tcp_sees_the_length_of_a_link_between_namespaces(needs_netns):
    delay_s = 0.05
    with NetnsLink(given(125_000_000, delay_s=delay_s, jitter_s=0.001)) as link:
        took_s = push(link, 200_000)
        counters = link.counters()
    assert took_s > 4 * delay_s  # a handshake, and more than one window
    assert 200_000 < counters.forward_wire_bytes < 230_000


def test_a_lossy_link_between_namespaces_delivers_all_and_sends_some_twice(needs_netns):
    count = 2_000_000
    with NetnsLink(given(125_000_000, loss=0.05)) as link:
        push(link, count)
        sent_bytes = link.counters().forward_wire_bytes
    assert sent_bytes > count * 1.07  # headers alone are 1.046


def test_a_packet_line_ends_with_its_link_and_with_its_harness_even_when_that_is_killed(needs_netns):
    with NetnsLink(given(None, delay_s=0.001)) as link:
        pid = link._line.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
    code = (
        "from harness.links.netns import NetnsLink; from harness.scenario.kinds import LinkSettings; import time\n"
        "link = NetnsLink(LinkSettings(delay_s=0.001)); link.open(); print(link._line.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_for_end(pid)
    remove_leftovers()


def test_a_dead_packet_line_is_an_error_with_its_last_words(needs_netns):
    with NetnsLink(given(None, delay_s=0.001)) as link:
        os.kill(link._line.pid, signal.SIGKILL)
        link._line.ended(120)
        with pytest.raises(PeerError, match="packet line died"):
            link.counters()


def test_two_links_stand_side_by_side(needs_netns):
    with NetnsLink(given()) as one, NetnsLink(given()) as other:
        push(one, 1_000_000)
        assert one.counters().forward_wire_bytes > 1_000_000 > other.counters().forward_wire_bytes


def test_a_link_that_fails_halfway_leaves_nothing(needs_netns, monkeypatch):
    monkeypatch.setattr(netns, "_COUNTING_QUEUE", ["nosuchqdisc"])
    link = NetnsLink(given())
    with pytest.raises(MissingError, match="nosuchqdisc"), link:
        pass
    assert not any(namespace.exists() for namespace in namespaces(link))


KILLED = "from harness.links.netns import NetnsLink\nfrom harness.scenario.kinds import LinkSettings\nimport os\n"
KILLED += "link = NetnsLink(LinkSettings()); link.open()\nprint(link.source.file)"


def test_leftovers_of_the_killed_are_removed_and_those_of_the_living_stay(needs_netns):
    code = f"{KILLED}; os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    with NetnsLink(given()) as link:
        remove_leftovers()  # another run on this machine may be at it already
        wait_until(lambda: not left.exists())
        assert all(namespace.exists() for namespace in namespaces(link))
        link.counters()


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


def test_a_link_of_another_pid_namespace_is_alive(needs_netns):
    code = "from harness.links.netns import remove_leftovers; print(remove_leftovers())"
    elsewhere = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    with NetnsLink(given()) as link:
        removed = subprocess.run(elsewhere, capture_output=True, text=True, check=False)
        if removed.returncode != 0:
            pytest.skip(f"no PID namespaces here: {removed.stderr.strip()}")
        assert not any(namespace.name in removed.stdout for namespace in namespaces(link))
        assert all(namespace.exists() for namespace in namespaces(link))
        link.counters()


def test_processes_of_a_link_see_the_machine_as_it_is(needs_netns):
    """Most of all the limits of their control group: ``ip netns exec`` would hide all of /sys/fs/cgroup."""
    with NetnsLink(given()) as link:
        look = ["cat", "/proc/self/mountinfo"]
        inside = subprocess.run([*link.source.prefix, *look], capture_output=True, text=True, check=True)
        assert inside.stdout == Path("/proc/self/mountinfo").read_text()


def test_namespaces_go_when_the_program_ends_without_closing(needs_netns):
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
