"""Which ``Offload`` the instances of a process share: one per configuration, as a device may belong to one process."""

from __future__ import annotations

import os
import threading

from backends.opencl.offload import Offload, OffloadConfig

_users: dict[Offload, int] = {}
_inherited: list[Offload] = []
_lock = threading.Lock()


def acquire(config: OffloadConfig) -> Offload:
    """This process's ``Offload`` for ``config``, started if there is none. Needs one ``release``."""
    with _lock:
        offload = next((each for each in _users if each.config == config), None) or Offload(config)
        _users[offload] = _users.get(offload, 0) + 1
        return offload


def release(offload: Offload) -> None:
    """The last user's ends the worker. Whoever acquires meanwhile waits for that."""
    if offload.is_inherited:
        return
    with _lock:
        _users[offload] -= 1
        if not _users[offload]:
            del _users[offload]
            offload.close()


def _forget() -> None:
    """A forked child begins without any: what it inherited works for its parent."""
    global _lock  # noqa: PLW0603 - a thread that is not here may have held it
    _lock = threading.Lock()
    for offload in _users:
        offload.disown()
        _inherited.append(offload)  # never destroyed: its locks may be held for ever
    _users.clear()


os.register_at_fork(after_in_child=_forget)
