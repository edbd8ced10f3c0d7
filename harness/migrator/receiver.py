"""The destination's half of the pair: takes frames from the sender, restores the stream, writes it to the destination QEMU.

A migration has a main channel, and may have others, each with a link and a connection to QEMU of its own (``arrival.py``); the
codec threads, and how much may be here, are shared. If anything fails, the stream to QEMU ends where it is. QEMU may have had all
of it by then: so its answer is waited for, and told to the sender, which asks for it over another link if theirs broke.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from harness.errors import PageferryError, PeerError, QemuError
from harness.migrator.agreement import MOST_IN_FLIGHT_BYTES, Agreement, agree
from harness.migrator.arrival import Arrival, Decoders, Group, Way
from harness.migrator.carry.codec import Restored
from harness.migrator.carry.inline import Either, Inline
from harness.migrator.carry.pipeline import Failure, OrderedPipeline, Window, Workers, spawn
from harness.migrator.choose.auto import AUTO
from harness.migrator.choose.shared_cores import mark
from harness.migrator.choose.speed import core_speed
from harness.migrator.config import ReceiveConfig
from harness.migrator.delivery import Delivery, SideDelivery
from harness.migrator.destination import Destination
from harness.migrator.document import to_document
from harness.migrator.fates import FATES
from harness.migrator.monitor import check_monitor
from harness.migrator.reception import Reception
from harness.migrator.report import ReceiverReport
from harness.migrator.session import FrameLink, cores, digest_of, keep_freed_memory, own_usage
from harness.migrator.starter import Starter
from harness.migrator.token import read_token
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu
from harness.wire.pair.messages import End, Join, Welcome
from harness.wire.pair.verdict import Ask, Fate, Verdict

_URGENT_BYTES = 16 << 20
"""So much may be here of a channel that waits for no other: more than a QEMU asks for at once."""
_OTHERS_S = 60.0
"""How long the other channels may end behind the main one."""
_PARTING_S = 1.0
"""How long a QEMU whose stream was ended may take to say what it makes of it, before the sender is told why we stop; and how long
that may take to close its link then. If it does not, it may not have heard."""


def run_receiver(config: ReceiveConfig, say: Callable[[str], None] = lambda _: None) -> ReceiverReport:
    """Carry one migration, then report. ``say`` gets lines; one begins with "ready:" when a sender may connect.

    A peer that does not greet as a sender, or leaves before its migration has begun, is told of in a line, and the next one is
    waited for; the destination QEMU hears nothing of it.
    :raises UserError: addresses. :raises PeerError: sender, link or QEMU. :raises CodecError: data decoded wrongly.
    """
    keep_freed_memory()
    target = endpoint_for_qemu(config.target, "--to", insecure=config.insecure)
    place = endpoint_for_halves(config.listen, "--listen", insecure=config.insecure, tls=config.certificates)
    if config.qmp is not None:
        check_monitor(config.qmp)
    token = read_token(config.token)
    for warning in filter(None, (place.exposure, target.exposure)):
        say(warning)
    with place.listen(config.access) as listener:
        say(f"ready: listening on {listener.address}")
        reception = Reception(listener, say, token)
        while True:
            link, agreement = reception.next_sender(lambda hello: agree(hello, config.threads), config.timeout_s)
            starter = Starter(config.qmp)
            destination = Destination(target, config.wait_s, say, link.require_open, prepare=starter.hold)
            receiver = _Receiver(link, destination, agreement, config, starter)
            try:
                with reception.busy(receiver.admit):
                    return receiver.run()
            except PageferryError as exc:
                link.send_error(exc)
                if receiver.begun:
                    return receiver.outlast(exc, reception, say)
                say(f"no migration began: {exc}; waiting for the next sender")
            except BaseException as exc:
                link.send_error(exc)
                raise
            finally:
                link.close()
                receiver.close()


class _Receiver:
    """One migration, whose end is told for a while to who asks. ``starter``: who lets the guest
    run, if QEMU is not to do it itself. Threads: the caller's (the main channel's reader), codecs, each channel's own."""

    def __init__(
        self, link: FrameLink, target: Destination, agreement: Agreement, config: ReceiveConfig, starter: Starter
    ) -> None:
        self._starter = starter
        self._agreement = agreement
        self._target = target
        self._most = config.max_channels
        self._linger_s = config.linger_s
        self._failure = Failure(self._stop)
        self._decoders = Decoders(agreement.codecs)
        self._workers: Workers[Group, tuple[Restored, ...]] = Workers(
            "decompress", agreement.threads, self._decoders.open_worker, self._failure, at_once=cores()
        )
        speed = core_speed() if agreement.hello.backend == AUTO.name else 1.0
        self._welcome = Welcome(agreement.threads, starter.waits, mark(agreement.session), round(1000 * speed))
        self._window = Window(MOST_IN_FLIGHT_BYTES, link.transport.has_hung_up)
        self._main = Arrival(link, Delivery(target), agreement.serials, self._workers, self._window)
        self._arrivals = {0: self._main}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._ended = False
        self._stopped = threading.Event()
        self._told = self._parted = False
        self._closed = False

    @property
    def begun(self) -> bool:
        """Whether QEMU may have heard of it."""
        return self._main.begun

    def admit(self, link: FrameLink, wish: Join | Ask) -> None:
        """One more channel of this migration, or its sender, which lost its link; any thread.

        :raises PeerError: it is neither, or may not be.
        """
        if isinstance(wish, Ask):
            self.tell(link, wish)
            return
        self._require_ours(wish)
        with self._lock:
            if self._ended or self._failure.error is not None:
                raise PeerError("its migration has ended")
            if wish.channel in self._arrivals:
                raise PeerError(f"its migration has a channel {wish.channel} already")
            if len(self._arrivals) >= self._most:
                raise PeerError(f"a migration may have {self._most} channels here; give --max-channels to both halves")
            serials = self._agreement.more_serials(len(self._arrivals))
            delivery = SideDelivery(self._target.beside(), self._main.delivery)
            window, way = self._room_and_way(wish, link)
            arrival = Arrival(link, delivery, serials, self._workers, window, way=way)
            link.send(self._welcome)
            arrival.start()
            self._arrivals[wish.channel] = arrival
            self._threads.append(spawn(f"channel-{wish.channel}", lambda: _take(arrival), self._failure))

    def _room_and_way(self, wish: Join, link: FrameLink) -> tuple[Window, Way]:
        """What is urgent waits for no room behind others, and for no thread. `auto` knows rates of codec threads alone."""
        if wish.urgent:
            return Window(_URGENT_BYTES, link.transport.has_hung_up), Inline
        beside = self._window.beside(link.transport.has_hung_up)
        if self._agreement.hello.backend == AUTO.name:
            return beside, OrderedPipeline
        return beside, Either

    def _require_ours(self, wish: Join | Ask) -> None:
        if not hmac.compare_digest(wish.session.encode(), self._agreement.session.encode()):
            raise PeerError("no migration here has that session")

    def tell(self, link: FrameLink, ask: Ask) -> bool:
        """What became of the guest; whether that is known. Whoever asks has given up the session's link.

        :raises PeerError: it is another session's.
        """
        self._require_ours(ask)
        self._main.link.ended = True
        self._failure.set(PeerError("the sender lost its link to us, and asks over another"))
        fate = self._fate
        if fate is Fate.LOADED and ask.given_up:
            with suppress(QemuError):  # the sender is told by this, and our user by what ended us
                self._starter.start()
            fate = self._fate
        try:
            link.send(Verdict(fate, to_document(self._report()) if fate is Fate.ARRIVED else {}))
        finally:
            link.close()
        self._told = self._told or fate in (Fate.ARRIVED, Fate.FAILED)
        return self._told

    @property
    def _fate(self) -> Fate:
        """Of the guest, here."""
        fate, starter = self._main.delivery.fate, self._starter
        if fate is not Fate.ARRIVED or starter.started:
            return fate
        return Fate.FAILED if starter.failed else Fate.LOADED

    def outlast(self, error: PageferryError, reception: Reception, say: Callable[[str], None]) -> ReceiverReport:
        """Behind ``error``: while its sender may not know what became of the guest, stay for it to ask.

        :raises PageferryError: the same, with what is known; unless the guest arrived, and the sender was told so.
        """
        told_why = self._main.link.told_why  # a sender says so only if it knows where its guest runs
        unsure = not self._told and (not told_why or self._starter.waits)
        heard = self._main.delivery.fate  # by the sender, behind QEMU's own answers, and before our error
        parted = self._parted and (heard is Fate.FAILED or (heard is Fate.ARRIVED and not self._starter.waits))
        if self._linger_s and unsure and not parted:
            say(f"{error}; {FATES[self._fate]}; staying up to {self._linger_s:g} s for the sender to ask")
            reception.asked(self.tell, self._linger_s)
        fate = self._fate
        if self._told and fate is Fate.ARRIVED:
            return self._report()
        raise error if fate is Fate.FAILED else type(error)(f"{error}; {FATES[fate]}")

    def run(self) -> ReceiverReport:
        """Carry it to its end, then report. :raises PageferryError: what failed first."""
        self._main.link.send(self._welcome)
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
            self._starter.start()
        except BaseException as exc:  # the first failure explains all that follow it
            self._failure.set(exc)
            self._stopped.wait()
            raise (self._failure.error or exc) from None
        finally:
            for thread in self._threads:
                thread.join()
            self._workers.join()
        self.close()
        return self._confirmed(self._report())

    def close(self) -> None:
        """The connections to QEMU, and what the codecs hold. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._starter.close()
        for arrival in self._arrivals.values():
            arrival.close()

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
        """A thread failed: QEMU first, its main connection before others, then the sender, with QEMU's last word before ours."""
        with self._lock:
            arrivals = list(self._arrivals.values())
        for arrival in arrivals:
            arrival.stop()
        parting_s = min(_PARTING_S, self._linger_s)
        self._main.await_answers(parting_s)
        link = self._main.link
        lost = link.ended and not link.told_why
        for arrival in arrivals:
            if self._failure.error is not None:
                arrival.link.send_error(self._failure.error)
        self._parted = not lost and link.hears_end(parting_s)
        for arrival in arrivals:
            arrival.link.close()
        self._stopped.set()

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
