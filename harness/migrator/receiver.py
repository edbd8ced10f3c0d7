"""The destination's half of the pair: takes frames from the sender, restores the stream, writes it to the destination QEMU.

A migration has a main channel, and may have others, each with a link and a connection to QEMU of its own (``arrival.py``); the
codec threads, and how much may be here, are shared. If anything fails, QEMU's connections close in mid-stream, the destination
guest never runs, and the sender is told why.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from harness.errors import PageferryError, PeerError
from harness.migrator.agreement import MOST_IN_FLIGHT_BYTES, Agreement, agree
from harness.migrator.arrival import Arrival, Decoders, Group
from harness.migrator.carry.codec import Restored
from harness.migrator.carry.pipeline import Failure, Window, Workers, spawn
from harness.migrator.config import ReceiveConfig
from harness.migrator.delivery import Delivery, SideDelivery
from harness.migrator.destination import Destination
from harness.migrator.document import to_document
from harness.migrator.reception import Reception
from harness.migrator.report import ReceiverReport
from harness.migrator.session import FrameLink, cores, digest_of, keep_freed_memory, own_usage
from harness.migrator.token import read_token
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu
from harness.wire.pair.messages import End, Join, Welcome

__all__ = ["run_receiver"]

_OTHERS_S = 60.0
"""How long the other channels may end behind the main one."""


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
            destination = Destination(target, config.wait_s, say, link.require_open)
            receiver = _Receiver(link, destination, agreement, config.max_channels)
            try:
                with reception.busy(receiver.admit):
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
    """One migration of at most ``most`` channels. Threads: the caller's (the main channel's reader), codecs, each channel's own."""

    def __init__(self, link: FrameLink, target: Destination, agreement: Agreement, most: int) -> None:
        self._agreement = agreement
        self._target = target
        self._most = most
        self._failure = Failure(self._stop)
        self._decoders = Decoders(agreement.codecs)
        self._workers: Workers[Group, tuple[Restored, ...]] = Workers(
            "decompress", agreement.threads, self._decoders.open_worker, self._failure, at_once=cores()
        )
        self._window = Window(MOST_IN_FLIGHT_BYTES, link.transport.has_hung_up)
        self._main = Arrival(link, Delivery(target), agreement.serials, self._workers, self._window)
        self._arrivals = {0: self._main}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._ended = False

    @property
    def begun(self) -> bool:
        """Whether QEMU may have heard of it."""
        return self._main.begun

    def admit(self, link: FrameLink, wish: Join) -> None:
        """One more channel of this migration; any thread. :raises PeerError: it is not one, or may not be."""
        if not hmac.compare_digest(wish.session.encode(), self._agreement.session.encode()):
            raise PeerError("no migration here has that session")
        with self._lock:
            if self._ended or self._failure.error is not None:
                raise PeerError("its migration has ended")
            if wish.channel in self._arrivals:
                raise PeerError(f"its migration has a channel {wish.channel} already")
            if len(self._arrivals) >= self._most:
                raise PeerError(f"a migration may have {self._most} channels here; give --max-channels to both halves")
            serials = self._agreement.more_serials(len(self._arrivals))
            delivery = SideDelivery(self._target.beside(), self._main.delivery)
            window = self._window.beside(link.transport.has_hung_up)
            arrival = Arrival(link, delivery, serials, self._workers, window)
            link.send(Welcome(self._agreement.threads))
            arrival.start()
            self._arrivals[wish.channel] = arrival
            self._threads.append(spawn(f"channel-{wish.channel}", lambda: _take(arrival), self._failure))

    def run(self) -> ReceiverReport:
        """Carry it to its end, then report. :raises PageferryError: what failed first."""
        self._main.link.send(Welcome(self._agreement.threads))
        self._workers.start()
        self._main.start()
        end: End | None = None
        try:
            end = self._main.read()
        except BaseException as exc:  # kept as the first failure and raised below, after the threads ended
            self._failure.set(exc)
        try:
            self._failure.check()
            assert end is not None  # noqa: S101 - for the type checker: no failure, so the end was seen
            self._main.finish(end)
            self._end_others()
        except BaseException as exc:  # the first failure explains all that follow it
            self._failure.set(exc)
            raise (self._failure.error or exc) from None
        finally:
            for thread in self._threads:
                thread.join()
            for arrival in self._arrivals.values():
                arrival.close()
            self._workers.join()
        return self._confirmed(self._report())

    def _confirmed(self, report: ReceiverReport) -> ReceiverReport:
        """The report, once the sender was told that all is over, on the main link last."""
        for number, arrival in self._arrivals.items():
            if number:
                arrival.confirm({})
                arrival.link.close()
        return report if self._main.confirm(to_document(report)) else replace(report, sender_heard=False)

    def _end_others(self) -> None:
        """Once the main channel has ended. :raises PeerError: another does not."""
        with self._lock:
            self._ended = True
        deadline_s = time.monotonic() + _OTHERS_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
            if thread.is_alive():
                raise PeerError(f"{thread.name} did not end within {_OTHERS_S:g} s of the migration's end")
        self._failure.check()

    def _stop(self) -> None:
        """A thread failed: QEMU first, its main connection before others, then the sender."""
        with self._lock:
            arrivals = list(self._arrivals.values())
        for arrival in arrivals:
            arrival.stop()
        for arrival in arrivals:
            if self._failure.error is not None:
                arrival.link.send_error(self._failure.error)
            arrival.link.close()

    def _report(self) -> ReceiverReport:
        arrivals = [arrival for _, arrival in sorted(self._arrivals.items())]
        return ReceiverReport(
            session=self._agreement.session,
            threads=self._agreement.threads,
            stream_bytes=sum(arrival.delivery.delivered_bytes for arrival in arrivals),
            batches=sum(arrival.batches for arrival in arrivals),
            codec_cpu_s=self._decoders.codec_cpu_s,
            window_peak_bytes=self._window.peak_bytes,
            batches_digest=digest_of([arrival.digest for arrival in arrivals]).hex(),
            sender_heard=True,
            confirmed=self._main.delivery.confirmed,
            channels=len(arrivals),
            tls=self._main.link.transport.secured(),
            **asdict(own_usage()),
        )


def _take(arrival: Arrival) -> None:
    """In a thread of its own: all of one channel besides the main one, to its end."""
    arrival.finish(arrival.read())
