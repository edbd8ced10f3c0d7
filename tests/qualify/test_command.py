"""``pageferry qualify``: files, exit status and words, with ours and with a plug-in installed as a third party's would be."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest
from distributions import leave

from harness import cli
from harness.results.certificate import load_certificate

PLUGIN = """
import zlib
from backends.api import Backend, BackendInfo, BackendUnavailable

class Card(Backend):
    info = BackendInfo(name="card", format="deflate")
    lost = 0

    @classmethod
    def probe(cls):
        return "card 1.0"

    def compress(self, data):
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        return packer.compress(bytes(data)[: len(data) - self.lost]) + packer.flush()

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        inflater = zlib.decompressobj(-15)
        try:
            raw = inflater.decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(str(exc)) from exc
        if len(raw) != raw_bytes or not inflater.eof or inflater.unused_data:
            raise self._error(f"{len(data)} bytes are no batch of {raw_bytes}")
        return raw

class Lossy(Card):
    info = BackendInfo(name="lossy", format="deflate")
    lost = 1

class Gone(Card):
    info = BackendInfo(name="gone")

    @classmethod
    def probe(cls):
        raise BackendUnavailable("gone", "no card in slot 7", "plug one in")

class Dead(Card):
    info = BackendInfo(name="dead", device="card0")

    def open(self):
        raise self._error("the card does not answer")
"""


@pytest.fixture
def plugin(tmp_path):
    """A distribution beside the test, in the environment of the commands it starts."""
    site = tmp_path / "site"
    names = {"card": "Card", "lossy": "Lossy", "gone": "Gone", "dead": "Dead"}
    points = "".join(f"{name} = card:{cls}\n" for name, cls in names.items())
    leave(site, "card", f"[pageferry.backends]\n{points}", card=PLUGIN)
    return site


def qualify(plugin: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [str(plugin), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", "qualify", *arguments],
        env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def test_a_good_plug_in_passes_and_three_files_say_so(plugin, tmp_path):
    checks = ["--only", "contract.round-trip", "--only", "contract.identity", "--only", "crossing"]
    done = qualify(plugin, "card", *checks, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: card (card 1.0) as software, quick, only the checks asked for" in done.stdout
    certificate = load_certificate(tmp_path / "out")
    assert (certificate.verdict, certificate.partial, certificate.version) == ("pass", True, "card 1.0")
    assert {check.group for check in certificate.checks} == {"contract", "crossing"}
    assert certificate.environment["cores"] >= 1
    assert "PASS" in (tmp_path / "out/certificate.html").read_text().upper()
    assert ElementTree.parse(tmp_path / "out/certificate.xml").getroot().get("failures") == "0"


def test_a_broken_plug_in_fails_and_the_check_is_named_with_a_command(plugin, tmp_path):
    checks = [word for check in ("identity", "round-trip", "consumed") for word in ("--only", f"contract.{check}")]
    done = qualify(plugin, "lossy", *checks, "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL: lossy" in done.stdout
    assert "contract.round-trip: again with: pageferry qualify lossy --only contract.round-trip" in done.stdout
    failed = {check.id for check in load_certificate(tmp_path / "out").checks if check.status == "fail"}
    assert failed == {"contract.round-trip", "contract.consumed"}
    assert int(ElementTree.parse(tmp_path / "out/certificate.xml").getroot().get("failures")) == len(failed)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "could not run: backend 'gone' is not available: no card in slot 7; plug one in"),
        (
            "dead",
            "could not run: backend 'dead' fails before any check: BackendError: backend 'dead': the card does not",
        ),
        ("nobody", "unknown backend 'nobody'; known: none, zlib"),
    ],
)
def test_what_cannot_run_is_2_and_says_what_is_missing(plugin, tmp_path, name, says):
    done = qualify(plugin, name, "--only", "contract.identity", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out/certificate.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument 'BACKEND'"),
        (["zlib", "--level", "77"], "level 77 is outside 0..9"),
        (["zlib", "--option", "queue=3"], "unknown option 'queue'"),
        (["zlib", "--only", "no.such"], "--only no.such: no such check or group"),
        (["zlib", "--class", "magic"], "'magic' is not one of 'software', 'accelerator', 'stand-in'"),
        (["zlib", "--thresholds", "nowhere.toml"], "nowhere.toml: cannot read the thresholds"),
        (["zlib", "--soak", "0"], "--soak"),
    ],
)
def test_wrong_arguments_are_2_and_one_line(arguments, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["qualify", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1


def test_a_labs_own_threshold_fails_what_the_shipped_one_passes(tmp_path, capsys):
    lab = tmp_path / "lab.toml"
    lab.write_text(
        textwrap.dedent("""
        [software]
        rare_batches = {least = 1e12}
        latency_p99_ms = {}
    """).replace("rare_batches", "compress_mib_per_s")
    )
    arguments = ["qualify", "zlib", "--only", "speed.surface", "--thresholds", str(lab), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 1
    out = capsys.readouterr().out
    assert "must be at least 1e+12" in out
    assert f"--thresholds {lab}" in out


def test_every_check_is_listed_with_its_reason(capsys):
    assert cli.main(["qualify", "--list"]) == 0
    out = capsys.readouterr().out
    for check_id in ("contract.round-trip", "hostile.bomb", "endurance.rare", "migration.throttled"):
        assert check_id in out


def test_two_certificates_stand_side_by_side(tmp_path, capsys):
    for name, level in (("a", "1"), ("b", "2")):
        arguments = ["--only", "contract.bound", "--level", level, "--out", str(tmp_path / name)]
        assert cli.main(["qualify", "zlib", *arguments]) == 0
    capsys.readouterr()
    compared = ["qualify", "--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "both")]
    assert cli.main(compared) == 0
    assert "largest_output_share" in capsys.readouterr().out
    assert "contract.bound" in (tmp_path / "both/comparison.html").read_text()
