"""A folder of certificates that will not do is told at once: the file, what is wrong with it, what to do."""

from __future__ import annotations

import errno
import os
import ssl

import certificates
import pytest
from click.testing import CliRunner

from harness.commands.tls import command
from harness.errors import UserError
from harness.migrator.transport.lab_ca import make_folder
from harness.migrator.transport.tls_files import context_of, is_named

MAKE = r"`pageferry tls init DIR --host NAME` makes all that is needed"


@pytest.fixture
def folder(lab_folder, tmp_path):
    return certificates.copied(lab_folder, tmp_path / "pki")


@pytest.mark.parametrize("server_side", [True, False])
def test_what_was_made_is_taken_and_is_ours_alone(folder, server_side):
    assert context_of(folder, server_side=server_side).minimum_version is ssl.TLSVersion.TLSv1_3
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["ca-cert.pem", "client-cert.pem", "client-key.pem"])
@pytest.mark.parametrize(("text", "line"), [(None, rf": no such file; {MAKE}"), ("x", rf" in PEM form.*; {MAKE}")])
def test_a_file_that_is_missing_or_nonsense_is_named(folder, name, text, line):
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    with pytest.raises(UserError, match=rf"^--tls: .*{line}$") as caught:
        context_of(folder, server_side=False)
    assert name in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(folder):
    (folder / "server-key.pem").unlink()
    (folder / "server-key.pem").mkdir()
    with pytest.raises(UserError, match=r"server-key.pem: cannot read it: Is a directory; run this as a user who may"):
        context_of(folder, server_side=True)


def test_a_key_of_another_certificate_is_told(folder):
    (folder / "server-key.pem").write_bytes((folder / "client-key.pem").read_bytes())
    with pytest.raises(UserError, match=r"server-key.pem: is not the key of server-cert.pem; put the two"):
        context_of(folder, server_side=True)


def test_a_key_that_everybody_may_read_is_refused(folder):
    (folder / "server-key.pem").chmod(0o644)
    with pytest.raises(UserError, match=r"server-key.pem: any user of this machine may read it; `chmod 600 "):
        context_of(folder, server_side=True)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(folder):
    certificates.lock(folder / "client-key.pem")
    with pytest.raises(UserError, match=r"client-key.pem: it is encrypted, and nobody is asked for its passphrase"):
        context_of(folder, server_side=False)


@pytest.mark.parametrize("kept", ["ca-key.pem", "client-cert.pem"])
def test_nothing_is_overwritten(tmp_path, kept):
    (tmp_path / kept).write_text("mine")
    with pytest.raises(UserError, match=rf"{kept}: is there already, and is not overwritten; choose another folder"):
        make_folder(tmp_path, ["localhost"], 1)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(kept, "mine")]


@pytest.mark.parametrize("host", ["", "a b", "-a", "a..b", "*.example", "x" * 300])
def test_a_host_that_is_none_is_told(tmp_path, host):
    with pytest.raises(UserError, match=r"not a host's name or address; write one such as node1.example or 192.0.2.1"):
        make_folder(tmp_path / "pki", ["localhost", host], 1)
    assert not (tmp_path / "pki").exists()


def test_the_command_says_what_it_made_and_takes_no_odd_days(tmp_path):
    made = CliRunner().invoke(
        command, ["init", str(tmp_path / "pki"), "--host", "node2", "--host", "::1", "--days", "7"]
    )
    assert made.exit_code == 0
    assert "a CA, and certificates for node2, ::1, valid for 7 days; only you may read them" in made.output
    for wrong in (["--days", "0"], ["--days", "4000"]):
        assert CliRunner().invoke(command, ["init", str(tmp_path / "b"), "--host", "a", *wrong]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "found"),
    [("Node1", True), ("node1.", True), ("0:0::1", True), ("::2", False), ("node", False), ("", False)],
)
def test_a_name_is_the_certificates_letter_by_letter(name, found):
    assert is_named(name, ("node1", "::1")) is found


@pytest.mark.parametrize("number", range(1, 7))
def test_where_one_of_a_labs_files_cannot_be_written_none_stays(number, tmp_path, monkeypatch):
    real, opened = os.fdopen, []

    def full(descriptor, *args, **settings):
        opened.append(descriptor)
        if len(opened) == number:
            os.close(descriptor)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, *args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(UserError, match="cannot write there: No space left on device; choose another folder"):
            make_folder(tmp_path / "tls", ["host"], 1)
    assert list((tmp_path / "tls").iterdir()) == []
    make_folder(tmp_path / "tls", ["host"], 1)
    assert len(list((tmp_path / "tls").iterdir())) == 6
