"""A run's folder goes with the run, and with the next run where a run was killed; its logs stay."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from pairs import wait_until

from harness.errors import MissingError, ResultError
from harness.hosts import rundir
from harness.hosts.claims import release_all
from harness.hosts.rundir import open_run_dir, open_scratch, scratch_base

ELSEWHERE = ["unshare", "--pid", "--fork", "--mount-proc"]
SCRATCH = "import os\nfrom harness.hosts.rundir import open_scratch\nwith open_scratch() as folder: print(folder, flush=True); "
Usage = namedtuple("Usage", "total used free")


def test_logs_and_statistics_are_kept_and_the_rest_goes(tmp_path):
    with open_run_dir(tmp_path / "logs") as folder:
        for name in ("source.log", "sender.json", "source.ram"):
            (folder / name).write_text("x")
        (folder / "more").mkdir()
        (folder / "more" / "of it").write_text("x")
    assert not folder.exists()
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["sender.json", "source.log"]


def _left_by(code: str, *prefix: str) -> Path:
    done = subprocess.run([*prefix, sys.executable, "-c", SCRATCH + code], capture_output=True, text=True, check=False)
    if prefix and not done.stdout:
        pytest.skip(f"no PID namespaces here: {done.stderr.strip()}")
    return Path(done.stdout.strip())


def _wait_gone(left: Path) -> None:
    """Another run on this machine may be about to remove it, or have done so before we looked."""
    wait_until(lambda: not left.exists())


def test_a_killed_runs_folder_is_removed_by_the_next_and_a_living_ones_is_not(tmp_path):
    left = _left_by("os.kill(os.getpid(), 9)")
    with open_run_dir(tmp_path / "logs") as mine, open_run_dir(tmp_path / "logs"):
        assert mine.exists()
        _wait_gone(left)


def test_a_folder_goes_when_the_program_ends_without_leaving_it():
    code = "from harness.hosts.claims import Claim; from pathlib import Path; claim = Claim(Path('/dev/shm'))"
    code = f"\n{code}; claim.take(); print(claim.path)"
    assert not Path(str(_left_by(code)).splitlines()[-1]).exists()


def test_a_run_of_another_pid_namespace_leaves_this_ones_folder():
    with open_scratch() as mine:
        theirs = _left_by("", *ELSEWHERE)
        assert theirs != mine
        assert mine.exists()


def test_a_killed_run_of_another_pid_namespace_is_cleaned_up_after():
    left = _left_by("os.kill(os.getpid(), 9) or os._exit(9)", *ELSEWHERE)
    with open_scratch():
        _wait_gone(left)


def test_a_folder_that_only_has_a_name_like_ours_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(rundir, "_IN_MEMORY", tmp_path)
    theirs = tmp_path / "pf-1234567-results"
    theirs.mkdir()
    (theirs / "precious").write_text("x")
    link = tmp_path / "pf-link"
    link.symlink_to(theirs)
    with open_scratch():
        pass
    assert (theirs / "precious").exists()
    assert link.is_symlink()


def test_a_fork_does_not_remove_what_its_parent_uses():
    with open_scratch() as folder:
        pid = os.fork()
        if pid == 0:
            release_all()
            os._exit(0)
        os.waitpid(pid, 0)
        assert folder.exists()


def _room(monkeypatch, free_bytes: dict[Path, int]) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, free_bytes[Path(path)]))


def test_the_first_place_with_room_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", "/tmp")
    _room(monkeypatch, {rundir._IN_MEMORY: 64 << 20, Path("/tmp"): 1 << 30})
    assert scratch_base(10 << 20) == rundir._IN_MEMORY
    assert scratch_base(100 << 20) == Path("/tmp")
    with pytest.raises(MissingError, match=r"2 GiB of room\): /dev/shm: 64 MiB free; /tmp: 1 GiB free; set TMPDIR"):
        scratch_base(2 << 30)


def test_a_place_whose_path_is_too_long_for_a_socket_is_passed_over_and_named(monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 118)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    assert scratch_base() == rundir._IN_MEMORY
    monkeypatch.setattr(rundir, "_IN_MEMORY", tmp_path / "none")
    with pytest.raises(
        MissingError, match=f"none: No such file or directory; {deep}: its path has [0-9]+ bytes"
    ) as caught:
        scratch_base()
    assert "set TMPDIR to a short path" in str(caught.value)


def test_logs_that_cannot_be_kept_are_an_error_with_the_place(tmp_path):
    (tmp_path / "logs").write_text("a file in the way")
    with pytest.raises(ResultError, match="cannot keep the run's logs"), open_run_dir(tmp_path / "logs") as folder:
        (folder / "source.log").write_text("x")
