"""Scenarios spread over pairs of hosts, what two pairs share, and a scheduler that is not there."""

from __future__ import annotations

import socket

import pytest

from harness import cli
from harness.fleet.cells import THIS_MACHINE, apart, spread
from harness.scenario.inventory import Pair
from harness.scenario.model import load_scenario

PAIRS = {
    name: Pair(source=source, destination=destination, address="192.0.2.2", nic="eth0")
    for name, source, destination in (("one", "a", "b"), ("two", "c", "d"), ("three", "e", "f"), ("back", "d", "a"))
}


def test_pairs_with_a_host_in_common_share_a_worker():
    assert apart(PAIRS) == [("three",), ("one", "two", "back")]
    assert apart({}) == []


def test_every_scenario_is_spread_over_every_pair():
    scenarios = [load_scenario(name) for name in ("unlimited", "throttled")]
    matrix = spread(scenarios, {name: PAIRS[name] for name in ("one", "two")})
    assert [(name, pair) for name, _, pair in matrix] == [
        ("unlimited@one", "one"), ("unlimited@two", "two"), ("throttled@one", "one"), ("throttled@two", "two"),
    ]  # fmt: skip
    assert [scenario.link.pair.source for _, scenario, _ in matrix] == ["a", "c", "a", "c"]
    assert spread(scenarios[:1], {}) == [("unlimited", scenarios[0], THIS_MACHINE)]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:{}", "no scheduler answers there within 0.1 s: start one"),
        ("lab:nowhere", "no scheduler that we can speak to: ValueError"),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_line(tmp_path, capsys, monkeypatch, address, words):
    monkeypatch.setattr("harness.fleet.cluster._JOIN_S", 0.1)
    hosts = tmp_path / "hosts.toml"
    hosts.write_text('[pair.lab]\nsource = "a"\ndestination = "b"\naddress = "192.0.2.2"\nnic = "eth0"\n')
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = address.format(nobody_listens.getsockname()[1])
        argv = ["fleet", "unlimited", "--hosts", str(hosts), "--scheduler", address, "--out", str(tmp_path / "out")]
        assert cli.main(argv) == 5
    assert f"--scheduler {address}: {words}" in capsys.readouterr().err
    assert not (tmp_path / "out" / "latest").exists()
