"""Ends a command at Ctrl-C (SIGINT), SIGTERM and SIGHUP alike: by one exception, once. Later signals leave the clean-up alone.

An exception that a signal raises may come up anywhere, also where Python or a library drops it (a destructor, a callback) or where
clean-up puts another in its place. So the signal is noted beside it: it is raised anew, and the command ends by it whatever comes.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
_AGAIN_S = 0.01
_arrived: list[signal.Signals] = []
_over = threading.Event()


class Interrupted(KeyboardInterrupt):
    """One of them came."""


def _interrupted() -> Interrupted:
    return Interrupted(f"{WORDS[_arrived[0]]} ({_arrived[0].name})")


def arrived() -> signal.Signals | None:
    """The first that came, if any has."""
    return _arrived[0] if _arrived else None


def raise_if_arrived() -> None:
    """Before more work is begun. :raises Interrupted: a signal came, and its exception was lost on the way."""
    if _arrived and not _over.is_set():
        raise _interrupted()


@contextlib.contextmanager
def interruptible(clean_up: Callable[[], None], *, ends_program: bool = False) -> Iterator[None]:
    """The first signal raises ``Interrupted`` in here, and none does in ``clean_up``, which comes after whatever happened.

    What was ignored before, as under nohup, stays ignored. ``ends_program``: after a signal nothing follows but the program's end,
    which further ones leave alone too.
    """
    _arrived.clear()
    _over.clear()
    numbers = [number for number in WORDS if signal.getsignal(number) != signal.SIG_IGN]
    try:
        before = {number: signal.signal(number, _interrupt) for number in numbers}
    except ValueError:  # not the main thread: whoever embeds us handles signals
        try:
            yield
        finally:
            clean_up()
        return
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _raise)
    hook = sys.unraisablehook
    sys.unraisablehook = partial(_dropped, hook)
    try:
        try:
            yield
        finally:
            _over.set()
    finally:
        clean_up()
        sys.unraisablehook = hook
        signal.setitimer(signal.ITIMER_REAL, 0)
        if ends_program and _arrived:
            before = dict.fromkeys(
                before, signal.SIG_IGN
            )  # a handler of ours would go before the program's last steps do
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _arrived and not _over.is_set():
        _arrived.append(signal.Signals(number))
        _raise(number, frame)


def _raise(_: int, __: FrameType | None) -> None:
    if not _over.is_set():
        raise _interrupted()


def _dropped(hook: Callable[[sys.UnraisableHookArgs], object], unraisable: sys.UnraisableHookArgs) -> None:
    """Called for an exception that nobody will see."""
    if isinstance(unraisable.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)  # in here it would be dropped again
    else:
        hook(unraisable)
