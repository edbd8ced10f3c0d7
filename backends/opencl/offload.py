"""Sends batches to a device worker from any thread, and keeps a worker running. Falls back to nothing: a failure is raised.

Its supervisor thread starts the worker, tests it, notices its end, and starts another when the breaker says so; never two at
once, as a device may belong to one process.
"""

from __future__ import annotations

import os
import select
import threading
import time
from dataclasses import dataclass

from backends.opencl.breaker import Breaker
from backends.opencl.counters import Counts
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError, one_line
from backends.opencl.launch import FINAL_BLOCK
from backends.opencl.messages import Answer, DeviceFaultError
from backends.opencl.process import HOST, EndedError, LateError, SharedSlot, Worker
from backends.restore import difference, self_test_batch

_quarantined: dict[DeviceConfig, str] = {}

_MIB = 1 << 20
_START_LIMIT_S = 60.0
_FAREWELL_S = 1.0
_OBITUARY_S = 0.2
"""For the supervisor to learn how a worker ended, so that the first error says it. About a millisecond on an idle host."""


class WrongError(OpenclError):
    """The device's bytes are not the batch."""


@dataclass(frozen=True, slots=True)
class OffloadConfig:
    """``limit_s`` is for a batch of up to 1 MiB, and grows with larger ones. ``factory`` opens the device, in the worker."""

    device: DeviceConfig
    slots: int
    limit_s: float
    verify_every: int
    factory: str = HOST


class Offload:
    """The device, as all threads of one process share it."""

    def __init__(self, config: OffloadConfig) -> None:
        """Starts the supervisor, which starts a worker; ``wait_started`` waits for that."""
        self.config = config
        self.pid = os.getpid()
        self._changed = threading.Condition()
        self._breaker = Breaker()
        self._worker: Worker | None = None
        self._free: list[SharedSlot] = []
        self._unclaimed = {"deaths": 0, "restarts": 0}
        self._starts = 0
        self._tried = self._closing = False
        self._problem: OpenclError | None = None
        self._process: Worker | None = None  # the supervisor's: alive, or dying, or being started
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._supervisor = threading.Thread(target=self._supervise, name="pageferry-opencl", daemon=True)
        self._supervisor.start()

    @property
    def is_inherited(self) -> bool:
        """This process is a fork of the one that it works for."""
        return self.pid != os.getpid()

    # ------------------------------------------------------------------ any thread

    def wait_started(self) -> None:
        """Wait for the first start to end. :raises OpenclError: no batch may go to the device now, or (OpenclMissing) ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._tried)
            if (refusal := self._breaker.refusal(time.monotonic())) is not None:
                raise self._problem or OpenclError(refusal)

    def compress(self, data: memoryview, counts: Counts) -> bytes:
        """One batch of at least one byte, as one raw DEFLATE stream. :raises OpenclError: not by this device, not now."""
        with self._changed:
            self._changed.wait_for(lambda: self._tried)
        began_s = time.monotonic()
        worker, slot = self._take(counts)
        try:
            asked_s = time.monotonic()
            slot.request(data)
            packed, answer = slot.answer(self.config.limit_s * max(1.0, len(data) / _MIB))
            answered_s = time.monotonic()
            self._verify(worker, data, packed, counts)
        except OpenclError as exc:
            raise self._failed(worker, exc, counts) from exc
        finally:
            self._give_back(worker, slot)
        counts["slot_wait_s"] += asked_s - began_s
        counts["wait_s"] += answered_s - asked_s
        self._count(worker, len(data), answer, counts)
        return packed

    def claim(self, counts: Counts) -> None:
        """Move what was counted for nobody to one instance's ``counts``."""
        if self.is_inherited:
            return
        with self._changed:
            for name, number in self._unclaimed.items():
                counts[name] += number
                self._unclaimed[name] = 0

    def worker(self) -> Worker:
        """The one at work. :raises OpenclError: there is none now."""
        with self._changed:
            if self._worker is None:
                raise OpenclError(self._breaker.refusal(time.monotonic()) or "it has no worker")
            return self._worker

    def close(self) -> None:
        """End the worker and the supervisor. No other call is under way or follows."""
        with self._changed:
            self._closing = True
        os.eventfd_write(self._wake, 1)
        self._supervisor.join()
        os.close(self._wake)

    def _take(self, counts: Counts) -> tuple[Worker, SharedSlot]:
        """A free slot. Each slot ahead has a time limit, so this wait has one too."""
        with self._changed:
            while True:
                refusal = self._breaker.refusal(time.monotonic())
                if refusal is not None or self._worker is None:
                    counts["refused"] += 1
                    raise OpenclError(refusal or "it has no worker")
                if self._free:
                    return self._worker, self._free.pop()
                self._changed.wait()

    def _give_back(self, worker: Worker, slot: SharedSlot) -> None:
        with self._changed:
            if worker is self._worker:
                self._free.append(slot)
                self._changed.notify()
            else:
                slot.close()

    def _verify(self, worker: Worker, data: memoryview, packed: bytes, counts: Counts) -> None:
        """A look at each batch's end, and all of the first after a start and of every so many after it."""
        with self._changed:
            due = worker.batches % self.config.verify_every == 0
            worker.batches += 1
        problem = None if packed.endswith(FINAL_BLOCK) else f"{len(packed)} bytes without a stream's end"
        if problem is None and due:
            counts["verified_batches"] += 1
            problem = difference(packed, data)
        if problem is not None:
            raise WrongError(f"the device compressed a batch of {len(data)} bytes to {problem}")

    def _count(self, worker: Worker, raw_bytes: int, answer: Answer, counts: Counts) -> None:
        launch = answer.launch
        counts["batches"] += 1
        counts["raw_bytes"] += raw_bytes
        for name in launch.__slots__:
            counts[name] += getattr(launch, name)
        with self._changed:
            self._breaker.succeeded()
            counts["worker_cpu_s"] += max(0.0, answer.worker_cpu_s - worker.cpu_s)
            worker.cpu_s = max(worker.cpu_s, answer.worker_cpu_s)

    def _failed(self, worker: Worker, exc: OpenclError, counts: Counts) -> OpenclError:
        """Draw the consequences; the error to raise."""
        wrong, ended = isinstance(exc, WrongError), isinstance(exc, EndedError)
        counts["timeouts" if isinstance(exc, LateError) else "mismatches" if wrong else "errors"] += 1
        with self._changed:
            if worker is self._worker:
                if wrong:
                    self._quarantine(str(exc))
                else:
                    self._breaker.failed(time.monotonic(), str(exc), lost=not isinstance(exc, DeviceFaultError))
                if not self._breaker.is_closed:
                    self._retire(worker, None if ended else str(exc))
            if not ended:
                return exc
            self._changed.wait_for(lambda: worker.obituary is not None, _OBITUARY_S)
            return OpenclError(worker.obituary or str(exc))

    def _retire(self, worker: Worker, obituary: str | None) -> None:
        """No more batches for this worker; those under way fail. The lock is held."""
        self._let_go()
        worker.obituary = obituary and f"its worker was ended: {obituary}"
        worker.kill()
        self._changed.notify_all()

    def _quarantine(self, reason: str) -> None:
        self._breaker.quarantine(reason)
        _quarantined[self.config.device] = reason

    # ------------------------------------------------------------------ the supervisor's thread

    def _supervise(self) -> None:
        try:
            if (reason := _quarantined.get(self.config.device)) is not None:
                self._give_up(reason)
            while not self._closing:
                self._attend()
        except Exception as exc:  # whoever waits for us must not wait for ever
            self._give_up(f"its supervisor failed: {one_line(exc)}")
            raise
        finally:
            if self._process is not None:
                self._end_process(self._process, _FAREWELL_S)

    def _give_up(self, reason: str) -> None:
        with self._changed:
            self._breaker.quarantine(reason)
            self._end_start(OpenclError(reason))

    def _attend(self) -> None:
        """Wait for the one thing that can happen next, and see to it."""
        if self._process is not None:
            if self._process.pidfd in self._process.watch([self._wake], None):
                self._bury(self._process)
            return
        with self._changed:
            due_s = self._breaker.due_s
        if due_s is not None and due_s <= time.monotonic():
            self._start()
            return
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.poll(None if due_s is None else (due_s - time.monotonic()) * 1000)

    def _start(self) -> None:
        """A new worker, and its self-test on every slot."""
        with self._changed:
            self._breaker.probing()
        try:
            self._process = worker = Worker(self.config.device, self.config.slots, self.config.factory)
            worker.hello(_START_LIMIT_S, self._wake)
            batch = self_test_batch()
            for slot in worker.slots:
                if wrong := difference(worker.compress(slot, batch, _START_LIMIT_S, self._wake), batch):
                    raise WrongError(f"the device failed its self-test: {len(batch)} bytes became {wrong}")
        except (OpenclError, OSError) as exc:
            if self._process is not None:
                self._free = self._process.slots
                self._end_process(self._process, 0.0)
            problem = exc if isinstance(exc, OpenclError) else OpenclError(f"cannot start a worker: {one_line(exc)}")
            with self._changed:
                self._breaker.probed(time.monotonic(), str(problem))
                if isinstance(problem, WrongError):
                    self._quarantine(str(problem))
                self._end_start(problem)
        else:
            with self._changed:
                self._worker, self._free = worker, list(worker.slots)
                self._unclaimed["restarts"] += self._starts > 0
                self._starts += 1
                self._breaker.probed(time.monotonic(), None)
                self._end_start(None)

    def _end_start(self, problem: OpenclError | None) -> None:
        self._problem = problem
        self._tried = True
        self._changed.notify_all()

    def _bury(self, worker: Worker) -> None:
        """The worker's process ended."""
        words = str(worker.end())
        with self._changed:
            if worker is self._worker:
                self._breaker.failed(time.monotonic(), words, lost=True)
                self._retire(worker, None)
            if worker.obituary is None:
                worker.obituary = words
                self._breaker.explain(words)
                self._unclaimed["deaths"] += 1
            self._changed.notify_all()
        self._end_process(worker, 0.0)

    def _end_process(self, worker: Worker, patience_s: float) -> None:
        with self._changed:
            self._let_go()
        worker.dismiss(patience_s)
        self._process = None

    def _let_go(self) -> None:
        self._worker = None
        while self._free:
            self._free.pop().close()

    def disown(self) -> None:
        """In a fork of this process: neither worker nor supervisor is ours."""
        if self._process is not None:
            self._process.disown()
        os.close(self._wake)
