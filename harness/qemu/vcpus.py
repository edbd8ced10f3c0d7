"""CPU time of the threads in which QEMU runs a guest's processors."""

from __future__ import annotations

from harness.hosts.cputime import thread_cpu_s
from harness.qemu.process import QemuProcess
from harness.qemu.qmp import Json


def vcpu_s(qemu: QemuProcess) -> float | None:
    """Of all of them until now; None: the kernel does not count it. Under TCG they may share a thread, which then counts once."""
    answer: Json = qemu.qmp.execute("query-cpus-fast")
    spent = [qemu.host.call(thread_cpu_s, thread) for thread in {int(cpu["thread-id"]) for cpu in answer}]
    return sum(each for each in spent if each is not None) if None not in spent else None
