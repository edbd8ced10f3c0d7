"""An audit that could not look is not green."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager

import audit
import pytest


@contextmanager
def answering(status: int, body: bytes):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/x"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "HTTPError: HTTP Error 404"),
        (200, b"<html>", "JSONDecodeError"),
        (200, json.dumps({"vulnerabilities": []}).encode(), "it tells of no advisories"),
        (200, json.dumps({"vulnerabilities": [{"id": "PYSEC-2014-8"}]}).encode(), None),
    ],
    ids=["none", "no JSON", "no advisories", "advisories"],
)
def test_where_advisories_are_to_be_had_is_found_out_first(status, body, why):
    with answering(status, body) as url:
        found = audit.why_not(url)
    assert found is None if why is None else found.startswith(why)


def test_without_advisories_nothing_is_called_checked(monkeypatch, capsys):
    monkeypatch.setattr(audit, "KNOWN", "http://127.0.0.1:9/x")
    assert audit.main() == audit.UNCHECKED
    assert "NOTHING WAS CHECKED" in capsys.readouterr().err
