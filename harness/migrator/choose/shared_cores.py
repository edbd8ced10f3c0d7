"""Whether both halves work on the same cores, as they do in a lab of one machine: there each keeps the other from its work."""

from __future__ import annotations

import hashlib
import os

from harness.hosts.boot import boot_id

_MARK_BYTES = 16


def mark(session: str) -> str:
    """A hash of the host, of the processors that this process may use, and of the session, beyond which it tells nothing. Empty:
    the kernel does not say which host this is."""
    try:
        boot = boot_id()
    except OSError:
        return ""
    processors = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return hashlib.blake2b(f"{boot} {processors} {session}".encode(), digest_size=_MARK_BYTES).hexdigest()


def are_apart(session: str, told: str) -> bool:
    """Whether the half that told this ``mark`` works on other cores than ours. One that does not know its host is a neighbour."""
    ours = mark(session)
    return bool(ours and told) and ours != told
