"""One batch of pages <-> one BATCH message, with a backend between. Runs in codec threads; knows no sockets.

The order of batches matters to a backend that keeps history: its instances stand behind a ``Serial``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from backends.api import Backend, BackendError, Buffer
from harness.errors import CodecError
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.incompressible import looks_incompressible
from harness.wire.batch import PageBatch, join, split
from harness.wire.pair.frame import digest
from harness.wire.pair.messages import Batch, Layout

__all__ = ["Decoder", "Encoder", "Job", "Packed", "Restored"]


class Job(NamedTuple):
    """A batch on its way to a codec. ``turn`` counts the batches of a backend that keeps history; ``choice`` is the policy's, and
    ``trial`` another that compresses the batch too, to be compared."""

    sequence: int
    batch: PageBatch
    turn: int = 0
    choice: int = 0
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A batch compressed once more, by another candidate, and thrown away."""

    choice: int
    packed_bytes: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Packed:
    """What is sent for a job. ``took_s`` to make: CPU time, which other work on the host leaves alone."""

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


class Encoder:
    """Compresses batches with one backend instance, and with ``fallback`` those at which it fails.

    ``codec`` is the backend's number in HELLO, ``fallback_codec`` the fallback's. ``codec_cpu_s`` is the CPU time of its thread
    in both. With ``serial``, one of whose instances is then ``backend``, each batch is compressed in its turn, and travels so even
    where it did not shrink: it is part of the history.
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

    @property
    def instances(self) -> tuple[Backend, ...]:
        """Those of the backend that it uses, alone or with other encoders."""
        return (self.backend,) if self._serial is None else self._serial.lanes

    def encode(self, job: Job) -> Packed:
        """A message. Data that does not shrink is stored. :raises CodecError: nobody could compress."""
        began_s = time.thread_time()
        sequence, batch, turn = job.sequence, job.batch, job.turn
        raw_digest = digest(batch.raw)
        if not self._stores and not self._is_in_vain(batch):
            plan, pages = split(batch) if self._wants_pages else (b"", batch.raw)
            codec, packed = self._compress(sequence, pages, turn)
            body_bytes = len(plan) + len(packed)
            if body_bytes < batch.raw_bytes or (self._serial is not None and codec == self._codec):
                message = Batch(
                    sequence, codec, Layout.PACKED, batch.page_bytes.bit_length() - 1, batch.raw_bytes,
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

    def _compress(self, sequence: int, pages: memoryview, turn: int) -> tuple[int, memoryview]:
        """HELLO's number of the codec that did it, and what it made."""
        started = time.thread_time()
        codec = self._codec
        try:
            try:
                packed = self._packed(pages, turn)
            except BackendError as exc:
                if self._fallback is None:
                    raise
                codec, packed = self._fallback_codec, self._fallback.compress(pages)
                self.fallbacks += 1
                self.fallback_bytes += len(pages)
                self.fallback_reason = self.fallback_reason or str(exc)
        except BackendError as exc:
            raise CodecError(f"batch {sequence} of {len(pages)} bytes: {exc}") from exc
        self.codec_cpu_s += time.thread_time() - started
        return codec, memoryview(packed)

    def _packed(self, pages: memoryview, turn: int) -> Buffer:
        if self._serial is None:
            return self.backend.compress(pages)
        return self._serial.call(turn, lambda backend: backend.compress(pages))


class Decoder:
    """Restores batches with one instance of each backend that HELLO named, opened on first use. ``serials`` has those that
    keep history, by their number in HELLO."""

    def __init__(
        self, open_backends: tuple[Callable[[], Backend], ...], serials: Mapping[int, Serial] | None = None
    ) -> None:
        self._open_backends = open_backends
        self._serials = serials or {}
        self._backends: dict[int, Backend] = {}
        self.codec_cpu_s = 0.0

    def decode(self, batch: Batch, turn: int = 0) -> Restored:
        """Check the body, restore the slice, check the slice. :raises FrameError: damaged. :raises CodecError: wrong."""
        began_s = time.thread_time()
        body = memoryview(batch.parts[0])
        body_digest = digest(body)
        batch.require_undamaged(body_digest)
        if batch.layout is Layout.STORED:
            check_restored(batch, body, "none", body_digest)
            return Restored(batch, body, time.thread_time() - began_s)
        plan, packed = body[: batch.plan_bytes], body[batch.plan_bytes :]
        page_bytes = 1 << batch.page_shift
        pages = self._decompress(batch, packed, page_bytes, turn)
        raw = join(plan, pages, batch.raw_bytes, page_bytes)
        check_restored(batch, raw, self._name(batch))
        return Restored(batch, raw, time.thread_time() - began_s)

    def _decompress(self, batch: Batch, packed: memoryview, page_bytes: int, turn: int) -> memoryview:
        serial = self._serials.get(batch.codec)
        pages_bytes = batch.pages * page_bytes if batch.plan_bytes else batch.raw_bytes
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

    def _name(self, batch: Batch) -> str:
        serial = self._serials.get(batch.codec)
        return serial.name if serial is not None else self._backend(batch).info.name

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
