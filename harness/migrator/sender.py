"""The source's half of the pair: takes a QEMU's migration stream on a unix socket, sends it compressed to the receiver.

Settles who takes part: backend, fallback, receiver, QEMU. What then happens to the stream is ``forwarder.py``. If anything
fails, the socket to QEMU closes, its migration fails, and the source guest runs on.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from backends import registry
from backends.api import MAX_BATCH_BYTES, Backend, BackendError, BackendInfo, BackendUnavailable
from harness.errors import CodecError, MissingError, PeerError, UserError
from harness.fallback import Fallback, choose_fallback
from harness.migrator.address import Address, connect, listen, require_private
from harness.migrator.codec import Encoder, Serial
from harness.migrator.forwarder import Forwarder
from harness.migrator.session import FrameLink, close_all, cores, hello, keep_freed_memory, parse_greeting
from harness.wire.frame import Kind

__all__ = ["SendConfig", "run_sender"]

_GREETING_TIMEOUT_S = 10.0
_SMALLEST_BATCH_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class SendConfig:
    """``threads`` None: as many as cores. ``batch_bytes`` None: what the backend likes. ``inflight_bytes`` None: from the rate.
    ``fallback``: see ``harness.fallback``.
    """

    source: Address
    target: Address
    backend: str
    level: int | None = None
    threads: int | None = None
    batch_bytes: int | None = None
    inflight_bytes: int | None = None
    decompress_threads: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    fallback: str | None = None
    insecure: bool = False


def run_sender(config: SendConfig, on_ready: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Carry one migration, then give its statistics. ``on_ready`` gets one line once QEMU may connect.

    :raises UserError: addresses. :raises MissingError: the backend. :raises PeerError: receiver or link.
    :raises CodecError: a backend failed here or there.
    """
    keep_freed_memory()
    require_private(config.target, "--to", insecure=config.insecure)
    if config.source.path is None:
        require_private(config.source, "--from", insecure=config.insecure)
    if config.batch_bytes is not None and not _SMALLEST_BATCH_BYTES <= config.batch_bytes <= MAX_BATCH_BYTES:
        raise UserError(f"--batch {config.batch_bytes}B: between {_SMALLEST_BATCH_BYTES} and {MAX_BATCH_BYTES} bytes")
    open_backend = backend_opener(config.backend, config.level, config.options)
    probe = open_backend()
    fallback = choose_fallback(probe.info, config.fallback)
    open_fallback = backend_opener(fallback.backend, fallback.level, {}) if fallback is not None else None
    threads = config.threads or _default_threads(probe.info)
    what = "start `pageferry receive` there first"
    with ExitStack() as stack:
        stack.callback(probe.close)
        _open(probe)
        link = FrameLink(connect(config.target, "--to", what, _GREETING_TIMEOUT_S), "receiver")
        stack.callback(lambda: close_all(link.socket))
        try:
            session = _greet(link, config, probe, threads, fallback)
            with _accept_source(config.source, link, on_ready) as source:
                serial = Serial(probe) if probe.info.stateful else None

                def open_encoder() -> Encoder:
                    backend = open_backend() if serial is None else serial.backend
                    return Encoder(backend, open_fallback() if open_fallback is not None else None, serial)

                statistics = Forwarder(
                    link,
                    source,
                    open_encoder=open_encoder,
                    threads=threads,
                    lanes=_lanes(probe.info, threads),
                    batch_bytes=config.batch_bytes or probe.info.batch_bytes,
                    inflight_bytes=config.inflight_bytes,
                    serial=serial,
                ).run()
        except BaseException as exc:
            link.send_error(exc)
            raise
    names = {"backend": config.backend, "level": probe.level, "fallback": fallback and str(fallback)}
    return {"role": "sender", "session": session, **names, **statistics}


def backend_opener(name: str, level: int | None, options: Mapping[str, Any]) -> Callable[[], Backend]:
    """A factory of instances, after one was made to see that it can be. :raises MissingError, UserError: it cannot."""
    try:
        registry.load(name).probe()
        registry.create(name, level, **options).close()
    except BackendUnavailable as exc:
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        raise UserError(str(exc)) from exc
    return lambda: registry.create(name, level, **options)


def _default_threads(info: BackendInfo) -> int:
    """A device's threads mostly wait: one more than cores raised PoCL's rate by 3 % (2-core AMD EPYC, 2026-11-24, n=7)."""
    if info.name == "none":
        return 1
    return cores() if info.device == "cpu" else cores() + 1


def _lanes(info: BackendInfo, threads: int) -> int:
    """How many batches gain from being compressed at once: more threads than cores in a codec only wait for each other, at a
    device each waits for its own batch, and behind a history there is one at a time."""
    if info.stateful:
        return 1
    return min(threads, cores()) if info.device == "cpu" else threads


def _open(backend: Backend) -> None:
    """Open its device before a guest depends on it. :raises MissingError: not here. :raises CodecError: it fails."""
    try:
        backend.open()
    except BackendUnavailable as exc:
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        raise CodecError(f"before the migration began: {exc}") from exc


def _greet(link: FrameLink, config: SendConfig, backend: Backend, threads: int, fallback: Fallback | None) -> str:
    session = secrets.token_hex(8)
    decompress = config.decompress_threads or max(1, round(threads * backend.info.decompress_share))
    parameters = {"backend": config.backend, "level": backend.level, "threads": threads, **dict(config.options)}
    link.send(
        hello(
            Kind.HELLO,
            session=session,
            codecs=["none", config.backend, *([fallback.backend] if fallback is not None else [])],
            parameters=parameters,
            decompress_threads=decompress,
        )
    )
    parse_greeting(link.first_frame(Kind.WELCOME, _GREETING_TIMEOUT_S), "receiver")
    return session


def _accept_source(address: Address, link: FrameLink, on_ready: Callable[[str], None]) -> socket.socket:
    """Wait for QEMU to connect, and notice if the receiver goes away meanwhile. One connection only: then we stop listening."""
    with listen(address, "--from") as listener:
        on_ready(f"ready: migrate the source to {_uri(listener, address)}")
        readable, _, _ = select.select([listener, link.socket], [], [])
        if listener not in readable:
            next(link.frames(), None)
            raise PeerError("the receiver closed the link before the migration began")
        source, _ = listener.accept()
    if address.path is not None:
        os.unlink(address.path)  # noqa: PTH108
    return source


def _uri(listener: socket.socket, address: Address) -> str:
    return str(address) if address.path is not None else f"tcp:{address.host}:{listener.getsockname()[1]}"
