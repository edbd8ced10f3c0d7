"""A file of hosts is read whole, or refused in one line that says where and what to write."""

from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario.inventory import load_pair, load_pairs

LAB = """[pair.lab]
source = "root@a"
destination = "root@b"
address = "10.0.0.2"
nic = "eth1"
"""


@pytest.fixture
def hosts(tmp_path):
    return tmp_path / "hosts.toml"


def test_a_pair_has_what_was_written_and_defaults_for_the_rest(hosts: Path) -> None:
    (hosts.parent / "lab.conf").write_text("")
    hosts.write_text(LAB + 'ports = "5000-5009"\ndestination_nic = "eth2"\nssh_config = "lab.conf"\n')
    pair = load_pair("lab", hosts)
    assert (pair.source, pair.nics, pair.port_range) == ("root@a", ("eth1", "eth2"), (5000, 5009))
    assert pair.ssh_config == hosts.parent / "lab.conf"
    assert (pair.shape, pair.command) == (False, 'env "PATH=$HOME/.local/share/pageferry/current/bin:$PATH" pageferry')


def test_a_file_may_have_many_pairs(hosts: Path) -> None:
    hosts.write_text(LAB + LAB.replace("lab", "rack-2"))
    assert list(load_pairs(hosts)) == ["lab", "rack-2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "pair: no pair: add a table [pair.NAME]"),
        ("[pairs.lab]\n", "pairs: unknown key; did you mean 'pair'?"),
        ("pair = 3\n", "pair: must be tables"),
        (LAB + "speed = 3\n", "pair.lab.speed: unknown key; did you mean 'shape'? known: source"),
        (LAB.replace('nic = "eth1"\n', ""), "pair.lab.nic: is missing"),
        (LAB.replace("root@b", "root@a"), "pair.lab.destination: 'root@a': is the source too"),
        (LAB.replace("root@b", "-oProxyCommand=x"), "pair.lab.destination: '-oProxyCommand=x': not a host"),
        (LAB.replace("10.0.0.2", "lab-b"), "pair.lab.address: 'lab-b': not an IPv4 address"),
        (LAB + 'ports = "9-5"\n', "pair.lab.ports: '9-5': no ports"),
        (LAB + 'ssh_config = "none.conf"\n', "there is no such file"),
        (LAB.replace('"eth1"', '"a/b"'), "pair.lab.nic: 'a/b': not a network interface's name"),
        (LAB.replace("[pair.lab]", '[pair."a b"]'), "not a pair's name"),
        (LAB + "shape = 1\n", "pair.lab.shape: 1: must be a valid boolean"),
        ("[pair\n", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(hosts: Path, text: str, words: str) -> None:
    hosts.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_pairs(hosts)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{hosts}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_how_to_get_one(hosts: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot read the hosts: No such file or directory; write one as"):
        load_pairs(hosts)


def test_a_pair_that_is_not_there_names_those_that_are(hosts: Path) -> None:
    hosts.write_text(LAB)
    with pytest.raises(ScenarioError, match=r"--pair 'lob': unknown pair; did you mean 'lab'\? known: lab"):
        load_pair("lob", hosts)
