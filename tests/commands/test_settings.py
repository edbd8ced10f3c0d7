"""What `send` and `receive` are told: by flags, by a document, and by both."""

from __future__ import annotations

import io
import json
import re
import sys
from types import SimpleNamespace

import pytest

from harness import cli
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.document import to_document
from harness.migrator.transport.contract import Access

SEND = ("send", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "zlib")
SETTINGS = {"source": "unix:/x", "target": "tcp:127.0.0.1:1", "backend": "zlib"}


@pytest.fixture
def told(monkeypatch):
    """What the half that was run was told."""
    seen = []

    def run(config, _):
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.migrator.sender.run_sender", run)
    monkeypatch.setattr("harness.migrator.receiver.run_receiver", run)

    def tell(*args):
        assert cli.main(args) == 130
        return seen[-1]

    return tell


def test_flags_fill_the_same_settings_as_a_document(told, tmp_path):
    flags = (
        "--level", "3", "--threads", "2", "--decompress-threads", "1", "--batch", "64KiB", "--inflight", "4MiB", "--option",
        "window=27", "--fallback", "never", "--qmp", "unix:/q", "--downtime", "300ms", "--wait", "1min", "--insecure",
        "--without-return-path", "--socket-mode", "0660", "--socket-owner", "me", "--socket-group", "us",
    )  # fmt: skip
    by_flags = told(*SEND, *flags)
    assert by_flags == SendConfig(
        "unix:/x", "tcp:127.0.0.1:1", "zlib", level=3, threads=2, decompress_threads=1, batch_bytes=65536,
        inflight_bytes=4 << 20, options={"window": 27}, fallback="never", qmp="unix:/q", downtime_s=0.3, wait_s=60.0,
        insecure=True, without_return_path=True, socket_mode="0660", socket_owner="me", socket_group="us",
    )  # fmt: skip
    assert by_flags.access == Access(0o660, "me", "us")
    document = tmp_path / "s.json"
    document.write_text(json.dumps(to_document(by_flags)))
    assert told("send", "--config", str(document)) == by_flags


def test_the_shortest_downtime_has_a_word_and_a_price(told):
    config = told(*SEND, "--qmp", "unix:/q", "--downtime", "shortest", "--downtime-cost", "25%")
    assert (config.downtime_s, config.downtime_cost_share) == ("shortest", 0.25)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--downtime", "short"), "'short' is not a duration: .*; or write shortest"),
        (("--downtime-cost", "10"), "'10' is not a share: write a number and a unit"),
        (("--downtime-cost", "101%"), "'101%': must be at most 100%"),
    ],
)
def test_what_is_no_downtime_is_told_in_a_line(capsys, flags, words):
    assert cli.main([*SEND, *flags]) == 2
    assert re.search(words, " ".join(capsys.readouterr().err.split()))


def test_a_receiver_is_told_alike(told, tmp_path):
    document = tmp_path / "r.json"
    document.write_text('{"listen": "unix:/l", "target": "unix:/d", "threads": 3}')
    wanted = ReceiveConfig("unix:/l", "unix:/d", threads=3, timeout_s=5.0)
    assert told("receive", "--config", str(document), "--timeout", "5s") == wanted
    assert wanted.access is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("3", 3), ('"3"', "3"), ("3.5", 3.5), ("fast", "fast"), ("64KiB", "64KiB"), ("", ""),
        ('"true"', "true"), ("a=b", "a=b"), ("0x10", 16),
    ],
)  # fmt: skip
def test_an_option_has_the_type_that_toml_gives_it(told, text, value):
    found = told(*SEND, "--option", f"x={text}").options["x"]
    assert (type(found), found) == (type(value), value)


def test_what_the_command_line_says_wins_and_options_add_up(told, tmp_path):
    document = tmp_path / "s.json"
    document.write_text(json.dumps(SETTINGS | {"level": 1, "options": {"a": "3", "b": True}}))
    found = told("send", "--config", str(document), "--level", "9", "--option", "b=2")
    assert (found.level, found.options) == (9, {"a": "3", "b": 2})


def test_a_document_may_come_on_standard_input(told, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(SETTINGS).encode())))
    assert told("send", "--config", "-") == SendConfig(**SETTINGS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read it: No such file"),
        ("{", "not JSON"),
        ("[]", "must be a table of settings"),
        ('{"thread": 1}', "'thread': unknown key; did you mean 'threads'? known: "),
        ('{"threads": "3"}', 'threads = "3": must be a whole number'),
        ('{"options": 3}', "options = 3: must be a table"),
        ("{}", "Missing option '--from'"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--option", "a=1")], ids=["", "with-options"])
def test_a_wrong_document_is_one_line_and_status_2(capsys, tmp_path, text, words, more):
    document = tmp_path / "s.json"
    if text is not None:
        document.write_text(text)
    rest = () if "Missing" in words else SEND[1:]
    assert cli.main(["send", *rest, "--config", str(document), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pageferry: error: ")
    assert error.count("\n") == 1
    assert words in error


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        *(("--option", text, f"--option {text}: ") for text in ("a", "=1", "a=[1]", "a={b = 1}", "a=2026-01-01")),
        *(("--batch", size, f"'{size}': must be from 16384 to 4194304") for size in ("1KiB", "5MiB")),
    ],
)
def test_a_value_that_cannot_be_is_one_line_and_status_2(capsys, option, value, words):
    assert cli.main([*SEND, option, value]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
