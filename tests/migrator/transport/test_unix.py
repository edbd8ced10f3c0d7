"""A socket's file is ours alone to make, to open to others and to remove; another's is neither touched nor disturbed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.migrator.transport.contract import Access
from harness.migrator.transport.registry import endpoint_for_qemu
from harness.migrator.transport.unix import UNIX_PATH_MAX


def at(path, option="--from"):
    return endpoint_for_qemu(f"unix:{path}", option)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_a_leftover_socket_file_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(tmp_path / "s"))
    with at(tmp_path / "s").listen(), socket.socket(socket.AF_UNIX) as guest:
        guest.connect(str(tmp_path / "s"))
    assert list(tmp_path.iterdir()) == []


def test_a_leftover_is_replaced_where_its_path_is_as_long_as_may_be():
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    path = folder / ("d" * (UNIX_PATH_MAX - len(os.fsencode(folder)) - len("//s"))) / "s"
    path.parent.mkdir()
    try:
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(path))
        at(path).listen().close()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("listens", [True, False], ids=["listening", "bound"])
def test_a_socket_in_use_is_refused_and_never_hears_of_it(tmp_path, listens):
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(str(tmp_path / "s"))
        before = (tmp_path / "s").stat()
        if listens:
            owner.listen(1)
        with pytest.raises(UserError, match=r"--from unix:.*/s: cannot listen there: Address already in use"):
            at(tmp_path / "s").listen()
        assert (tmp_path / "s").stat().st_ino == before.st_ino
        if listens:
            owner.setblocking(False)
            with pytest.raises(BlockingIOError):
                owner.accept()


def test_an_ordinary_file_is_never_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(UserError, match="Address already in use; there is a file that is no socket"):
        at(path).listen()
    assert path.read_text() == "data"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_leftover_of_another_user_stays(tmp_path):
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(tmp_path / "s"))
    os.chown(tmp_path / "s", 12345, -1)
    with pytest.raises(UserError, match="another user's socket was left there"):
        at(tmp_path / "s").listen()
    assert (tmp_path / "s").stat().st_uid == 12345


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_only_our_user_may_connect_whatever_the_umask_says(tmp_path, mask):
    with umask(mask), at(tmp_path / "s").listen():
        assert mode(tmp_path / "s") == 0o600


@pytest.mark.parametrize("mask", [0, 0o777])
def test_a_mode_that_is_asked_for_holds_whatever_the_umask_says(tmp_path, mask):
    with umask(mask), at(tmp_path / "s").listen(Access(0o660, group=str(os.getgid()))):
        assert mode(tmp_path / "s") == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_another_user_can_be_given_the_socket(tmp_path):
    with at(tmp_path / "s").listen(Access(owner="12345", group="23456")):
        found = (tmp_path / "s").stat()
        assert (found.st_uid, found.st_gid) == (12345, 23456)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("access", "says"),
    [
        (Access(owner="nosuchuser"), "--socket-owner nosuchuser"),
        (Access(group="nosuchgroup"), "--socket-group nosuchgroup"),
    ],
)
def test_a_user_who_is_not_known_is_the_users_error_and_nothing_is_left(tmp_path, access, says):
    with pytest.raises(UserError, match=f"{says}: not known on this machine"):
        at(tmp_path / "s").listen(access)
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_took_the_place_of_ours_stays(tmp_path):
    with at(tmp_path / "s").listen(), socket.socket(socket.AF_UNIX) as other:
        (tmp_path / "s").rename(tmp_path / "old")
        other.bind(str(tmp_path / "s"))
    assert (tmp_path / "s").is_socket()
