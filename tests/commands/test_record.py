"""`pageferry record`: a stream that comes from outside, and a scenario's guest, into a recording; what fails leaves none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import sample_streams
from pairs import wait_until

from harness import cli
from harness.errors import PeerError, ResultError
from harness.experiment.recorder import record_stream
from harness.streams.recording.reader import open_recording


def _feed(path: Path, data: bytes) -> threading.Thread:
    def feed() -> None:
        with socket.socket(socket.AF_UNIX) as source:
            wait_until(lambda: source.connect_ex(str(path)) == 0)
            source.sendall(data)

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


def record(tmp_path: Path, out: Path, *more: str) -> int:
    return cli.main(["record", "--from", f"unix:{tmp_path / 'rec'}", "--out", str(out), "--timeout", "120s", *more])


def test_record_keeps_a_whole_stream_and_says_what_it_is(tmp_path, capsys):
    stream = sample_streams.small_stream()
    feeder = _feed(tmp_path / "rec", stream)
    out, text = tmp_path / "guest.pfs", tmp_path / "licences.txt"
    text.write_text("The kernel's: GPL-2.0-only.\n")
    assert record(tmp_path, out, "--licences", str(text)) == 0
    feeder.join()
    recording = open_recording(out)
    assert b"".join(recording.stream()) == stream
    assert recording.about.licences == "The kernel's: GPL-2.0-only.\n"
    facts = recording.index.facts
    raw, zero, other = facts.pages
    words = f"{len(facts.passes)} passes, {raw} pages, {zero} zero pages, {other} packed by QEMU, XXH3 {facts.digest}"
    assert words in capsys.readouterr().out
    assert not (tmp_path / "rec").exists()


def test_record_of_a_migration_that_broke_off_leaves_no_file(tmp_path, capsys):
    feeder = _feed(tmp_path / "rec", sample_streams.small_stream()[:9000])
    assert record(tmp_path, tmp_path / "x") == 5
    feeder.join()
    assert "before its end: QEMU's `info migrate` says why" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_record_keeps_what_is_no_stream_that_we_know_with_a_warning(tmp_path, capsys):
    feeder = _feed(tmp_path / "rec", b"something else" * 1000)
    assert record(tmp_path, tmp_path / "x") == 0
    feeder.join()
    assert "warning: the stream is not one that we can parse (not a QEMU migration stream" in capsys.readouterr().err


def test_record_gives_up_when_nobody_comes(tmp_path):
    with pytest.raises(PeerError, match=r"no QEMU connected within 0\.05 s"):
        record_stream(f"unix:{tmp_path}/rec", tmp_path / "x", timeout_s=0.05)


def test_record_where_nothing_can_be_written(tmp_path):
    with pytest.raises(ResultError, match="cannot save the recording"):
        record_stream(f"unix:{tmp_path}/rec", tmp_path / "no" / "x")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "name either a SCENARIO, whose guest is started, or --from"),
        (["throttled", "--from", "unix:x"], "name either a SCENARIO"),
        (["throttled", "--timeout", "5s"], "--timeout: only with --from"),
        (["throttled", "--socket-mode", "0600"], "--socket-mode: only with --from"),
        (["--from", "unix:x", "--set", "guest.memory=1GiB"], "--set: only with a SCENARIO"),
        (["throtled"], "did you mean 'throttled'"),
        (["threads", "--set", "guest.kind=synthetic"], "threads: guest.kind = 'synthetic': no QEMU runs such a guest"),
        (["throttled", "--licences", "binary"], "--licences binary: not UTF-8 text at byte 0: save it as UTF-8"),
        (["throttled", "--licences", "long"], "--licences long: more than 256 KiB: shorten it"),
    ],
)
def test_wrong_arguments_are_one_line_and_start_nothing(args, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"\xff\xfe")
    Path("long").write_bytes(b"x" * 300_000)
    assert cli.main(["record", *args, "--out", "guest.pfs"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not Path("guest.pfs").exists()
