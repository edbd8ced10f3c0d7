"""Builds the stand-in for libqatzip, and points the backend to it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from backends.qatzip.library import ENVIRONMENT

SOURCE = Path(__file__).with_name("standin.c")


@pytest.fixture(scope="session")
def standin_path(tmp_path_factory) -> Path:
    """The built library. Loaded once per process, so its state is too."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing, which builds the stand-in for libqatzip: apt install gcc libc6-dev")
    try:
        ctypes.CDLL("libz.so.1")
    except OSError:
        pytest.skip("libz.so.1 is missing, which the stand-in compresses with: apt install zlib1g")
    path = tmp_path_factory.mktemp("qatzip") / "libqatzip.so.3"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", path, SOURCE, "-ldl"], check=True)
    return path


@pytest.fixture
def standin(standin_path, monkeypatch):
    """A function that plants a fault ("" for none). The stand-in compresses on a processor that others may keep busy, so a
    batch has more time than a card's."""
    monkeypatch.setattr("backends.qatzip.backend._BATCH_LIMIT_MS", 30_000)
    monkeypatch.setenv(ENVIRONMENT, str(standin_path))
    ctypes.CDLL(str(standin_path)).standin_reset()

    def plant(fault: str) -> None:
        monkeypatch.setenv("PAGEFERRY_STANDIN", fault)

    plant("")
    return plant
