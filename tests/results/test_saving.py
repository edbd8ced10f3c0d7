"""A file is there whole or is as it was; what is no file is written to; no name that another could foresee is opened."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from harness.commands.options import check_writable, write_statistics
from harness.errors import PeerError, ResultError, UserError
from harness.results.saving import save_whole, whole_file

CODE = Path(__file__).parents[2]


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o640)
    save_whole(b"new", path, "page")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_mode_that_the_umask_leaves_it(tmp_path):
    before = os.umask(0o027)
    try:
        save_whole(b"x", tmp_path / "folder" / "f", "page")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder" / "f").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), PeerError("x"), KeyboardInterrupt()]
)
def test_what_was_there_stays_when_the_new_cannot_be_finished(error, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail():
        with whole_file(path, "page") as file:
            file.write(b"half")
            raise error

    with pytest.raises(ResultError if isinstance(error, OSError) else type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_with_file_and_remedy():
    with pytest.raises(
        ResultError,
        match="/dev/full: cannot save the page: No space left on device; free space or choose another",
    ):
        save_whole(b"x", Path("/dev/full"), "page")


def test_a_device_is_written_to_and_stays_one(tmp_path):
    before = Path("/dev/null").stat()
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    for path in (Path("/dev/null"), link):
        check_writable(path)
        write_statistics({"a": 1}, path)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert Path("/dev/null").stat().st_ino == before.st_ino
    assert link.is_symlink()


def test_a_pipe_is_written_to_and_one_without_a_reader_is_an_error_at_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ResultError, match="No such device or address"):
        save_whole(b"x", path, "page")
    pipe = os.open(path, os.O_RDWR)  # never waits for a writer, and never ends: as much is read as is expected
    writer = threading.Thread(target=save_whole, args=(b"x" * 200_000, path, "page"))
    writer.start()
    got = b""
    while len(got) < 200_000:
        got += os.read(pipe, 1 << 16)
    writer.join(60)
    os.close(pipe)
    assert (got, stat.S_ISFIFO(path.stat().st_mode)) == (b"x" * 200_000, True)


def test_a_link_to_a_file_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    save_whole(b"new", link, "page")
    assert (link.is_symlink(), real.read_bytes()) == (True, b"new")


def test_a_trap_at_a_temporary_name_is_not_walked_into(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.results.saving.os.urandom", lambda _: b"known")
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / ".pageferry-6b6e6f776e.tmp").symlink_to(victim)
    with pytest.raises(ResultError, match="File exists"):
        save_whole(b"x", tmp_path / "f", "page")
    assert victim.read_bytes() == b"mine"
    assert (tmp_path / ".pageferry-6b6e6f776e.tmp").is_symlink()


def test_a_name_of_the_most_letters_can_be_saved(tmp_path):
    path = tmp_path / ("x" * 255)
    save_whole(b"x", path, "page")
    assert path.read_bytes() == b"x"


def test_nothing_names_its_temporary_files_by_its_process():
    for path in (*CODE.glob("harness/**/*.py"), *CODE.glob("backends/**/*.py"), *CODE.glob("reports/**/*.py")):
        for line in path.read_text().splitlines():
            assert not ("getpid" in line and ".tmp" in line), f"{path}: {line}"


@pytest.mark.parametrize(
    ("name", "words"),
    [("folder", "it is a folder; name a file"), ("no/f", "no is not a folder; choose another place")],
)
def test_a_place_that_cannot_be_written_is_found_before_the_work(name, words, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=words):
        check_writable(tmp_path / name)
