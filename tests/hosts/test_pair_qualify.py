"""A backend is qualified on both hosts of a pair, behind two real sshds in network namespaces."""

import pytest
from ssh_lab import SshLab, why_not

from harness.cli import main
from harness.results.certificate import load_certificate

pytestmark = [pytest.mark.netns, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


def test_a_certificate_of_each_host_says_which(tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "lab").mkdir()
    with SshLab(tmp_path / "lab", 5) as lab:
        argv = ["qualify", "zlib", "--pair", "lab", "--hosts", str(lab.hosts), "--only", "contract.levels"]
        assert main([*argv, "--out", str(out)]) == 0
    for side, host in (("source", "lab-a"), ("destination", "lab-b")):
        certificate = load_certificate(out / side / "certificate.json")
        assert certificate.environment["host"] == f"{host}, {side} of pair lab"
        assert [check.status for check in certificate.checks] == ["pass"]
        assert host in (out / side / "certificate.html").read_text()
    assert (out / "comparison.html").is_file()
    assert capsys.readouterr().out.count("PASS: zlib") == 2
