"""An audit that could not look is not green, and one that looks finds an advisory: by a server that stands for pypi.org."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import audit
import pytest

from harness.migrator.transport.lab_ca import make_folder

LOCKED = set(re.findall(r"^([a-z0-9-]+)==(\S+)", audit.LOCKED.read_text(), re.MULTILINE))
ADVISORY = {
    "id": "PYSEC-0000-1", "aliases": ["CVE-0000-1"], "details": "Planted.", "summary": None, "fixed_in": ["99.0"],
    "link": "https://example.invalid/", "source": "test", "withdrawn": None,
}  # fmt: skip


class Pypi(http.server.ThreadingHTTPServer):
    """Answers like pypi.org's JSON API, behind a proxy's CONNECT. ``planted``: releases that have an advisory; ``unknown``: a
    project that it does not know."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        make_folder(folder, ["pypi.org"], 30)
        self.planted = {(audit.NAME, audit.VERSION)}
        self.unknown = ""
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        self.environment = {
            "https_proxy": f"http://127.0.0.1:{self.server_port}", "no_proxy": "",
            "SSL_CERT_FILE": str(folder / "ca-cert.pem"), "REQUESTS_CA_BUNDLE": str(folder / "ca-cert.pem"),
        }  # fmt: skip


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Pypi

    def do_CONNECT(self) -> None:
        assert self.path == "pypi.org:443"
        self.send_response(200)
        self.end_headers()
        self.close_connection = False
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        _, _, name, version, _ = self.path.split("/")
        known = name != self.server.unknown and (name, version) in LOCKED | self.server.planted
        told = {
            "info": {"name": name, "version": version},
            "urls": [],
            "vulnerabilities": [ADVISORY] if (name, version) in self.server.planted else [],
        }
        body = json.dumps(told if known else {"message": "Not Found"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(server: http.server.HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(status: int, body: bytes):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    with served(server):
        yield f"http://127.0.0.1:{server.server_port}/x"


@pytest.fixture
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("_no_proxy")
@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "HTTPError: HTTP Error 404"),
        (200, b"<html>", "JSONDecodeError"),
        (200, json.dumps({"vulnerabilities": []}).encode(), "tells of no advisories"),
        (200, json.dumps({"vulnerabilities": [{"id": "PYSEC-2014-8"}]}).encode(), None),
    ],
    ids=["none", "no JSON", "no advisories", "advisories"],
)
def test_where_advisories_are_to_be_had_is_found_out_first(status, body, why):
    with answering(status, body) as url:
        found = audit.why_not(url)
    assert found is None if why is None else why in found


@pytest.mark.usefixtures("_no_proxy")
def test_without_advisories_nothing_is_called_checked(monkeypatch, capsys):
    monkeypatch.setattr(audit, "KNOWN", "http://127.0.0.1:9/x")
    assert audit.main([]) == audit.UNCHECKED
    assert "NOTHING WAS CHECKED" in capsys.readouterr().err


@pytest.fixture
def pypi(tmp_path) -> Iterator[Pypi]:
    server = Pypi(tmp_path / "pki")
    with served(server):
        yield server


def audited(pypi: Pypi, tmp_path: Path, *, path: str = "") -> subprocess.CompletedProcess[str]:
    """As a user runs it, with pypi.org here."""
    command = [sys.executable, audit.__file__, "--cache-dir", str(tmp_path / "cache")]
    kept = {"PATH": path or "/bin:/usr/bin", "HOME": str(tmp_path)}
    return subprocess.run(command, env={**kept, **pypi.environment}, capture_output=True, text=True, check=False)


def test_every_locked_release_is_in_one_part_and_no_project_twice_in_it():
    releases = [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3"), ("c", "1")]
    assert audit.parts(releases) == [{"a": "1", "b": "1", "c": "1"}, {"a": "2"}, {"a": "3"}]


def test_a_pip_audit_that_sees_nothing_has_not_checked(pypi, tmp_path):
    blind = tmp_path / "pip-audit"
    blind.write_text("#!/bin/sh\necho 'No known vulnerabilities found' >&2\n")
    blind.chmod(0o755)
    done = audited(pypi, tmp_path, path=f"{tmp_path}:/bin:/usr/bin")
    assert done.returncode == audit.UNCHECKED
    assert done.stderr == (
        "audit: NOTHING WAS CHECKED: pip-audit ended with 0 and found no advisory of jinja2 2.4.1, which has some: "
        "No known vulnerabilities found\n"
    )


@pytest.fixture
def pip_audit() -> str:
    found = shutil.which("pip-audit")
    if found is None:
        pytest.skip("needs pip-audit, which tox -e audit has")
    return f"{Path(found).parent}:/bin:/usr/bin"


SCIPY = sorted(version for name, version in LOCKED if name == "scipy")


@pytest.mark.parametrize(
    "release", [("click", dict(LOCKED)["click"]), *(("scipy", version) for version in SCIPY)], ids="-".join
)
def test_a_planted_advisory_of_a_locked_dependency_is_found_whichever_python_it_is_for(
    pypi, tmp_path, pip_audit, release
):
    pypi.planted.add(release)
    done = audited(pypi, tmp_path, path=pip_audit)
    assert done.returncode == audit.FOUND
    assert "Found 1 known vulnerability in 1 package" in done.stderr
    assert re.search(r" +".join([*map(re.escape, release), "PYSEC-0000-1", r"99\.0"]), done.stdout)


def test_without_one_it_is_green(pypi, tmp_path, pip_audit):
    done = audited(pypi, tmp_path, path=pip_audit)
    assert done.returncode == 0
    assert done.stderr.count("No known vulnerabilities found") == len(audit.parts([*LOCKED]))


def test_a_dependency_that_is_not_known_there_is_no_dependency_without_advisories(pypi, tmp_path, pip_audit):
    pypi.unknown = "click"
    done = audited(pypi, tmp_path, path=pip_audit)
    assert done.returncode == audit.FOUND
    assert "click" in done.stderr
