"""The capabilities of a process that root started (linux/capability.h): all but those that files of other users,
low ports and a card's memory need.

Not its user: sockets of a QEMU that runs as another user are for root to connect to. An ordinary user has none to give up.
"""

from __future__ import annotations

import ctypes
import os

_VERSION_3 = 0x20080522
_CHOWN, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER, _NET_BIND_SERVICE, _IPC_LOCK = 0, 1, 2, 3, 10, 14
_KEPT = sum(1 << each for each in (_CHOWN, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER, _NET_BIND_SERVICE, _IPC_LOCK))


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("process", ctypes.c_int)]


class _Half(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def limit() -> tuple[str, str | None]:
    """What stands now, and what does not. Of the calling thread, and of those that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, halves = _Header(_VERSION_3, 0), (_Half * 2)()
    if libc.capget(ctypes.byref(header), halves) == 0:
        for number, half in enumerate(halves):
            kept = _KEPT >> 32 * number & 0xFFFFFFFF
            half.effective, half.permitted, half.inheritable = half.effective & kept, half.permitted & kept, 0
        if libc.capset(ctypes.byref(header), halves) == 0:
            return "few capabilities", None
    return "", f"capabilities are kept: {os.strerror(ctypes.get_errno())}"
