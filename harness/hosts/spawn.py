"""Starts child processes that cannot outlive the harness, from any thread. Does not know what the children do.

Linux sends the death signal when the *thread* that forked a child ends, so every child is forked by one thread that
lives as long as the program. Nothing of ours runs between fork and exec (no ``preexec_fn``): util-linux's ``setpriv``
asks for the signal, then a one-line shell checks that the harness is still its parent (it may have died before the
request) and becomes the program. Process ids stay the same through all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import MissingError

__all__ = ["spawn"]

_FORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pageferry-forker")
_BECOME = 'test "$PPID" = "$0" || exit 1; exec "$@"'


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``prefix + argv`` in a session of its own, output and errors appended to ``log``, input empty.

    ``prefix`` is a command that execs the rest, for example ``("nsenter", "--net=FILE")``.

    :raises MissingError: when the program, or setpriv, is not there.
    """
    command = [*prefix, *argv]
    for program in ("setpriv", command[0], argv[0]):
        if shutil.which(program) is None:
            raise MissingError(f"{program}: no such program on PATH; install it or name it by its full path")
    wrapped = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _BECOME, str(os.getpid()), *command]
    return _FORKER.submit(_fork, wrapped, log, environment).result()


def _fork(command: Sequence[str], log: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment
        )
