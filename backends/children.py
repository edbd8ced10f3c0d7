"""Command lines that run Python code of ours in a child process: the same modules as here, and an end with whoever started it.

Python itself would look into the working folder first (``-P`` forbids it), and there lies whatever the user has: a ``queue.py``
of his would be run in place of Python's own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[1])
# PR_SET_PDEATHSIG is 1: SIGKILL when the thread that started us ends. The parent may have died before we asked for that.
_BEGIN = (
    "import ctypes, json, os, signal, sys; sys.path[:], parent = json.loads(sys.argv.pop(1)); "
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0); os.getppid() == parent or os._exit(1); "
)
_RUN_MODULE = "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


def code_argv(code: str, *arguments: str) -> list[str]:
    """Runs ``code``, in which ``sys``, ``os`` and ``json`` are there and ``sys.argv[1:]`` are the arguments.

    Start it from this process, by a thread that lives as long as the child should.
    """
    folders = (*os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path, _ROOT)
    path = [folder for folder in dict.fromkeys(folders) if folder]  # an empty name is the working folder
    return [sys.executable, "-P", "-c", _BEGIN + code, json.dumps([path, os.getpid()]), *arguments]


def module_argv(module: str, *arguments: str) -> list[str]:
    """Runs ``module`` as ``python -m`` would; otherwise like ``code_argv``."""
    return code_argv(_RUN_MODULE, module, *arguments)
