"""One batch <-> one frame's payload, with a backend between. Runs in codec threads; knows no sockets and no order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backends.api import Backend, BackendError
from harness.errors import CodecError
from harness.wire.batch import PageBatch, join, split
from harness.wire.frame import Frame, Header, Kind, Layout, digest, encode

__all__ = ["Decoder", "Encoder", "Packed", "Restored"]


@dataclass(frozen=True, slots=True)
class Packed:
    """A frame ready to send: ``parts`` are its header, plan and body, none of them copied together."""

    header: Header
    parts: tuple[bytes | memoryview, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """A slice of the stream whose digest was checked."""

    header: Header
    raw: memoryview


class Encoder:
    """Compresses batches with one backend instance, and with ``fallback`` those at which it fails.

    HELLO's codec 1 is the backend, 2 the fallback. ``codec_cpu_s`` is the CPU time of its thread in both.
    """

    def __init__(self, backend: Backend, fallback: Backend | None = None) -> None:
        self.backend = backend
        self._fallback = fallback
        self._stores = backend.info.name == "none"
        self._wants_pages = backend.info.wants_pages
        self.codec_cpu_s = 0.0
        self.stored_batches = 0
        self.fallbacks = 0
        self.fallback_bytes = 0
        self.fallback_reason: str | None = None

    def encode(self, item: tuple[int, PageBatch]) -> Packed:
        """``(sequence, batch)`` -> a frame. Data that does not shrink is stored. :raises CodecError: nobody could compress."""
        sequence, batch = item
        raw_digest = digest(batch.raw)
        if not self._stores:
            plan, pages = split(batch) if self._wants_pages else (b"", batch.raw)
            codec, packed = self._compress(sequence, pages)
            body_bytes = len(plan) + len(packed)
            if body_bytes < batch.raw_bytes:
                header = Header(
                    Kind.BATCH, sequence, codec, Layout.PACKED, batch.page_bytes.bit_length() - 1,
                    batch.raw_bytes, body_bytes, len(plan), batch.pages, raw_digest, digest(plan) ^ digest(packed),
                )  # fmt: skip
                return Packed(header, (encode(header), plan, packed))
        self.stored_batches += 1
        header = Header(
            Kind.BATCH, sequence, 0, Layout.STORED, 12,
            batch.raw_bytes, batch.raw_bytes, 0, batch.pages, raw_digest, raw_digest,
        )  # fmt: skip
        return Packed(header, (encode(header), batch.raw))

    def close(self) -> None:
        """Close both backends."""
        self.backend.close()
        if self._fallback is not None:
            self._fallback.close()

    def _compress(self, sequence: int, pages: memoryview) -> tuple[int, memoryview]:
        """HELLO's number of the codec that did it, and what it made."""
        started = time.thread_time()
        codec = 1
        try:
            try:
                packed = self.backend.compress(pages)
            except BackendError as exc:
                if self._fallback is None:
                    raise
                codec, packed = 2, self._fallback.compress(pages)
                self.fallbacks += 1
                self.fallback_bytes += len(pages)
                self.fallback_reason = self.fallback_reason or str(exc)
        except BackendError as exc:
            raise CodecError(f"batch {sequence} of {len(pages)} bytes: {exc}") from exc
        self.codec_cpu_s += time.thread_time() - started
        return codec, memoryview(packed)


class Decoder:
    """Restores batches with one instance of each backend that HELLO named, opened on first use."""

    def __init__(self, open_backends: tuple[Callable[[], Backend], ...]) -> None:
        self._open_backends = open_backends
        self._backends: dict[int, Backend] = {}
        self.codec_cpu_s = 0.0

    def decode(self, frame: Frame) -> Restored:
        """Check the body, restore the slice, check the slice. :raises FrameError: damaged. :raises CodecError: wrong."""
        header = frame.header
        if header.layout is Layout.STORED:
            frame.check_body(digest(frame.body))
            return Restored(header, frame.body)
        plan, packed = frame.body[: header.plan_bytes], frame.body[header.plan_bytes :]
        frame.check_body(digest(plan) ^ digest(packed))
        page_bytes = 1 << header.page_shift
        pages = self._decompress(frame, packed, page_bytes)
        raw = join(plan, pages, header.raw_bytes, page_bytes)
        check_restored(header, raw, self._backend(header).info.name)
        return Restored(header, raw)

    def _decompress(self, frame: Frame, packed: memoryview, page_bytes: int) -> memoryview:
        header = frame.header
        backend = self._backend(header)
        pages_bytes = header.pages * page_bytes if header.plan_bytes else header.raw_bytes
        started = time.thread_time()
        try:
            pages = backend.decompress(packed, pages_bytes)
        except BackendError as exc:
            raise CodecError(f"batch {header.sequence}: {exc}") from exc
        self.codec_cpu_s += time.thread_time() - started
        return memoryview(pages)

    def _backend(self, header: Header) -> Backend:
        backend = self._backends.get(header.codec)
        if backend is None:
            if header.codec >= len(self._open_backends):
                raise CodecError(
                    f"batch {header.sequence}: codec {header.codec} is not among the {len(self._open_backends)} agreed on"
                )
            backend = self._backends[header.codec] = self._open_backends[header.codec]()
        return backend

    def close(self) -> None:
        """Close every backend that was opened."""
        for backend in self._backends.values():
            backend.close()


def check_restored(header: Header, raw: memoryview, backend: str) -> None:
    """The check that stands between a codec and a guest. :raises CodecError: ``raw`` is not what entered the sender."""
    if len(raw) != header.raw_bytes or digest(raw) != header.raw_digest:
        raise CodecError(
            f"batch {header.sequence}: backend {backend!r} restored {len(raw)} bytes that are not the {header.raw_bytes} "
            "that were compressed; nothing of it reached the destination"
        )
