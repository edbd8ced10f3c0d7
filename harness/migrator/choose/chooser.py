"""The method policy as a sender's threads use it: a lock, a clock, and the link's own count of what has arrived."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from harness.migrator.carry.codec import Encoder, Job, Packed, Trial
from harness.migrator.choose.auto import Candidate
from harness.migrator.choose.method_policy import MethodPolicy
from harness.migrator.report import PolicyReport
from harness.migrator.transport.contract import Transport
from harness.wire.pair.messages import Ack, Layout

__all__ = ["Chooser", "with_trial"]


def with_trial(packed: Packed, other: Encoder) -> Packed:
    """``packed``, and what ``other`` makes of the same batch."""
    job = packed.job
    tried = other.encode(job)
    assert job.trial is not None  # noqa: S101 - for the type checker: the caller asked
    return replace(packed, trial=Trial(job.trial, tried.message.body_bytes, tried.took_s))


class Chooser:
    """Chooses a codec for each batch, and learns from what became of it."""

    def __init__(self, candidates: Sequence[Candidate], link: Transport, policy: MethodPolicy) -> None:
        self._candidates = tuple(candidates)
        self._link = link
        self._policy = policy
        self._lock = threading.Lock()
        self._turns = [0] * len(candidates)
        self._under_way: deque[tuple[int, int]] = deque()
        self._raw_bytes = [0] * len(candidates)
        self._held: list[Packed] = []

    @property
    def expected_bytes_per_s(self) -> float:
        """The delivered rate with which a migration will begin, as far as is known."""
        return self._policy.expected_bytes_per_s

    def chosen(self, job: Job) -> Job:
        """The job with its choice, and the number of the choice's batches before it."""
        with self._lock:
            choice, trial = self._policy.choose(time.monotonic())
            turn = self._turns[choice]
            self._turns[choice] += 1
        return job._replace(turn=turn, choice=choice, trial=trial)

    def sent(self, packed: Packed) -> None:
        """The batch is with the kernel. Called in the order of batches.

        What was held is known in size only with the batch that ends it: each has its share of the whole, by its bytes.
        """
        choice, batch = packed.job.choice, packed.message
        with self._lock:
            self._under_way.append((choice, batch.raw_bytes))
            self._raw_bytes[choice] += batch.raw_bytes
            self._held.append(packed)
            if batch.layout is not Layout.HELD:
                size = sum(each.message.body_bytes for each in self._held) / sum(
                    each.message.raw_bytes for each in self._held
                )
                for each in self._held:
                    self._learn(each, round(size * each.message.raw_bytes))
                self._held = []

    def _learn(self, packed: Packed, body_bytes: int) -> None:
        choice, raw_bytes, trial = packed.job.choice, packed.message.raw_bytes, packed.trial
        self._policy.compressed(choice, raw_bytes, body_bytes, packed.took_s)
        if trial is not None:
            self._policy.tried(
                time.monotonic(), trial.choice, trial.packed_bytes, trial.took_s,
                beside=choice, sent_bytes=body_bytes, raw_bytes=raw_bytes,
            )  # fmt: skip

    def arrived(self, ack: Ack, held_back_s: float) -> None:
        """The receiver confirms the next batch. ``held_back_s``: see ``MethodPolicy``."""
        waiting = _waiting_bytes(self._link)
        with self._lock:
            if not self._under_way:
                return
            choice, raw_bytes = self._under_way.popleft()
            if waiting is not None:
                self._policy.link.look(ack.now_s, ack.received_bytes, waiting, ack.waited_s)
            self._policy.restored(choice, raw_bytes, ack.restore_s)
            self._policy.delivered(time.monotonic(), choice, ack.delivered_bytes, held_back_s)

    def report(self) -> PolicyReport:
        """Of the whole stream, once all of it was sent."""
        total = max(1, sum(self._raw_bytes))
        shares = {str(c): count / total for c, count in zip(self._candidates, self._raw_bytes, strict=True) if count}
        return PolicyReport(tuple(self._policy.decisions), shares)


def _waiting_bytes(link: Transport) -> int | None:
    """What waits for the link: not yet with the peer, less what the link holds by its length, which is its rate times its shortest
    round trip. None where it cannot be told."""
    unsent_bytes, path = link.unsent_bytes(), link.path()
    if unsent_bytes is None or path is None:
        return unsent_bytes
    return max(0, unsent_bytes - round(path.bytes_per_s * path.shortest_round_trip_s))
