"""A link and a host of somebody else's: a file each outside the package, named by an entry point; a replay runs across them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from distributions import install

from harness.errors import ScenarioError
from harness.experiment.runner import run_scenario
from harness.scenario.model import load_scenario

LINK = '''
from harness.hosts.contract import HOSTS
from harness.links.contract import Link, LinkCounters
from harness.scenario.kinds import LinkSettings

class WireSettings(LinkSettings):
    host: str

class WireLink(Link):
    """Loopback as it is. Counts nothing but that it was asked."""

    settings = WireSettings
    counts, counts_headers, shares_cpu = "looks", True, False
    description = "wire: loopback as it is"
    looks = 0

    def __init__(self, given):
        super().__init__(given, HOSTS.load(given.host)(), HOSTS.load(given.host)())

    def open(self): pass

    def close(self): pass

    def connect_address(self, destination_port):
        return self.destination.address, destination_port

    def counters(self):
        self.looks += 1
        return LinkCounters(self.looks, 0)

    def set_bandwidth(self, bytes_per_s): pass
'''
HOST = '''
from harness.hosts.local import Local

class NicedHost(Local):
    """This machine, in the background."""

    def __init__(self):
        super().__init__(prefix=["nice", "-n", "7"])

    def child(self, argv, *, log):
        with (log.parent / "niced.log").open("a") as noted:
            noted.write(f"{log.stem} ")
        return super().child(argv, log=log)
'''
SCENARIO = """
description = "a link and hosts of somebody else's"
repeats = 1
warmups = 0
guest = {kind = "synthetic", memory = "16MiB", working_set = "2MiB", dirty_rate = "0MiB/s"}
link = {kind = "wire", host = "niced"}
[[method]]
name = "original"
engine = "qemu"
baseline = true
[[method]]
name = "zlib"
engine = "pageferry"
backend = "zlib"
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that needs both distributions, which are installed."""
    points = "[pageferry.links]\nwire = wire_link:WireLink\n[pageferry.hosts]\nniced = niced_host:NicedHost\n"
    install(monkeypatch, tmp_path, "others", points, wire_link=LINK, niced_host=HOST)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "others.toml"
    path.write_text(SCENARIO)
    return path


def test_each_is_at_most_forty_lines():
    assert max(len(LINK.strip().splitlines()), len(HOST.strip().splitlines())) <= 40


def test_a_replay_runs_across_them_and_gives_a_result(scenario: Path, tmp_path: Path):
    result = run_scenario(load_scenario(scenario), tmp_path / "out", lambda _: None)
    assert [(run.method, run.status, run.verified) for run in result.runs] == [
        ("original", "completed", True),
        ("zlib", "completed", True),
    ]
    assert result.environment["link"] == "wire: loopback as it is"
    assert result.environment["link_shares_cpu"] is False
    assert json.loads(json.dumps(dict(result.scenario)))["link"]["host"] == "niced"
    (noted,) = [file.read_text().split() for file in (tmp_path / "out").rglob("niced.log") if "zlib" in str(file)]
    assert sorted(noted) == ["feeder", "receiver", "sender", "sink"]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ('{kind = "wire"}', "link.host: is missing: add it"),
        ('{kind = "wire", host = 5}', "link.host: 5: must be a valid string"),
        ('{kind = "wire", speed = 5}', "link.speed: unknown key; known: kind, bandwidth"),
        (
            '{kind = "wier"}',
            "link.kind: 'wier': unknown link kind; did you mean 'wire'? known: auto, netns, relay, pair, wire",
        ),
        ("{kind = 5}", "link.kind: 5: must be one of auto, netns, relay, pair, wire"),
    ],
)
def test_their_settings_are_checked_like_ours(scenario: Path, link: str, words: str):
    scenario.write_text(SCENARIO.replace('{kind = "wire", host = "niced"}', link))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(scenario)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
