"""What the host did not give to a process is told in one line, with what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from harness.errors import MissingError, refused

_LIMITED = """
import resource, threading
from harness.errors import refused
threading.stack_size(256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (512 << 20,) * 2)
def asked():
    {act}
try:
    asked()
except BaseException as exc:
    print(type(exc).__name__, refused(exc), sep=": ")
"""


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("bytearray(1 << 30)", "MemoryError: no more memory is to be had here; raise this process's limit (ulimit -v"),
        (
            "for _ in range(9): threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "RuntimeError: no more threads",
        ),
    ],
    ids=["memory", "threads"],
)
def test_what_python_says_where_memory_is_used_up_is_told_in_words(act, words):
    done = subprocess.run([sys.executable, "-c", _LIMITED.format(act=act)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(words)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_so_is_a_limit_of_open_files(number):
    told = refused(OSError(number, os.strerror(number)))
    assert isinstance(told, MissingError)
    assert "open files" in str(told)


@pytest.mark.parametrize(
    "error", [OSError(errno.EPIPE, "x"), RuntimeError("x"), KeyboardInterrupt(), MissingError("x")]
)
def test_any_other_error_is_left_as_it_is(error):
    assert refused(error) is None
