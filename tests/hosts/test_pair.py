"""A pair of hosts behind two real sshds in network namespaces: a scenario runs between them, and what is wrong is one line."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from ssh_lab import NIC, SshLab, why_not

from harness.cli import main
from harness.doctor.pair import look_at_both
from harness.errors import MissingError, PeerError, UserError
from harness.experiment.runner import run_scenario
from harness.hosts.agent.asked import free_port
from harness.hosts.agent.connection import Connection
from harness.hosts.agent.ssh import ssh_argv
from harness.links.nic import shape_nic
from harness.links.pair import PairLink, Reached, across, leased
from harness.results.result import load_result
from harness.scenario.inventory import load_pair
from harness.scenario.model import load_scenario

pytestmark = [pytest.mark.netns, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
PATIENCE_S = 60.0
ONE_RUN = """
description = "One run between two hosts"
repeats = 1
warmups = 0
[guest]
kind = "stress"
memory = "64MiB"
working_set = "4MiB"
dirty_rate = "4MiB/s"
[link]
bandwidth = "1Gbit/s"
[[method]]
name = "zstd-1"
engine = "pageferry"
backend = "zstd"
baseline = true
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with SshLab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def reached(lab):
    made = Reached(load_pair("lab", lab.hosts))
    yield made
    made.close()


def queues(lab, side):
    return json.loads(lab.inside(side, "tc", "-j", "qdisc", "show", "dev", NIC))[0]


def comes_true(what):
    deadline_s = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.qemu
def test_a_fleet_runs_a_scenario_between_the_hosts_of_each_pair(lab, tmp_path, capsys):
    (tmp_path / "one.toml").write_text(ONE_RUN)
    config = str(lab.config)
    back = lab.pair_table(source="lab-b", destination="lab-a", address="192.0.2.1", ssh_config=config)
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(lab.pair_table(ssh_config=config) + back.replace("pair.lab", "pair.back"))
    assert main(["fleet", str(tmp_path / "one.toml"), "--hosts", str(hosts), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for name, ends, address in (("lab", "ab", "192.0.2.2"), ("back", "ba", "192.0.2.1")):
        assert f"one on {name}: ok, 1 run" in said
        result = load_result(tmp_path / "out" / "latest" / f"one@{name}" / "result.json")
        (run,) = result.runs
        assert (run.status, run.verified) == ("completed", True), run
        assert run.downtime_error_s > 0
        assert run.downtime_s is None or run.downtime_s >= run.downtime_error_s
        assert run.wire_bytes > 1 << 20
        assert run.cpu_s.source_qemu > 0
        assert run.cpu_s.receiver > 0
        near, far = (f"lab-{end} ({NIC})" for end in ends)
        facts = result.environment
        assert facts["link"].startswith(f"pair {name}: {near} to {far} at {address}, limited to 1 Gbit/s")
        assert facts["source_cores"] == facts["destination_cores"]
    assert (tmp_path / "out" / "latest" / "site" / "index.html").is_file()
    assert {queues(lab, side)["kind"] for side in "ab"} == {"noqueue"}


def test_a_killed_ssh_ends_all_there_and_the_limit_of_the_interface(lab):
    with PairLink(across(load_scenario("throttled"), "lab", load_pair("lab", lab.hosts)).link) as link:
        assert queues(lab, "a")["handle"] == "7066:"
        link.set_bandwidth(1 << 20)
        child = link.source.child(["sleep", "600"], log=lab.folder / "sleep.log").start()
        os.kill(link.source.connection.process.pid, signal.SIGKILL)
        assert child.ended(PATIENCE_S)
        with pytest.raises(PeerError, match="lab-a: "):
            link.counters()
    assert comes_true(lambda: not Path(f"/proc/{child.pid}").exists())
    assert comes_true(lambda: queues(lab, "a")["kind"] == "noqueue")


def test_doctor_looks_at_both_hosts_and_at_what_the_network_carries(lab, reached):
    checks = {check.id: check for check in look_at_both(reached, load_pair("lab", lab.hosts))}
    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(
        ("clocks", "processors", "memory", "mtu", "link"), "ok"
    )
    assert re.search(r"one TCP connection carries \d\S* .bit/s, round trip \d+\.\d\d ms", checks["link"].found)


def test_a_pair_in_use_is_told_with_its_holder_until_that_ends(lab, reached):
    held = r"lab-a: in use by .+@.+ \(pageferry run throttled, process \d+\) since 20.+ UTC: wait for its end"
    scenario = across(load_scenario("throttled"), "lab", load_pair("lab", lab.hosts))
    with leased(scenario.link, "pageferry run throttled"), pytest.raises(UserError, match=held):
        reached.hold("pageferry fleet")
    reached.hold("pageferry fleet")


def test_an_interface_with_somebodys_queue_is_left_alone(lab, reached):
    lab.inside("a", "tc", "qdisc", "add", "dev", NIC, "root", "handle", "5:", "pfifo", "limit", "10")
    try:
        with pytest.raises(UserError, match=r"lab-a: pf0: has a queue of somebody's own \(pfifo 5:\)"):
            reached.source.call(shape_nic, NIC, ["tbf"])
        assert queues(lab, "a")["kind"] == "pfifo"
    finally:
        lab.inside("a", "tc", "qdisc", "del", "dev", NIC, "root")


def test_an_address_of_another_host_is_refused(reached):
    with pytest.raises(PeerError, match=r"lab-b: 192\.0\.2\.77: is no address of this host"):
        reached.destination.call(free_port, "192.0.2.77", 49152, 49160)


def test_a_firewall_between_is_told_with_the_ports(lab, reached):
    lab.inside("b", "ip", "route", "add", "blackhole", "192.0.2.1/32")
    try:
        with pytest.raises(
            PeerError, match=r"lab-a: does not reach 192\.0\.2\.2 port 49152 .*firewall between \(ports 49152-49160\)"
        ):
            reached.check_reach(0.5)
    finally:
        lab.inside("b", "ip", "route", "del", "blackhole", "192.0.2.1/32")


def test_two_names_of_one_host_are_no_pair(lab):
    config = lab.config.read_text()
    (lab.folder / "one.conf").write_text(config + config.split("Host lab-b")[0].replace("lab-a", "lab-a2"))
    (lab.folder / "one.toml").write_text(lab.pair_table(destination="lab-a2", ssh_config="one.conf"))
    with pytest.raises(UserError, match="lab-a and lab-a2 are one host: a pair is two"):
        Reached(load_pair("lab", lab.folder / "one.toml"))


def test_a_host_without_pageferry_is_told_with_the_remedy(lab):
    with pytest.raises(MissingError, match=r"lab-a: there is no pageferry to start: .*pageferry hosts prepare lab-a"):
        Connection("lab-a", ssh_argv("lab-a", "no-such-pageferry", lab.config))


def test_a_key_that_is_not_the_known_one_stops_it(lab):
    known = lab.folder / "known-a"
    (lab.folder / "strange").write_text(
        known.read_text().replace(known.read_text().split()[2], (lab.folder / "key.pub").read_text().split()[1])
    )
    (lab.folder / "strange.conf").write_text(lab.config.read_text().replace(str(known), str(lab.folder / "strange")))
    with pytest.raises(PeerError, match=r"lab-a: ssh: .*its key is not the one that is known"):
        Connection("lab-a", ssh_argv("lab-a", "pageferry", lab.folder / "strange.conf"))


def test_the_command_leads_to_the_pair_and_tells_a_host_that_is_not_there(lab, tmp_path, capsys):
    hosts = lab.folder / "absent.toml"
    hosts.write_text(lab.pair_table(source="lab-c", command="true"))
    assert main(["run", "unlimited", "--pair", "lab", "--hosts", str(hosts), "--out", str(tmp_path / "out")]) == 5
    assert "error: lab-c: ssh: Could not resolve hostname lab-c" in capsys.readouterr().err


def test_a_limit_needs_the_owners_word(lab, tmp_path):
    (lab.folder / "untouched.toml").write_text(lab.pair_table(shape=False))
    scenario = across(load_scenario("throttled"), "lab", load_pair("lab", lab.folder / "untouched.toml"))
    with pytest.raises(
        UserError, match=r"link.bandwidth 1 Gbit/s: its interfaces may not be limited: write shape = true"
    ):
        run_scenario(scenario, tmp_path / "out", lambda _: None)
