"""A run's folder goes with the run, and with the next run where a run was killed; its logs stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import ResultError
from harness.rundir import open_run_dir


def test_logs_and_statistics_are_kept_and_the_rest_goes(tmp_path):
    with open_run_dir(tmp_path / "logs") as folder:
        for name in ("source.log", "sender.json", "source.ram"):
            (folder / name).write_text("x")
    assert not folder.exists()
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["sender.json", "source.log"]


def test_a_killed_runs_folder_is_removed_by_the_next_and_a_living_ones_is_not(tmp_path):
    dies = "import os; from pathlib import Path; from harness.rundir import open_run_dir\n"
    dies += "with open_run_dir(Path('logs')) as folder: print(folder, flush=True); os._exit(9)"
    left = subprocess.run([sys.executable, "-c", dies], capture_output=True, text=True, check=False).stdout.strip()
    with open_run_dir(tmp_path / "logs") as mine, open_run_dir(tmp_path / "logs"):
        assert mine.exists()
        assert left
        assert not mine.with_name(left.rpartition("/")[2]).exists()


def test_logs_that_cannot_be_kept_are_an_error_with_the_place(tmp_path):
    (tmp_path / "logs").write_text("a file in the way")
    with pytest.raises(ResultError, match="cannot keep the run's logs"), open_run_dir(tmp_path / "logs") as folder:
        (folder / "source.log").write_text("x")
