"""Gives up what a process does not need, before it reads bytes of others: files, TCP ports, programs, the kernel's rarer calls.

Landlock limits files and ports, seccomp system calls; no-new-privileges holds for both. None of it needs root, none of it can be
taken back, and what was given up is given up for all children too. Threads that are there already keep their rights under Landlock,
so this comes first in a process. Knows neither backends nor the harness.
"""

from __future__ import annotations

import ctypes
import os
import threading

from backends.confinement import capabilities, landlock, syscalls
from backends.confinement.needs import Needs, device_caches

__all__ = ["OFF", "Needs", "confine", "device_caches"]

OFF = "PAGEFERRY_SANDBOX"
"""Set to ``off`` in the environment, everything is kept: for a device whose driver needs more."""

_PR_SET_NO_NEW_PRIVS = 38


def confine(needs: Needs) -> tuple[str, tuple[str, ...]]:
    """Keep ``needs`` alone from here on: what stands now, in words, and what does not, each with its reason."""
    if os.environ.get(OFF) == "off":
        return "off", (f"{OFF}=off: every right of this user is kept",)
    if (others := len(os.listdir("/proc/self/task")) - 1) > 0:  # noqa: PTH208 - names are enough
        return "off", (
            f"{others} threads run already ({threading.active_count() - 1} of Python): too late to give up anything",
        )
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return "off", (f"no-new-privileges: {os.strerror(ctypes.get_errno())}",)
    # libseccomp is looked for by programs, which Landlock forbids.
    parts = [syscalls.limit(needs), capabilities.limit(), landlock.limit(needs)]
    stands = [words for words, missing in parts if missing is None or words]
    return "; ".join([*stands, "no new privileges"]), tuple(missing for _, missing in parts if missing is not None)
