"""Runs one function in a child process, as a driver may abort, crash or hang the process that calls it.

What goes in and comes out is JSON. The drivers' own chatter is kept, and told when the child dies of it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

from backends.children import code_argv
from backends.opencl.errors import OpenclError, OpenclMissing, one_line

_CODE = "from backends.opencl.child import serve; serve(sys.argv[1])"


def call_in_child(function: str, argument: object, timeout_s: float) -> Any:  # noqa: ANN401 - what JSON holds
    """``function`` ("module:name") of ``argument``, in a new process.

    :raises OpenclMissing: it raised one, or its driver lacks a piece that we know of.
    :raises OpenclError: it raised one, died, or did not answer within ``timeout_s``.
    """
    command = code_argv(_CODE, function)
    try:
        done = subprocess.run(
            command, input=json.dumps(argument).encode(), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise OpenclError(
            f"OpenCL did not answer within {timeout_s:g} s: a driver hangs, or compiles for longer"
        ) from exc
    words = done.stderr.decode(errors="replace")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise death(done.returncode, words) from None
    if "missing" in answer:
        raise OpenclMissing(answer["missing"], answer["remedy"])
    if "error" in answer:
        raise OpenclError(answer["error"])
    return answer["result"]


def death(status: int, words: str) -> OpenclError:
    """Why a process that used OpenCL ended with ``status`` (as ``Popen.returncode``), from its last ``words`` on stderr."""
    # PoCL calls ld for each kernel that it has not cached, and aborts the process where that fails.
    if "linking of kernel" in words:
        return OpenclMissing("PoCL cannot link kernels: no ld, libgcc or libc", "apt install gcc libc6-dev")
    end = signal.strsignal(-status) if status < 0 else f"exit status {status}"
    last = one_line(words[-300:])
    return OpenclError(f"the OpenCL driver ended its process ({end}){f': {last}' if last else ''}")


def serve(function: str) -> None:
    """The child's whole life: the argument from stdin, the answer to stdout, where drivers cannot write any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = function.partition(":")
    argument = json.load(sys.stdin)
    try:
        answer = {"result": getattr(importlib.import_module(module), name)(argument)}
    except OpenclMissing as exc:
        answer = {"missing": exc.missing, "remedy": exc.remedy}
    except OpenclError as exc:
        answer = {"error": str(exc)}
    with answers:
        json.dump(answer, answers)
