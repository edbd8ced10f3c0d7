"""`pageferry info`: a recording and a plain stream as tables and as JSON; what is neither is one line."""

from __future__ import annotations

import json

import pytest
import sample_streams
from recorded import save_recording

from harness import cli
from harness.streams.recording.layout import About

DATA = sample_streams.small_stream(7, sections=20)
ABOUT = About(
    "2026-11-27T23:00:00+00:00",
    "0.1.0",
    "throttled",
    {"kind": "linux", "memory_bytes": 128 << 20, "dirty_rate_bytes_per_s": 5 << 20},
    {"qemu": "7.2.22", "accel_reason": "a [bold]probe[/]\x1b[31m"},
    37_500_000,
    "Linux: GPL-2.0-only\nbusybox: GPL-2.0-only\n",
)


@pytest.fixture
def recording(tmp_path):
    return save_recording(tmp_path / "guest.pfs", DATA, ABOUT, at_s=2.5)


def test_a_recording_is_told_by_its_guest_its_passes_and_its_pages(recording, capsys):
    assert cli.main(["info", str(recording)]) == 0
    out = capsys.readouterr().out
    for words in (
        "machine pc-i440fx-7.2",
        "guest  kind linux, memory 128 MiB, dirty_rate 5 MiB/s",
        "qemu 7.2.22",
        "bandwidth 300 Mbit/s",
        "a [bold]probe[/]\\x1b[31m",
        "licences  Linux: GPL-2.0-only ... (1 lines more: --json)",
        "mostly zeros",
        "packed by QEMU",
        "address sent before, unchanged",
        "2500 ms",
        "--json has all",
    ):
        assert words in out
    assert "\x1b" not in out


def test_json_has_all_of_it(recording, capsys):
    assert cli.main(["info", str(recording), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    kinds = [kind for kind, _, _ in sample_streams.parse(DATA)]
    pages = document["pages"]
    assert document["about"]["licences"] == ABOUT.licences
    assert document["facts"]["stream_bytes"] == len(DATA)
    assert sum(each["raw_pages"] for each in document["facts"]["passes"]) == kinds.count("page")
    assert sum(pages["entropy"]) == kinds.count("page")
    assert sum(pages["classes"].values()) == kinds.count("page") + kinds.count("zero")
    assert pages["packed"] == kinds.count("xbzrle") + kinds.count("compress")
    assert document["file_bytes"] == recording.stat().st_size


def test_a_plain_stream_is_told_too_but_for_what_only_a_recorder_knows(tmp_path, capsys):
    path = tmp_path / "guest.stream"
    path.write_bytes(DATA)
    assert cli.main(["info", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["about"], document["chunk_bytes"]) == (None, None)
    assert document["facts"]["stream_bytes"] == len(DATA)
    assert cli.main(["info", str(path)]) == 0
    assert "passes" in capsys.readouterr().out


def test_a_damaged_recording_is_one_line_and_no_table(recording, capsys):
    data = bytearray(recording.read_bytes())
    data[len(data) // 2] ^= 1
    recording.write_bytes(data)
    assert cli.main(["info", str(recording)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "the checksum of block CHNK differs; copy the file again, or record it again" in err


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("none", 3, "cannot read the stream: No such file"), ("", 2, "is not a file"), ("empty", 2, "(it is empty)")],
)
def test_what_is_no_stream_is_one_line(tmp_path, name, status, words, capsys):
    (tmp_path / "empty").touch()
    assert cli.main(["info", str(tmp_path / name)]) == status
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
