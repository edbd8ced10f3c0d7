"""A pair of hosts behind two real sshds in network namespaces: a scenario runs between them, and what is wrong is one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ssh_lab import NIC, SshLab, why_not

from harness.errors import PageferryError, PeerError, UserError
from harness.experiment.runner import run_scenario
from harness.links.pair import PairLink, Reached, across
from harness.scenario.inventory import load_pair
from harness.scenario.model import load_scenario

pytestmark = [pytest.mark.netns, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
PAGEFERRY = [sys.executable, "-P", "-m", "harness.cli"]
SMALL = ["guest.memory=64MiB", "guest.working_set=4MiB", "guest.dirty_rate=4MiB/s", "repeats=1", "warmups=0"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with SshLab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def queues(lab, side):
    return json.loads(lab.inside(side, "tc", "-j", "qdisc", "show", "dev", NIC))[0]


@pytest.mark.qemu
def test_a_scenario_runs_between_two_hosts_as_the_tutorial_says(lab, tmp_path):
    words = [
        "run",
        "throttled",
        "--pair",
        "lab",
        "--hosts",
        str(lab.hosts),
        "--only",
        "zstd-1",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [*PAGEFERRY, *words, *(word for key in SMALL for word in ("--set", key))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out" / "latest" / "result.json").read_text())
    assert [(run["method"], run["status"], run["verified"]) for run in result["runs"]] == [
        ("original", "completed", True),
        ("zstd-1", "completed", True),
    ]
    for run in result["runs"]:
        assert run["downtime_s"] > run["downtime_error_s"] > 0
        assert run["wire_bytes"] > 1 << 20
        assert run["cpu_s"]["source_qemu"] > 0
    assert result["environment"]["link"].startswith(
        f"pair lab: lab-a ({NIC}) to lab-b ({NIC}) at 192.0.2.2, limited to 1 Gbit/s"
    )
    assert result["environment"]["source_cores"] == result["environment"]["destination_cores"]
    assert {queues(lab, side)["kind"] for side in "ab"} == {"noqueue"}


def test_a_killed_ssh_ends_all_there_and_the_limit_of_the_interface(lab):
    pair = load_pair("lab", lab.hosts)
    link = PairLink(across(load_scenario("throttled").link, "lab", pair))
    with link:
        assert queues(lab, "a")["handle"] == "7066:"
        link.set_bandwidth(1 << 20)
        child = link.source.child(["sleep", "600"], log=lab.folder / "sleep.log").start()
        os.kill(link.source.connection.process.pid, signal.SIGKILL)
        assert child.ended(60.0)
        with pytest.raises(PeerError, match="lab-a: "):
            link.counters()
    again = PairLink(across(load_scenario("unlimited").link, "lab", pair))
    with again:
        assert not Path(f"/proc/{child.pid}").exists()
        assert queues(lab, "a")["kind"] == "noqueue"
        assert again.counters().forward_wire_bytes > 0


def test_an_interface_with_somebodys_queue_is_left_alone(lab):
    lab.inside("a", "tc", "qdisc", "add", "dev", NIC, "root", "handle", "5:", "pfifo", "limit", "10")
    try:
        link = PairLink(across(load_scenario("throttled").link, "lab", load_pair("lab", lab.hosts)))
        with pytest.raises(UserError, match=r"lab-a: pf0: has a queue of somebody's own \(pfifo 5:\)"), link:
            pass
        assert queues(lab, "a")["kind"] == "pfifo"
    finally:
        lab.inside("a", "tc", "qdisc", "del", "dev", NIC, "root")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": "192.0.2.77"}, "192.0.2.77: is no address of this host"),
        ({"nic": "eth9"}, "lab-a: eth9: there is no such network interface; there are .*pf0"),
        ({"command": "no-such-pageferry"}, "lab-a: there is no pageferry to start: .*install it there"),
        ({"source": "lab-c"}, "lab-c: ssh: Could not resolve hostname lab-c"),
    ],
    ids=["address", "interface", "no pageferry", "no host"],
)
def test_a_wrong_pair_is_refused_in_one_line(lab, changed, words):
    lab.folder.joinpath("wrong.toml").write_text(lab.pair_table(**changed))
    pair = load_pair("lab", lab.folder / "wrong.toml")
    with (
        pytest.raises(PageferryError, match=words) as caught,
        PairLink(across(load_scenario("unlimited").link, "lab", pair)),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_two_names_of_one_host_are_no_pair(lab):
    config = lab.config.read_text()
    (lab.folder / "one.conf").write_text(config + config.split("Host lab-b")[0].replace("lab-a", "lab-a2"))
    (lab.folder / "one.toml").write_text(lab.pair_table(destination="lab-a2", ssh_config="one.conf"))
    with pytest.raises(UserError, match="lab-a and lab-a2 are one host: a pair is two"):
        Reached(load_pair("lab", lab.folder / "one.toml"))


def test_a_key_that_is_not_the_known_one_stops_it(lab):
    known = lab.folder / "known-a"
    (lab.folder / "strange").write_text(
        known.read_text().replace(known.read_text().split()[2], (lab.folder / "key.pub").read_text().split()[1])
    )
    (lab.folder / "strange.conf").write_text(lab.config.read_text().replace(str(known), str(lab.folder / "strange")))
    (lab.folder / "strange.toml").write_text(lab.pair_table(ssh_config="strange.conf"))
    with pytest.raises(PeerError, match=r"lab-a: ssh: .*its key is not the one that is known"):
        Reached(load_pair("lab", lab.folder / "strange.toml"))


def test_a_firewall_between_is_told_with_the_ports(lab):
    lab.inside("b", "ip", "route", "add", "blackhole", "192.0.2.1/32")
    try:
        reached = Reached(load_pair("lab", lab.hosts))
        with pytest.raises(
            PeerError, match=r"lab-a: does not reach 192\.0\.2\.2 port 49152 .*firewall between \(ports 49152-49160\)"
        ):
            reached.check_reach()
        reached.close()
    finally:
        lab.inside("b", "ip", "route", "del", "blackhole", "192.0.2.1/32")


def test_a_limit_needs_the_owners_word(lab):
    (lab.folder / "untouched.toml").write_text(lab.pair_table(shape=False))
    scenario = load_scenario("throttled")
    link = across(scenario.link, "lab", load_pair("lab", lab.folder / "untouched.toml"))
    with pytest.raises(
        UserError, match=r"link.bandwidth 1 Gbit/s: its interfaces may not be limited: write shape = true"
    ):
        run_scenario(scenario.model_copy(update={"link": link}), lab.folder / "none", lambda _: None)
