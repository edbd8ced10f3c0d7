"""Landlock, by its system calls (Linux 5.13; linux/landlock.h): which files and TCP ports this process may still use.

What a kernel's version does not know is left out, and told. Unix sockets of others can be connected to as before: no version here
limits that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
import sysconfig
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.confinement.needs import Needs

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_FIRST_WITH_NET, _FIRST_WITH_SCOPES = 4, 6
_DNS_PORT = 53


class _Files(IntFlag):
    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


_READ = _Files.READ_FILE | _Files.READ_DIR
_OF_A_FILE = _Files.EXECUTE | _Files.WRITE_FILE | _Files.READ_FILE | _Files.TRUNCATE | _Files.IOCTL_DEV
_WRITE = _READ | _Files.WRITE_FILE | _Files.MAKE_REG | _Files.REMOVE_FILE | _Files.TRUNCATE
_CACHE = _WRITE | _Files.MAKE_DIR | _Files.REMOVE_DIR | _Files.REFER
_SOCKETS = _Files.MAKE_SOCK | _Files.REMOVE_FILE
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}

_SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/proc", "/sys", "/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/etc/group",
    "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl",
    "/run/systemd/resolve", "/var/lib/sss", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip
_DRIVERS = ("/etc", "/opt", "/run", "/var/lib")


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


class _Port(ctypes.Structure):
    _fields_ = [("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64)]


def version() -> int:
    """Of Landlock in this kernel; 0: it has none."""
    with contextlib.suppress(OSError):
        return _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    return 0


def limit(needs: Needs) -> tuple[str, str | None]:
    """What stands now, and what does not. :raises OSError: a rule is refused, which is our mistake."""
    abi = version()
    if not abi:
        return (
            "",
            "files and ports are not limited: this kernel has no Landlock (Linux 5.13, and landlock among its lsm=)",
        )
    known = _KNOWN[min(abi, max(_KNOWN))]
    net = _BIND_TCP | _CONNECT_TCP if abi >= _FIRST_WITH_NET else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if abi >= _FIRST_WITH_SCOPES else 0
    attributes = _Ruleset(known, net, scopes)
    size = ctypes.sizeof(_Ruleset) if scopes else 16 if net else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for paths, rights in _paths(needs):
            for path in paths:
                _allow(ruleset, path, rights & known)
        if net:
            _allow_ports(ruleset, needs)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"files{' and TCP ports' if net else ''} by Landlock {abi}", None if net else (
        f"TCP ports are not limited: this kernel's Landlock is version {abi}, and {_FIRST_WITH_NET} limits them (Linux 6.7)"
    )


def _paths(needs: Needs) -> list[tuple[Iterable[Path], _Files]]:
    """Drivers find out what the machine is from its root folder on (hwloc): they may list all folders."""
    python = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *filter(None, sys.path)]
    runs = _Files.EXECUTE if needs.device else _Files(0)
    found: list[tuple[Iterable[Path], _Files]] = [
        (map(Path, (*_SYSTEM, *python)), _READ | runs),
        ([Path("/dev/null")], _Files.READ_FILE | _Files.WRITE_FILE),
        (needs.reads, _READ),
        (needs.writes, _WRITE),
        (needs.sockets, _SOCKETS),
    ]
    if needs.device:
        found += [
            ([Path("/")], _Files.READ_DIR),
            (map(Path, _DRIVERS), _READ),
            ([Path("/dev")], _WRITE | _Files.IOCTL_DEV),
            (needs.caches, _CACHE),
        ]
    return found


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Nothing, where there is no such file."""
    try:
        number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(number).st_mode)
        rule = _Beneath(rights if folder else rights & _OF_A_FILE, number)
        if rule.allowed:
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(number)


def _allow_ports(ruleset: int, needs: Needs) -> None:
    """Those, and for whoever connects to a name that of name servers, which are asked by TCP for long answers."""
    connects = (*needs.connects, _DNS_PORT) if needs.connects else ()
    for right, ports in ((_BIND_TCP, needs.binds), (_CONNECT_TCP, connects)):
        for port in ports:
            _call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(_Port(right, port)), 0)


def _call(number: int, *arguments: object) -> int:
    """:raises OSError: the kernel says no."""
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *[_plain(each) for each in arguments])
    if result < 0:
        raise OSError(code := ctypes.get_errno(), os.strerror(code))
    return result


def _plain(argument: object) -> object:
    """An int as wide as a register."""
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
