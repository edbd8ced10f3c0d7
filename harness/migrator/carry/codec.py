"""One batch of pages <-> one BATCH message, with a backend between. Runs in codec threads; knows no sockets.

The order of batches matters to a backend that keeps history: it stands behind a ``Serial``. Where the next batch follows at once,
what one of them is compressed to may come in a later one's message: it is *held*, and restored with that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from backends.api import Backend, BackendError, Buffer
from harness.errors import CodecError
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.incompressible import looks_incompressible
from harness.wire.batch import PageBatch, join, split
from harness.wire.pair.frame import digest
from harness.wire.pair.messages import Batch, Layout


class Job(NamedTuple):
    """A batch of ``channel`` on its way to a codec. ``turn`` counts the channel's batches of ``serial``, a backend that keeps
    history and may hold as much as ``most_held_bytes`` says in its turn, once it has this one; ``choice`` is the policy's, and
    ``trial`` another that compresses the batch too, to be compared."""

    sequence: int
    batch: PageBatch
    turn: int = 0
    choice: int = 0
    trial: int | None = None
    most_held_bytes: Callable[[], int] = int
    channel: int = 0
    serial: Serial | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A batch compressed once more, by another candidate, and thrown away."""

    choice: int
    packed_bytes: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Packed:
    """What is sent for a job. ``took_s`` to make: CPU time, which other work on the host leaves alone. What a backend's own threads
    took is in that of a later batch, if they were not ready."""

    message: Batch
    job: Job
    took_s: float = 0.0
    trial: Trial | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """A slice of the stream whose digest was checked. ``took_s`` to restore, as ``Packed``'s."""

    message: Batch
    raw: memoryview
    took_s: float = 0.0


class _Made(NamedTuple):
    """``codec``: HELLO's number of who made it. ``threads_cpu_s``: of its own threads, since the batch before."""

    codec: int
    packed: Buffer
    layout: Layout = Layout.PACKED
    threads_cpu_s: float = 0.0


class Encoder:
    """Compresses batches with one backend instance, and with ``fallback`` those at which it fails.

    ``codec`` is the backend's number in HELLO, ``fallback_codec`` the fallback's. ``codec_cpu_s`` is the CPU time of its thread
    in both. With ``serial``, whose instance is then ``backend``, each batch is compressed in its turn, and travels so even where it
    did not shrink: it is part of the history. A fallback gets only what was not held, so that with one nothing is.
    """

    def __init__(
        self,
        backend: Backend,
        fallback: Backend | None = None,
        serial: Serial | None = None,
        *,
        codec: int = 1,
        fallback_codec: int = 2,
    ) -> None:
        self.backend = backend
        self._codec, self._fallback_codec = codec, fallback_codec
        self._serial = serial
        self._fallback = fallback
        self._stores = backend.info.name == "none"
        self._wants_pages = backend.info.wants_pages
        self._samples = backend.info.device == "cpu"
        self.codec_cpu_s = 0.0
        self.stored_batches = 0
        self.incompressible_batches = 0
        self.fallbacks = 0
        self.fallback_bytes = 0
        self.fallback_reason: str | None = None

    def encode(self, job: Job) -> Packed:
        """A message. Data that does not shrink is stored. :raises CodecError: nobody could compress."""
        began_s = time.thread_time()
        sequence, batch = job.sequence, job.batch
        raw_digest = digest(batch.raw)
        if not self._stores and not self._is_in_vain(batch):
            plan, pages = split(batch) if self._wants_pages else (b"", batch.raw)
            made = self._compress(job, pages)
            began_s -= made.threads_cpu_s
            codec, packed = made.codec, memoryview(made.packed)
            body_bytes = len(plan) + len(packed)
            if body_bytes < batch.raw_bytes or (self._serial is not None and codec == self._codec):
                message = Batch(
                    sequence, codec, made.layout, batch.page_bytes.bit_length() - 1, batch.raw_bytes,
                    len(plan), batch.pages, raw_digest, digest(plan, packed), (plan, packed),
                )  # fmt: skip
                return Packed(message, job, time.thread_time() - began_s)
        self.stored_batches += 1
        message = Batch(
            sequence, 0, Layout.STORED, 12, batch.raw_bytes, 0, batch.pages, raw_digest, raw_digest, (batch.raw,)
        )
        return Packed(message, job, time.thread_time() - began_s)

    def _is_in_vain(self, batch: PageBatch) -> bool:
        """Whether compressing would only cost time. A history gets every page, since later ones refer to it, and what a device gets
        costs the host nothing."""
        if self._serial is not None or not self._samples or not looks_incompressible(batch):
            return False
        self.incompressible_batches += 1
        return True

    def close(self) -> None:
        """Close both backends; a shared one is its owner's to close."""
        if self._serial is None:
            self.backend.close()
        if self._fallback is not None:
            self._fallback.close()

    def _compress(self, job: Job, pages: memoryview) -> _Made:
        started = time.thread_time()
        try:
            try:
                made = self._made(job, pages)
            except BackendError as exc:
                if self._fallback is None:
                    raise
                made = _Made(self._fallback_codec, self._fallback.compress(pages))
                self.fallbacks += 1
                self.fallback_bytes += len(pages)
                self.fallback_reason = self.fallback_reason or str(exc)
        except BackendError as exc:
            raise CodecError(f"batch {job.sequence} of {len(pages)} bytes: {exc}") from exc
        self.codec_cpu_s += time.thread_time() - started + made.threads_cpu_s
        return made

    def _made(self, job: Job, pages: memoryview) -> _Made:
        serial = self._serial
        if serial is None:
            return _Made(self._codec, self.backend.compress(pages))

        def work(backend: Backend) -> _Made:
            fits = serial.holds(job.batch.raw_bytes, job.most_held_bytes())
            layout = Layout.HELD if fits and self._fallback is None and serial.goes_on(job.turn) else Layout.PACKED
            packed = backend.hold(pages) if layout is Layout.HELD else backend.compress(pages)
            serial.made(len(packed), held=layout is Layout.HELD)
            return _Made(self._codec, packed, layout, serial.spent_s())

        return serial.call(job.turn, work)


class Decoder:
    """Restores batches with one instance of each backend that HELLO named, opened on first use; of one that keeps history, with
    whose ``Serial`` is given."""

    def __init__(self, open_backends: tuple[Callable[[], Backend], ...]) -> None:
        self._open_backends = open_backends
        self._backends: dict[int, Backend] = {}
        self.codec_cpu_s = 0.0

    def decode(self, group: Sequence[Batch], turn: int = 0, serial: Serial | None = None) -> tuple[Restored, ...]:
        """Check the bodies, restore the slices, check the slices, of one batch or of held ones and the one that ends them. ``turn``
        counts these of ``serial``, which their codec stands behind if it keeps history.

        :raises FrameError: damaged. :raises CodecError: wrong.
        """
        began_s = time.thread_time()
        bodies = [memoryview(batch.parts[0]) for batch in group]
        for batch, body in zip(group, bodies, strict=True):
            batch.require_undamaged(digest(body))
        if group[0].layout is Layout.STORED:
            slices = bodies
            check_restored(group[0], bodies[0], "none", group[0].body_digest)
        else:
            slices = self._restored(group, bodies, turn, serial)
            name = serial.name if serial is not None else self._backend(group[0]).info.name
            for batch, raw in zip(group, slices, strict=True):
                check_restored(batch, raw, name)
        took_s = (time.thread_time() - began_s) / sum(batch.raw_bytes for batch in group)
        return tuple(Restored(batch, raw, took_s * batch.raw_bytes) for batch, raw in zip(group, slices, strict=True))

    def _restored(
        self, group: Sequence[Batch], bodies: Sequence[memoryview], turn: int, serial: Serial | None
    ) -> list[memoryview]:
        plans = [body[: batch.plan_bytes] for batch, body in zip(group, bodies, strict=True)]
        packed = [body[batch.plan_bytes :] for batch, body in zip(group, bodies, strict=True)]
        sizes_bytes = [batch.pages << batch.page_shift if batch.plan_bytes else batch.raw_bytes for batch in group]
        whole = packed[0] if len(packed) == 1 else b"".join(packed)
        pages = self._decompress(group[-1], whole, sum(sizes_bytes), turn, serial)
        starts = accumulate(sizes_bytes[:-1], initial=0)
        ends = [*accumulate(sizes_bytes[:-1]), len(pages)]
        return [
            join(plan, pages[start:end], batch.raw_bytes, 1 << batch.page_shift)
            for batch, plan, start, end in zip(group, plans, starts, ends, strict=True)
        ]

    def _decompress(
        self, batch: Batch, packed: Buffer, pages_bytes: int, turn: int, serial: Serial | None
    ) -> memoryview:
        started = time.thread_time()
        try:
            if serial is not None:
                pages = serial.call(turn, lambda backend: backend.decompress(packed, pages_bytes))
            else:
                pages = self._backend(batch).decompress(packed, pages_bytes)
        except BackendError as exc:
            raise CodecError(f"batch {batch.sequence}: {exc}") from exc
        self.codec_cpu_s += time.thread_time() - started
        return memoryview(pages)

    def _backend(self, batch: Batch) -> Backend:
        backend = self._backends.get(batch.codec)
        if backend is None:
            if batch.codec >= len(self._open_backends):
                raise CodecError(
                    f"batch {batch.sequence}: codec {batch.codec} is not among the {len(self._open_backends)} agreed on"
                )
            backend = self._backends[batch.codec] = self._open_backends[batch.codec]()
        return backend

    def close(self) -> None:
        """Close every backend that was opened; a shared one is its owner's to close."""
        for backend in self._backends.values():
            backend.close()


def check_restored(batch: Batch, raw: memoryview, backend: str, raw_digest: int | None = None) -> None:
    """The check that stands between a codec and a guest; ``raw_digest``: of ``raw``, where it is known.

    :raises CodecError: ``raw`` is not what entered the sender.
    """
    if len(raw) != batch.raw_bytes or (digest(raw) if raw_digest is None else raw_digest) != batch.raw_digest:
        raise CodecError(
            f"batch {batch.sequence}: backend {backend!r} restored {len(raw)} bytes that are not the {batch.raw_bytes} "
            "that were compressed; nothing of it reached the destination"
        )
