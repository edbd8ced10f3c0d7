"""Children of ours run our modules wherever they are started, and end with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import backends
import harness
from backends.children import code_argv, module_argv
from harness import cli
from harness.streams.replay import feed_argv

PLANTED = ("queue", "json", "runpy", "ctypes", "harness", "backends", "sitecustomize", "numpy", "click")


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """The working folder holds modules that are called like those a child imports."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the working folder was imported')")
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("raise SystemExit('the working folder was imported')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "argv",
    [
        code_argv("import queue, click, numpy, harness.cli, backends.registry; print('ours')"),
        module_argv("harness.cli", "list", "guests"),
        module_argv("harness.qualify.child", "1", "{}", "[]"),
        feed_argv(Path("x"), "tcp:127.0.0.1:1"),
    ],
    ids=["code", "command", "qualification", "feeder"],
)
def test_the_working_folder_plays_no_part(hostile_folder, argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "working folder" not in done.stdout + done.stderr


def test_every_way_of_running_python_goes_through_here():
    """No other module starts an interpreter."""
    for package in (harness, backends):
        for path in Path(package.__file__).parent.rglob("*.py"):
            only_name_it = {"library.py", "prepare.py"}  # the one in an error, the other in a question to another host
            started = "sys.executable" in path.read_text() and path.name not in only_name_it
            assert path.name == "children.py" or not started, path


def test_a_scenario_is_replayed_in_a_folder_of_planted_modules(hostile_folder, capsys):
    scenario = hostile_folder / "mini.toml"
    scenario.write_text(
        'description = "x"\nrepeats = 1\nwarmups = 0\nlink.kind = "relay"\n'
        'guest = { kind = "synthetic", memory = "16MiB", working_set = "1MiB" }\n'
        '[[method]]\nname = "original"\nengine = "qemu"\nbaseline = true\n'
        '[[method]]\nname = "zlib-1"\nengine = "pageferry"\nbackend = "zlib"\n'
    )
    assert cli.main(["run", str(scenario), "--out", str(hostile_folder / "out")]) == 0, capsys.readouterr()


def test_a_child_ends_with_the_process_that_started_it():
    code = "from backends.children import code_argv; import subprocess, sys, time\n"
    code += "argv = code_argv(\"print('up', flush=True); import time; time.sleep(600)\")\n"
    code += "child = subprocess.Popen(argv, stdout=subprocess.PIPE)\n"
    code += "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    child.wait(60)


def test_a_child_whose_parent_ended_first_does_not_begin():
    argv = code_argv("print('begun')")
    elsewhere = subprocess.run(["sh", "-c", '"$@" & wait', "sh", *argv], capture_output=True, text=True, check=False)
    assert elsewhere.stdout == ""
