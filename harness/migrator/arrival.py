"""One channel of a receiver: a link, and its way to a connection of the destination QEMU.

link -> reader -> window -> codec threads -> ordered writer -> QEMU; an ACK for every batch it took
QEMU's return path -> back thread -> link

Nothing reaches QEMU before its digest was checked.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import xxhash

from backends.api import Backend
from harness.errors import CodecError, PeerError
from harness.migrator.carry import preparation
from harness.migrator.carry.codec import Decoder, Restored
from harness.migrator.carry.groups import Groups
from harness.migrator.carry.inline import Inline
from harness.migrator.carry.pipeline import OrderedPipeline, Window, Workers, spawn
from harness.migrator.carry.serial import Serial
from harness.migrator.choose import rehearsal
from harness.migrator.delivery import Delivery
from harness.migrator.session import FrameLink
from harness.wire.pair.messages import Ack, Batch, Done, End, Prepare, Probe, Return, ReturnEnd

_BATCH_OVERHEAD_BYTES = 4 << 10
_ENDING_S = 5.0


class Group(NamedTuple):
    """What is restored at once, in its ``turn`` at ``serial``, where their codec keeps history."""

    batches: tuple[Batch, ...]
    turn: int
    serial: Serial | None


Way = type[Inline[Group, tuple[Restored, ...]]] | type[OrderedPipeline[Group, tuple[Restored, ...]]]


class Decoders:
    """Each codec thread's; codecs that keep history are the channels' own."""

    def __init__(self, codecs: tuple[Callable[[], Backend], ...]) -> None:
        self._codecs = codecs
        self._opened: list[Decoder] = []

    def open_worker(self) -> tuple[Callable[[Group], tuple[Restored, ...]], Callable[[], None]]:
        """For one thread: how it restores a group, and closes what it opened."""
        decoder = Decoder(self._codecs)
        self._opened.append(decoder)
        return lambda group: decoder.decode(*group), decoder.close

    @property
    def codec_cpu_s(self) -> float:
        """All threads' CPU time in codecs."""
        return sum(decoder.codec_cpu_s for decoder in self._opened)


class Arrival:
    """Threads: who calls ``read``, writer, back. ``serials``: its codecs that keep history, by their number, its to close.
    ``begun``: a batch came. ``way``: of its batches from who reads them to QEMU."""

    def __init__(
        self,
        link: FrameLink,
        delivery: Delivery,
        serials: Mapping[int, Serial],
        workers: Workers[Group, tuple[Restored, ...]],
        window: Window,
        *,
        way: Way = OrderedPipeline,
    ) -> None:
        self.link = link
        self.delivery = delivery
        self.batches = 0
        self.begun = False
        self._serials = serials
        self._groups = Groups(serials)
        self._window = window
        self._failure = workers.failure
        self._pipeline = way(workers, self._deliver)
        self._digest = xxhash.xxh3_128()
        self._back_thread: threading.Thread | None = None
        self._came_s: deque[float] = deque()

    @property
    def digest(self) -> bytes:
        """Of all batches so far, as END has it."""
        return self._digest.digest()

    def start(self) -> None:
        """Start its threads."""
        self._pipeline.start()
        self._back_thread = spawn("back", self._back, self._failure)

    def read(self) -> End:
        """Batches to the codecs until END, held ones with what ends them.

        :raises FrameError: out of order, or unknown here. :raises PeerError: no END.
        """
        try:
            return self._read()
        finally:
            self._pipeline.stop()

    def _read(self) -> End:
        for message in self.link.messages():
            if isinstance(message, End):
                self._groups.require_whole()
                self.delivery.end()
                return message
            if isinstance(message, Probe):
                rehearsal.answer(self.link)
            elif isinstance(message, Prepare):
                preparation.answer(self.link, message, self._serials)
            elif isinstance(message, Batch):
                group = self._groups.add(message)
                if not self._window.acquire(_held_bytes(message)):
                    break
                self.begun = True
                self._came_s.append(time.monotonic())
                if group is not None:
                    self._pipeline.submit(Group(*group, self._serials.get(message.codec)))
        raise PeerError("the sender closed the link before the end of the stream")

    def finish(self, end: End) -> None:
        """The stream is whole: check its digest, and end it towards QEMU. Raises as ``Delivery.finish``.

        :raises CodecError: it is not what was sent.
        """
        self._pipeline.join()
        if end != End(self.batches, self.delivery.delivered_bytes, self.digest):
            raise CodecError(
                f"the stream's end names {end.batches} batches and {end.stream_bytes} bytes; "
                f"{self.batches} and {self.delivery.delivered_bytes} were delivered, or their digests differ"
            )
        self.delivery.finish()
        self._failure.check()

    def stop(self) -> None:
        """End what QEMU gets, and wake all threads but the one that reads its answers."""
        self.delivery.stop()
        self._window.close()
        for serial in self._serials.values():
            serial.stop()
        self._pipeline.stop()

    def await_answers(self, timeout_s: float) -> bool:
        """Until QEMU has closed, and its answers are on the link, if that still stands; whether they are."""
        thread = self._back_thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        thread.join(timeout_s)
        return not thread.is_alive()

    def close(self) -> None:
        """The connection to QEMU and what the codecs hold; the link is its maker's, and has ended."""
        self.delivery.shut()
        ended = self._pipeline.ended(_ENDING_S) and self.await_answers(_ENDING_S)
        for serial in self._serials.values():
            serial.close()
        if ended:
            self.delivery.close()

    def confirm(self, report: Mapping[str, object]) -> bool:
        """Tell the sender that all is over. False: it does not hear."""
        try:
            self.link.send(Done(report))
        except PeerError:  # the destination has all, whether or not the sender learns of it
            return False
        return True

    def _deliver(self, group: tuple[Restored, ...]) -> None:
        for restored in group:
            self._deliver_one(restored)

    def _deliver_one(self, restored: Restored) -> None:
        self.delivery.deliver(restored.raw)
        self._digest.update(restored.message.raw_digest.to_bytes(8, "little"))
        self.batches += 1
        self._window.release(_held_bytes(restored.message))
        now_s = time.monotonic()
        self.link.send(
            Ack(
                self.batches,
                self.delivery.delivered_bytes,
                restored.took_s,
                now_s - self._came_s.popleft(),
                self.link.waited_s,
                now_s,
                self.link.received_bytes,
            )
        )

    def _back(self) -> None:
        answered_bytes = 0
        for data in self.delivery.answers():
            answered_bytes += len(data)
            self._answer(Return(data))
        self._answer(ReturnEnd(answered_bytes))
        self.delivery.require_loaded()

    def _answer(self, message: Return | ReturnEnd) -> None:
        """Even if the link breaks by it: what QEMU says at the end is to be known here."""
        try:
            self.link.send(message)
        except PeerError as exc:
            self._failure.set(exc)


def _held_bytes(batch: Batch) -> int:
    """What it makes us hold, until it is delivered: many small ones are more than their bytes."""
    return max(batch.raw_bytes, batch.body_bytes) + _BATCH_OVERHEAD_BYTES
