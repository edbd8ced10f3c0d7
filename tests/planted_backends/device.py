"""Backends that are broken in faults of their device."""

from __future__ import annotations

import time

from planted_backends.base import Good, flipped, planted


class _Injected(Good):
    """Remembers what was injected."""

    injected: str | None = None

    def inject(self, fault):
        self.injected = fault


@planted("unnoticed-death", "faults.death", "nothing noticed it", faults=("death",))
class UnnoticedDeath(_Injected):
    """Works on by other means where its device has died, and tells nobody."""


@planted("wrong-after-death", "faults.death", "refused by the receiver", faults=("death",))
class WrongAfterDeath(_Injected):
    """Gives what was in the output's buffer where its device has died."""

    def compress(self, data):
        return super().compress(flipped(data) if self.injected else data)


@planted("late-detection", "faults.stall", "fallback_ms is", faults=("stall",))
class LateDetection(_Injected):
    """Gives its device a second before it gives up."""

    def compress(self, data):
        if self.injected:
            self.injected = None
            time.sleep(1)
            raise self._error("no answer within 1 s")
        return super().compress(data)
