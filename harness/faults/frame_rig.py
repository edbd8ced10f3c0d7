"""One fault to one message, between real halves that carry a small stream: who runs the guest afterwards, and is it right?"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.faults.contract import Cell, Rig
from harness.faults.frame_faults import FAULTS
from harness.faults.halves import HalfThread
from harness.faults.judge import SEEN_S, Facts, cell_of, where
from harness.faults.leftovers import left_since, look
from harness.faults.phases import PHASES
from harness.faults.standins import DestinationStandIn, SourceStandIn
from harness.faults.stream import CarriedStream, make_stream
from harness.faults.wire import Fault, Meddler
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.results.faults import FaultCell, Where

PATIENCE_S = 40.0
_BATCH_BYTES = 32 << 10
_WAIT_S = 3.0
_LINGER_S = 2.0
BACKENDS = ("zlib", "zstd", "none")
"""They take turns, by the cell."""


class Side(NamedTuple):
    """A half's certificates, as its settings have them; by default none."""

    tls: str | None = None
    tls_peer: str | None = None


PLAIN = Side()


@dataclass(frozen=True, slots=True)
class _Seen:
    """``verdict_s`` as the judge wants it."""

    runs: Where
    memory: bool | None
    verdict_s: float | None


class FrameRig(Rig):
    """Needs nothing but this process."""

    title = "one message of a session, real halves, and stand-ins for both QEMUs"
    qmp: str | None = None
    """The destination's, where the receiver is to let its guest run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._streams: dict[int, CarriedStream] = {}

    @classmethod
    def faults(cls) -> Mapping[str, str]:
        """To one message."""
        return {name: fault.title for name, fault in FAULTS.items()}

    @classmethod
    def phases(cls) -> Mapping[str, str]:
        """By which message it is."""
        return {name: phase.title for name, phase in PHASES.items()}

    @classmethod
    def pairs(cls) -> Iterator[tuple[str, str]]:
        """But a receiver that lies about what its own QEMU confirmed: nobody else can know."""
        yield from (pair for pair in super().pairs() if pair != ("body-forged", "confirmation"))

    def run(self, cell: Cell) -> FaultCell:
        """Do it, and judge."""
        return self.harmed(cell, FAULTS[cell.fault].apply)

    def harmed(self, cell: Cell, fault: Fault) -> FaultCell:
        """Likewise, of any fault at the cell's phase."""
        rng = random.Random(f"{cell.seed} {cell.id}")  # noqa: S311 - to be repeated
        stream = self._stream(cell.seed)
        backend = rng.choice(BACKENDS)
        before = look(self.folder)
        receiver = self._receiver()
        phase = PHASES[cell.phase]
        with Meddler(self.folder / "m", self.folder / "r", phase=phase, fault=fault, stream=stream, rng=rng) as meddler:
            sender = self._sender(backend, "m")
            seen = self._carried(stream, sender, receiver, meddler)
        bugs = tuple(f"a bug: {bug}" for half in (sender, receiver) if (bug := half.bug()))
        lines = {"sender": sender.line(), "receiver": receiver.line()}
        again = self._again(stream, receiver, backend)
        left = left_since(before, self.folder)
        facts = Facts(seen.runs, seen.memory, seen.verdict_s, SEEN_S, bugs, left, again)
        return cell_of(cell, facts, applied=meddler.struck_s is not None and meddler.could, **lines)

    def _stream(self, seed: int) -> CarriedStream:
        if seed not in self._streams:
            self._streams = {seed: make_stream(seed)}
        return self._streams[seed]

    def _receiver(self, side: Side = PLAIN, timeout_s: float = PATIENCE_S) -> HalfThread:
        config = ReceiveConfig(
            f"unix:{self.folder}/r",
            f"unix:{self.folder}/d",
            threads=1,
            timeout_s=timeout_s,
            wait_s=_WAIT_S,
            linger_s=_LINGER_S,
            qmp=self.qmp,
            tls=side.tls,
            tls_peer=side.tls_peer,
        )
        receiver = HalfThread("receiver", run_receiver, config)
        receiver.wait_ready(PATIENCE_S)
        return receiver

    def _sender(self, backend: str, target: str, side: Side = PLAIN) -> HalfThread:
        config = SendConfig(
            f"unix:{self.folder}/s",
            f"unix:{self.folder}/{target}",
            backend,
            threads=1,
            batch_bytes=_BATCH_BYTES,
            wait_s=_WAIT_S,
            tls=side.tls,
            tls_peer=side.tls_peer,
        )
        return HalfThread("sender", run_sender, config)

    def _carried(
        self, stream: CarriedStream, sender: HalfThread, receiver: HalfThread, meddler: Meddler | None
    ) -> _Seen:
        """One migration until both halves and both guests have ended their part, or patience has."""
        deadline_s = time.monotonic() + PATIENCE_S
        destination = DestinationStandIn(self.folder / "d", stream.data)
        source = SourceStandIn(self.folder / "s", stream.data)
        try:
            over = sender.over_by(deadline_s)
            over &= receiver.over_by(deadline_s, may_wait=sender.error is not None)
            struck_s = meddler.struck_s if meddler is not None else None
            verdict_s = time.monotonic() - struck_s if struck_s is not None else 0.0
            over &= sender.alive or not source.connected or source.ended_by(deadline_s)
            held = source.held and sender.alive
            at_source = not (source.confirmed or held)
        finally:
            source.close()
            destination.close()
        sender.join(SEEN_S)
        runs = where(source=at_source, destination=destination.runs, held=held and sender.holds is not None)
        memory = destination.right if destination.runs else True if at_source or held else None
        return _Seen(runs, memory, verdict_s if over else None)

    def _again(
        self,
        stream: CarriedStream,
        receiver: HalfThread,
        backend: str,
        sender_side: Side = PLAIN,
        receiver_side: Side = PLAIN,
    ) -> bool:
        """Whether the guest can be migrated once more, through the same receiver where that still waits."""
        if not receiver.alive:
            receiver = self._receiver(receiver_side)
        seen = self._carried(stream, self._sender(backend, "r", sender_side), receiver, None)
        return (seen.runs, seen.memory) == ("destination", True)
