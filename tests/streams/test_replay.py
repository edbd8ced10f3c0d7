"""Feeder and sink as processes, and the facts kept beside a stream."""

import contextlib
import os
import socket
import threading
import time

import pytest
import sample_streams
import xxhash

from harness.errors import MissingError, PeerError, UserError
from harness.hosts.local import HERE
from harness.streams import streamfile
from harness.streams.replay import Player, feed, feed_argv, main, sink, sink_argv
from harness.streams.streamfile import digest_of, open_stream, sidecar_path


@pytest.fixture
def stream(tmp_path):
    path = tmp_path / "guest.stream"
    path.write_bytes(sample_streams.small_stream(3, sections=20))
    return path


@contextlib.contextmanager
def player(name, argv, tmp_path):
    made = Player(name, argv, log=tmp_path / f"{name}.log", host=HERE)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def accept_and_close(server):
    server.accept()[0].close()


@pytest.mark.parametrize("where", ["unix", "tcp"])
def test_what_is_fed_arrives_with_its_digest(stream, tmp_path, where):
    listen = f"unix:{tmp_path}/s.sock" if where == "unix" else "tcp:127.0.0.1:0"
    began_s = time.monotonic()
    with player("sink", sink_argv(listen), tmp_path) as there:
        target = there.wait_ready()
        with player("feeder", feed_argv(stream, target), tmp_path) as here:
            fed, got = here.finish(120), there.finish(120)
    assert fed["bytes"] == got["bytes"] == stream.stat().st_size
    assert got["digest"] == digest_of(stream) == open_stream(stream).digest
    assert began_s < fed["began_s"] <= got["first_byte_s"] <= got["last_byte_s"] < time.monotonic()
    assert fed["began_s"] <= fed["ended_s"] <= time.monotonic()
    assert 0 < got["cpu_s"] < 10
    assert 0 < fed["cpu_s"] < 10
    assert not (tmp_path / "s.sock").exists()


def test_feeder_reports_a_dead_destination_instead_of_hanging(stream, tmp_path):
    words = r"^feeder: --to tcp:127\.0\.0\.1:\d+: Connection refused; start"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        argv = feed_argv(stream, f"tcp:127.0.0.1:{silent.getsockname()[1]}")
        with player("feeder", argv, tmp_path) as here, pytest.raises(PeerError, match=words):
            here.finish(120)


def test_sink_that_nobody_visits_gives_up(tmp_path):
    with pytest.raises(PeerError, match=r"nobody connected in 0\.05 s"):
        sink(f"unix:{tmp_path}/s.sock", 0.05, lambda _: None)


def test_sink_gives_up_on_a_feeder_that_stalls(tmp_path):
    path = f"{tmp_path}/s.sock"
    with socket.socket(socket.AF_UNIX) as idle, pytest.raises(PeerError, match=r"nothing came for 0\.05 s"):
        sink(f"unix:{path}", 0.05, lambda _: idle.connect(path))


def test_feeder_gives_up_on_a_destination_that_stops_reading(tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(PeerError, match=r"took nothing for 0\.1 s"):
            feed(big, address, timeout_s=0.1)


def test_feeder_reports_a_destination_that_breaks_off(tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept_and_close, args=(server,))
        thread.start()
        address = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(PeerError, match="broke off"):
            feed(big, address, timeout_s=120)
        thread.join()


@pytest.mark.parametrize(
    "argv", [["sink", "--listen", "tcp:192.0.2.7:1"], ["feed", "/dev/null", "--to", "tcp:192.0.2.7:1"]]
)
def test_neither_crosses_a_network_in_the_clear(argv, capsys):
    assert main(argv) == 2
    assert "not a loopback address" in capsys.readouterr().out


def test_a_file_that_is_missing_is_one_line(tmp_path, capsys):
    assert main(["feed", str(tmp_path / "none"), "--to", "tcp:127.0.0.1:1"]) == 3
    assert capsys.readouterr().out.startswith(
        f"pageferry: error: {tmp_path}/none: cannot read the stream: No such file"
    )


def test_player_names_the_end_of_a_process_that_said_nothing(tmp_path):
    with player("sink", ["false"], tmp_path) as there:
        with pytest.raises(PeerError, match="sink: ended: exit status 1 and said nothing"):
            there.wait_ready()
        assert there.ended()


def test_digest_is_taken_once(stream, monkeypatch):
    first = open_stream(stream)
    assert first.digest == xxhash.xxh3_128(stream.read_bytes()).hexdigest()
    assert first.machine == "pc-i440fx-7.2"
    monkeypatch.setattr(streamfile, "digest_of", lambda path: pytest.fail("read again"))
    assert open_stream(stream) == first


def test_a_stream_that_moved_or_was_touched_is_the_same(stream, tmp_path):
    first = open_stream(stream)
    os.utime(stream, ns=(1, 1))
    assert open_stream(stream).digest == first.digest
    moved = tmp_path / "moved"
    stream.rename(moved)
    sidecar_path(stream).rename(sidecar_path(moved))
    assert open_stream(moved).path == moved


def test_a_stream_that_changed_is_an_error(stream):
    open_stream(stream)
    data = bytearray(stream.read_bytes())
    data[5000] ^= 1
    stream.write_bytes(data)
    os.utime(stream, ns=(1, 1))
    with pytest.raises(UserError, match=r"guest\.stream: the stream is not the one"):
        open_stream(stream)


def test_what_is_no_stream_is_an_error(tmp_path):
    with pytest.raises(MissingError, match="No such file"):
        open_stream(tmp_path / "none")
    (tmp_path / "elf").write_bytes(b"\x7fELF....")
    with pytest.raises(UserError, match="not a QEMU migration stream"):
        open_stream(tmp_path / "elf")


def test_damaged_facts_are_an_error(stream):
    sidecar_path(stream).write_text("{")
    with pytest.raises(UserError, match=r"guest\.stream\.json: is not a list of facts"):
        open_stream(stream)
