"""The method policy as a sender's threads use it: a lock, a clock, and the link's own count of what has arrived."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.migrator.carry.codec import Encoder, Job, Packed, Trial
from harness.migrator.choose.auto import Candidate
from harness.migrator.choose.method_policy import MethodPolicy
from harness.migrator.report import PolicyReport
from harness.migrator.transport.contract import Transport
from harness.wire.pair.messages import Ack, Layout


def with_trial(packed: Packed, other: Encoder) -> Packed:
    """``packed``, and what ``other`` makes of the same batch."""
    job = packed.job
    tried = other.encode(job)
    assert job.trial is not None  # noqa: S101 - for the type checker: the caller asked
    return replace(packed, trial=Trial(job.trial, tried.message.body_bytes, tried.took_s))


class _Line:
    """What one channel has under way, and what its receiver's word on it was last."""

    def __init__(self, choices: int) -> None:
        self.turns = [0] * choices
        self.under_way: deque[tuple[int, int]] = deque()
        self.held: list[Packed] = []
        self.heard: _Heard | None = None


@dataclass(frozen=True, slots=True)
class _Heard:
    """Of one channel; or of all that carry something: bytes are then a sum, and times those of a channel on average."""

    received_bytes: int = 0
    waited_s: float = 0.0
    held_back_s: float = 0.0


class Chooser:
    """Chooses a codec for each batch of each channel, and learns from what became of it. ``candidates`` with history are for the
    main channel, 0."""

    def __init__(self, candidates: Sequence[Candidate], link: Transport, policy: MethodPolicy) -> None:
        self._candidates = tuple(candidates)
        self._links = {0: link}
        self._policy = policy
        self._lock = threading.Lock()
        self._lines = {0: _Line(len(candidates))}
        self._raw_bytes = [0] * len(candidates)
        self._delivered_bytes = 0
        self._last_s = 0.0
        self._heard = _Heard()

    @property
    def expected_bytes_per_s(self) -> float:
        """The delivered rate with which a migration will begin, as far as is known."""
        return self._policy.expected_bytes_per_s

    def beside(self, channel: int, link: Transport) -> None:
        """One more channel, over a link of its own."""
        with self._lock:
            self._links[channel] = link
            self._lines[channel] = _Line(len(self._candidates))

    def chosen(self, job: Job) -> Job:
        """The job with its choice, and the number of its channel's batches of that choice before it."""
        with self._lock:
            choice, trial = self._policy.choose(time.monotonic(), job.batch.raw_bytes)
            if job.channel and self._candidates[choice].history:
                choice, trial = self._policy.estimates.reference, None
            turns = self._lines[job.channel].turns
            turn = turns[choice]
            turns[choice] += 1
        return job._replace(turn=turn, choice=choice, trial=trial)

    def sent(self, packed: Packed) -> None:
        """The batch is with the kernel. Called in the order of a channel's batches.

        What was held is known in size only with the batch that ends it: each has its share of the whole, by its bytes.
        """
        choice, batch = packed.job.choice, packed.message
        with self._lock:
            line = self._lines[packed.job.channel]
            line.under_way.append((choice, batch.raw_bytes))
            self._raw_bytes[choice] += batch.raw_bytes
            line.held.append(packed)
            if batch.layout is not Layout.HELD:
                size = sum(each.message.body_bytes for each in line.held) / sum(
                    each.message.raw_bytes for each in line.held
                )
                for each in line.held:
                    self._learn(each, round(size * each.message.raw_bytes))
                line.held = []

    def _learn(self, packed: Packed, body_bytes: int) -> None:
        choice, raw_bytes, trial = packed.job.choice, packed.message.raw_bytes, packed.trial
        self._policy.compressed(choice, raw_bytes, body_bytes, packed.took_s)
        if trial is not None:
            self._policy.tried(
                time.monotonic(), trial.choice, trial.packed_bytes, trial.took_s,
                beside=choice, sent_bytes=body_bytes, raw_bytes=raw_bytes,
            )  # fmt: skip

    def arrived(self, channel: int, ack: Ack, held_back_s: float) -> None:
        """The receiver confirms the channel's next batch. ``held_back_s``: see ``MethodPolicy``."""
        with self._lock:
            waiting = [_waiting_bytes(link) for link in self._links.values()]
            line = self._lines[channel]
            if not line.under_way:
                return
            choice, raw_bytes = line.under_way.popleft()
            self._delivered_bytes += raw_bytes
            self._hear(line, _Heard(ack.received_bytes, ack.waited_s, held_back_s))
            if None not in waiting and ack.now_s >= self._last_s:  # channels' words may overtake each other
                self._last_s = ack.now_s
                self._policy.link.look(
                    ack.now_s, self._heard.received_bytes, sum(each or 0 for each in waiting), self._heard.waited_s
                )
            self._policy.restored(choice, raw_bytes, ack.restore_s)
            self._policy.delivered(time.monotonic(), choice, self._delivered_bytes, self._heard.held_back_s)

    def _hear(self, line: _Line, now: _Heard) -> None:
        """Add what is new since the line's last word. Before its first it carried nothing, and its times say nothing."""
        before, line.heard = line.heard or _Heard(0, now.waited_s, now.held_back_s), now
        share = 1 / sum(each.heard is not None for each in self._lines.values())
        self._heard = _Heard(
            self._heard.received_bytes + now.received_bytes - before.received_bytes,
            self._heard.waited_s + share * (now.waited_s - before.waited_s),
            self._heard.held_back_s + share * (now.held_back_s - before.held_back_s),
        )

    def report(self) -> PolicyReport:
        """Of the whole stream, once all of it was sent."""
        total = max(1, sum(self._raw_bytes))
        shares = {str(c): count / total for c, count in zip(self._candidates, self._raw_bytes, strict=True) if count}
        return PolicyReport(tuple(self._policy.decisions), shares, self._policy.estimates.apart)


def _waiting_bytes(link: Transport) -> int | None:
    """What waits for the link: not yet with the peer, less what the link holds by its length, which is its rate times its shortest
    round trip. None where it cannot be told."""
    unsent_bytes, path = link.unsent_bytes(), link.path()
    if unsent_bytes is None or path is None:
        return unsent_bytes
    return max(0, unsent_bytes - round(path.bytes_per_s * path.shortest_round_trip_s))
