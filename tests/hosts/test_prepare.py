"""A host with nothing but Python gets this pageferry over ssh; what it lacks is one line."""

import base64
import hashlib
import re
import sys
import zipfile
from importlib.metadata import distribution

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename
from ssh_lab import SshLab, why_not

from harness.cli import main
from harness.errors import MissingError, PeerError
from harness.hosts.agent.identity import code_digest
from harness.hosts.prepare import prepare, wheels

OF_THE_GREETING = {
    "annotated-types", "click", "pageferry", "psutil", "pydantic", "pydantic-core", "typing-extensions",
    "typing-inspection", "xxhash",
}  # fmt: skip
WITHOUT = [] if why_not() is None else [why_not()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if WITHOUT:
        pytest.skip(WITHOUT[0])
    with SshLab(tmp_path_factory.mktemp("lab"), 7) as made:
        yield made


@pytest.fixture
def ssh_says(tmp_path, monkeypatch):
    """In place of ssh, a program that says and ends so."""

    def says(words, status):
        (tmp_path / "ssh").write_text(f"#!/bin/sh\ncat >/dev/null\n{words}\nexit {status}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return says


@pytest.mark.netns
def test_a_host_with_python_alone_is_prepared_once(lab, capsys, monkeypatch):
    monkeypatch.setattr(
        prepare, "needed", lambda: [each for each in wheels.needed() if canonicalize_name(each.name) in OF_THE_GREETING]
    )
    base = lab.folder / "home-a" / ".local/share/pageferry"
    (base / "installed" / "older").mkdir(parents=True)
    argv = ["hosts", "prepare", "lab-a", "--ssh-config", str(lab.config)]
    assert main(argv) == 0
    told = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"lab-a: pageferry \S+ \({code_digest()}\) is there now", told[-1])
    assert sorted(path.name for path in base.iterdir()) == ["current", "installed"]
    assert list((base / "installed").iterdir()) == [(base / "current").resolve()]
    assert main(argv) == 0
    assert capsys.readouterr().out.splitlines() == [told[-1].replace("there now", "there already")]


@pytest.mark.netns
def test_a_disk_that_fills_there_is_told_with_the_remedy(lab, tmp_path):
    python = prepare.look("lab-b", lab.config)
    assert python.is_ours
    (lab.folder / "home-b" / ".local").write_text("in the way of the folder")
    with pytest.raises(MissingError, match=r"lab-b: .*/home-b/.local.*: Not a directory; make room, or let this user"):
        prepare.install("lab-b", lab.config, python, [], lambda _: None)


@pytest.mark.parametrize(
    ("words", "status", "kind", "told"),
    [
        (
            "echo Python 3.9.2",
            3,
            MissingError,
            "x: Python 3.9.2, and pageferry needs Python 3.11 or newer: install one",
        ),
        ("echo there is no python3", 3, MissingError, "x: there is no python3, and pageferry needs"),
        ("echo 'Permission denied (publickey).' >&2", 255, PeerError, "x: ssh: Permission denied .*ssh-copy-id x"),
        ("echo 'no shell for you'", 1, MissingError, "x: no shell for you"),
    ],
    ids=["old", "none", "no key", "no shell"],
)
def test_a_host_that_cannot_be_prepared_is_one_line(ssh_says, words, status, kind, told):
    ssh_says(words, status)
    with pytest.raises(kind, match=told):
        prepare.look("x", None)


def test_what_the_login_shell_prints_before_is_passed_over(ssh_says):
    ssh_says("""echo welcome; echo '["/usr/bin/python3", 3, 13, "aarch64", "2.41"]'""", 0)
    found = prepare.look("x", None)
    assert (found.version, found.machine, found.is_ours) == ("3.13", "aarch64", False)


@pytest.mark.parametrize("name", ["click", "pageferry", "xxhash"])
def test_a_packed_wheel_is_named_and_listed_as_pip_wants_it(tmp_path, name):
    path = wheels.pack(distribution(name), tmp_path)
    packed, version, _, tags = parse_wheel_filename(path.name)
    assert (packed, str(version)) == (name, distribution(name).version)
    assert tags
    with zipfile.ZipFile(path) as wheel:
        (record,) = (each for each in wheel.namelist() if each.endswith(".dist-info/RECORD"))
        lines = [line.rsplit(",", 2) for line in wheel.read(record).decode().splitlines()]
        assert sorted(line[0] for line in lines) == sorted(wheel.namelist())
        for file, digest, size in lines[:-1]:
            data = wheel.read(file)
            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={found}", len(data))
    assert name != "pageferry" or {"harness/cli.py", "scenarios/throttled.toml"} <= {line[0] for line in lines}


def test_what_is_needed_has_no_part_of_tests_and_checks():
    names = {each.name.lower() for each in wheels.needed()}
    assert {"pageferry", "click", "pydantic", "pydantic_core", "typing_extensions"} <= {
        name.replace("-", "_") for name in names
    }
    assert names & {"pytest", "mypy", "ruff", "hypothesis", "distributed"} == set()


def test_a_distribution_that_pip_did_not_install_is_told(tmp_path):
    class Bare:
        name, version, files = "bare", "1", None

        def read_text(self, _):
            return None

    with pytest.raises(MissingError, match="bare: was not installed by pip here"):
        wheels.pack(Bare(), tmp_path)


def test_wheels_that_pip_cannot_fetch_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    other = prepare.Python("/usr/bin/python3", 3, 99, "x86_64", "2.36")
    with pytest.raises(MissingError, match=rf"for Python 3\.99 on x86_64: .*Python 3\.{sys.version_info[1]}, as here"):
        prepare._download(other, tmp_path / "pageferry.whl", ["click"], tmp_path)
