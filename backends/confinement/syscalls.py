"""System calls by seccomp (libseccomp): no new programs or processes, no sockets but those that are needed, none of the calls by
which a process changes the machine, looks into others, or reaches the kernel's less used parts.

A call that is refused says so to its caller (EPERM), so that it ends as an error and not as a crash.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.confinement.needs import Needs

_CLONE_THREAD = 0x00010000
_LAST_FAMILY = 46
"""Of those that Linux 6 knows."""

_NEVER = (
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "add_key", "keyctl", "request_key", "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "acct",
    "quotactl", "iopl", "ioperm", "modify_ldt", "vhangup", "syslog", "sethostname", "setdomainname", "name_to_handle_at",
    "open_by_handle_at", "fanotify_init", "lookup_dcookie", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
    "setgroups", "setfsuid", "setfsgid", "personality", "mknod", "mknodat",
)  # fmt: skip
_PROGRAMS = ("execve", "execveat", "fork", "vfork")


def limit(needs: Needs) -> tuple[str, str | None]:
    """What stands now, and what does not. The filter holds for all threads of the process."""
    try:
        import pyseccomp as seccomp  # noqa: PLC0415 - it looks for the library when it is imported
    except (ImportError, RuntimeError) as exc:
        return "", f"system calls are not limited: {' '.join(str(exc).split())} (apt install libseccomp2)"
    rules, refuse = seccomp.SyscallFilter(seccomp.ALLOW), seccomp.ERRNO(errno.EPERM)
    rules.set_attr(seccomp.Attr.CTL_TSYNC, 1)
    for name in (*_NEVER, *(() if needs.device else _PROGRAMS)):
        rules.add_rule(refuse, name)
    if not needs.device:
        # Its flags lie in memory, where no filter sees them; who gets ENOSYS uses clone instead.
        rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
        rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0))
    if needs.families is not None:
        for family in set(range(_LAST_FAMILY + 1)) - {socket.AF_UNIX, *needs.families}:
            rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.EQ, family))
        rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.GT, _LAST_FAMILY))
    rules.load()
    return "system calls by seccomp", None
