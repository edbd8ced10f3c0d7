"""Decides whether a device that failed is asked again, and when. Has no clock, no thread and no device: times come in.

open (not started) -> closed -> open (failed) -> closed ...; from each -> quarantined, for good.
"""

from __future__ import annotations

_NOT_STARTED = "its worker is not started yet"


class Breaker:
    """Begins open, with its first probe due at once. Times are seconds of any clock that does not go back.

    It opens after ``failures`` in a row, or after one by which the worker is lost. Probes follow at ``first_s``, twice that,
    and so on up to ``longest_s``; a device that failed within ``longest_s`` of its last return goes on from its last interval,
    as one that passes each probe and fails at each migration would otherwise be tried four times a second.
    """

    def __init__(self, failures: int = 3, first_s: float = 0.25, longest_s: float = 30.0) -> None:
        self._failures = failures
        self._first_s = first_s
        self._longest_s = longest_s
        self._reason: str | None = _NOT_STARTED
        self._due_s: float | None = 0.0
        self._interval_s = 0.0
        self._closed_at_s: float | None = None
        self._in_a_row = 0
        self._quarantined = False

    @property
    def is_closed(self) -> bool:
        """Batches may go to the device."""
        return self._reason is None

    @property
    def due_s(self) -> float | None:
        """When to probe; None where it is closed, being probed, or quarantined."""
        return self._due_s

    def refusal(self, now_s: float) -> str | None:
        """Why no batch may go to the device now, and when it is tried again; None: it may."""
        if self._reason is None:
            return None
        if self._due_s is not None:
            return f"{self._reason}; tried again in {max(0.0, self._due_s - now_s):.2f} s"
        return self._reason

    def succeeded(self) -> None:
        """A batch came back well."""
        self._in_a_row = 0

    def failed(self, now_s: float, reason: str, *, lost: bool) -> None:
        """A batch failed on the device. ``lost``: its worker is of no more use."""
        self._in_a_row += 1
        if self.is_closed and (lost or self._in_a_row >= self._failures):
            self._open(now_s, reason)

    def explain(self, reason: str) -> None:
        """More is known now of why it opened."""
        if not self.is_closed and not self._quarantined:
            self._reason = reason

    def probing(self) -> None:
        """A probe begins: ``probed`` or ``quarantine`` will tell its end."""
        self._due_s = None
        self._reason = f"{self._reason}; being tried again now" if self._interval_s else "its worker is being started"

    def probed(self, now_s: float, problem: str | None) -> None:
        """A probe ended: well, or with ``problem``."""
        if problem is not None:
            self._open(now_s, problem)
        elif not self._quarantined:
            self._reason = None
            self._closed_at_s = now_s
            self._in_a_row = 0

    def quarantine(self, reason: str) -> None:
        """The device gave wrong bytes: nothing of it is believed any more."""
        self._quarantined = True
        self._reason = f"{reason}; not used again by this process"
        self._due_s = None

    def _open(self, now_s: float, reason: str) -> None:
        if self._quarantined:
            return
        if self._closed_at_s is not None and now_s - self._closed_at_s >= self._longest_s:
            self._interval_s = 0.0
        self._closed_at_s = None
        self._interval_s = min(self._longest_s, max(self._first_s, 2 * self._interval_s))
        self._reason = reason
        self._due_s = now_s + self._interval_s
