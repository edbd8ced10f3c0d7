"""The destination's half of the pair: takes frames from the sender, restores the stream, writes it to the destination QEMU.

    link -> reader (this thread) -> window -> codec threads -> ordered writer -> QEMU; an ACK for every batch it took
    QEMU's return path -> back thread -> link

Nothing reaches QEMU before its digest was checked. If anything fails, the socket to QEMU closes in mid-stream, the
destination guest never runs, and the sender is told why.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace

import xxhash

from harness.errors import CodecError, PageferryError, PeerError
from harness.migrator.agreement import MOST_IN_FLIGHT_BYTES, Agreement, agree
from harness.migrator.carry import preparation
from harness.migrator.carry.codec import Decoder, Restored
from harness.migrator.carry.groups import Groups
from harness.migrator.carry.pipeline import Failure, OrderedPipeline, Window, spawn
from harness.migrator.choose import rehearsal
from harness.migrator.config import ReceiveConfig
from harness.migrator.delivery import Delivery
from harness.migrator.destination import Destination
from harness.migrator.document import to_document
from harness.migrator.reception import Reception
from harness.migrator.report import ReceiverReport
from harness.migrator.session import FrameLink, cores, keep_freed_memory, own_usage
from harness.migrator.token import read_token
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu
from harness.wire.pair.messages import Ack, Batch, Done, End, Prepare, Probe, Return, ReturnEnd, Welcome

__all__ = ["run_receiver"]

_BATCH_OVERHEAD_BYTES = 4 << 10


def run_receiver(config: ReceiveConfig, say: Callable[[str], None] = lambda _: None) -> ReceiverReport:
    """Carry one migration, then report. ``say`` gets lines; one begins with "ready:" when a sender may connect.

    A peer that does not greet as a sender, or leaves before its migration has begun, is told of in a line, and the next one is
    waited for; the destination QEMU hears nothing of it.
    :raises UserError: addresses. :raises PeerError: sender, link or QEMU. :raises CodecError: data decoded wrongly.
    """
    keep_freed_memory()
    target = endpoint_for_qemu(config.target, "--to", insecure=config.insecure)
    place = endpoint_for_halves(config.listen, "--listen", insecure=config.insecure, tls=config.certificates)
    token = read_token(config.token)
    for warning in filter(None, (place.exposure, target.exposure)):
        say(warning)
    with place.listen(config.access) as listener:
        say(f"ready: listening on {listener.address}")
        reception = Reception(listener, say, token)
        while True:
            link, agreement = reception.next_sender(lambda hello: agree(hello, config.threads), config.timeout_s)
            receiver = _Receiver(link, Destination(target, config.wait_s, say, link.require_open), agreement)
            try:
                with reception.busy():
                    return receiver.run()
            except PageferryError as exc:
                link.send_error(exc)
                if receiver.begun:
                    raise
                say(f"no migration began: {exc}; waiting for the next sender")
            except BaseException as exc:
                link.send_error(exc)
                raise
            finally:
                link.close()


class _Receiver:
    """One migration. Threads: the caller's (reader), codecs, writer, back. ``begun``: a batch of it came."""

    def __init__(
        self,
        link: FrameLink,
        target: Destination,
        agreement: Agreement,
    ) -> None:
        self._link = link
        self._delivery = Delivery(target)
        self._codecs = agreement.codecs
        self._serials = agreement.serials
        self._groups = Groups(self._serials)
        self._threads = agreement.threads
        self._session = agreement.session
        self._window = Window(MOST_IN_FLIGHT_BYTES, link.transport.has_hung_up)
        self._failure = Failure(self._stop)
        self._pipeline: OrderedPipeline[tuple[tuple[Batch, ...], int], tuple[Restored, ...]] = OrderedPipeline(
            "decompress", self._threads, self._open_decoder, self._deliver, self._failure, at_once=cores()
        )
        self._decoders: list[Decoder] = []
        self._digest = xxhash.xxh3_128()
        self._came_s: deque[float] = deque()
        self._batches = 0
        self.begun = False

    def run(self) -> ReceiverReport:
        self._link.send(Welcome(self._threads))
        back = spawn("back", self._back, self._failure)
        self._pipeline.start()
        end: End | None = None
        try:
            end = self._read()
        except BaseException as exc:  # kept as the first failure and raised below, after the threads ended
            self._failure.set(exc)
        self._pipeline.stop()
        try:
            self._pipeline.join()
            assert end is not None  # noqa: S101 - for the type checker: no failure, so the end was seen
            self._finish(end)
        except BaseException as exc:  # the first failure explains all that follow it
            self._failure.set(exc)
            raise (self._failure.error or exc) from None
        finally:
            self._delivery.close()
            back.join(timeout=5)
            for serial in self._serials.values():
                serial.close()
        report = self._report()
        try:
            self._link.send(Done(to_document(report)))
        except PeerError:  # the destination has all, whether or not the sender learns of it
            return replace(report, sender_heard=False)
        return report

    def _stop(self) -> None:
        self._delivery.close()
        self._window.close()
        for serial in self._serials.values():
            serial.stop()
        self._pipeline.stop()
        if self._failure.error is not None:
            self._link.send_error(self._failure.error)
        self._link.close()

    def _read(self) -> End:
        """Batches to the codecs until END, held ones with what ends them.

        :raises FrameError: out of order, or unknown here. :raises PeerError: no END.
        """
        for message in self._link.messages():
            if isinstance(message, End):
                self._groups.require_whole()
                self._delivery.end()
                return message
            if isinstance(message, Probe):
                rehearsal.answer(self._link)
            elif isinstance(message, Prepare):
                preparation.answer(self._link, message, self._serials)
            elif isinstance(message, Batch):
                group = self._groups.add(message)
                if not self._window.acquire(_held_bytes(message)):
                    break
                self.begun = True
                self._came_s.append(time.monotonic())
                if group is not None:
                    self._pipeline.submit(group)
        raise PeerError("the sender closed the link before the end of the stream")

    def _open_decoder(
        self,
    ) -> tuple[Callable[[tuple[tuple[Batch, ...], int]], tuple[Restored, ...]], Callable[[], None]]:
        decoder = Decoder(self._codecs, self._serials)
        self._decoders.append(decoder)
        return lambda item: decoder.decode(*item), decoder.close

    def _deliver(self, group: tuple[Restored, ...]) -> None:
        for restored in group:
            self._deliver_one(restored)

    def _deliver_one(self, restored: Restored) -> None:
        self._delivery.deliver(restored.raw)
        self._digest.update(restored.message.raw_digest.to_bytes(8, "little"))
        self._batches += 1
        self._window.release(_held_bytes(restored.message))
        now_s = time.monotonic()
        self._link.send(
            Ack(
                self._batches,
                self._delivery.delivered_bytes,
                restored.took_s,
                now_s - self._came_s.popleft(),
                self._link.waited_s,
                now_s,
                self._link.received_bytes,
            )
        )

    def _finish(self, end: End) -> None:
        """The stream is whole: check its digest, end it towards QEMU, and wait until QEMU has closed."""
        if end != End(self._batches, self._delivery.delivered_bytes, self._digest.digest()):
            raise CodecError(
                f"the stream's end names {end.batches} batches and {end.stream_bytes} bytes; "
                f"{self._batches} and {self._delivery.delivered_bytes} were delivered, or their digests differ"
            )
        self._delivery.finish()
        self._failure.check()

    def _back(self) -> None:
        for data in self._delivery.answers():
            self._link.send(Return(data))
        if self._failure.error is None:
            self._link.send(ReturnEnd())

    def _report(self) -> ReceiverReport:
        return ReceiverReport(
            session=self._session,
            threads=self._threads,
            stream_bytes=self._delivery.delivered_bytes,
            batches=self._batches,
            codec_cpu_s=sum(decoder.codec_cpu_s for decoder in self._decoders),
            window_peak_bytes=self._window.peak_bytes,
            batches_digest=self._digest.hexdigest(),
            sender_heard=True,
            confirmed=self._delivery.confirmed,
            tls=self._link.transport.secured(),
            **asdict(own_usage()),
        )


def _held_bytes(batch: Batch) -> int:
    """What it makes us hold, until it is delivered: many small ones are more than their bytes."""
    return max(batch.raw_bytes, batch.body_bytes) + _BATCH_OVERHEAD_BYTES
