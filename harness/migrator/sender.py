"""The source's half of the pair: takes a QEMU's migration stream on a unix socket, sends it compressed to the receiver.

Settles who takes part: backend, fallback, receiver, QEMU. What then happens to the stream is ``forwarder.py``. If anything
fails, the socket to QEMU closes, its migration fails, and the source guest runs on; but not where it may have arrived.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING

from harness.errors import PeerError, UserError
from harness.migrator.carry import preparation
from harness.migrator.carry.crew import Crew, crew_of
from harness.migrator.carry.forwarder import Forwarder
from harness.migrator.choose import rehearsal
from harness.migrator.choose.chooser import Chooser
from harness.migrator.choose.estimates import Estimates
from harness.migrator.choose.method_policy import MethodPolicy
from harness.migrator.choose.shared_cores import are_apart
from harness.migrator.choose.speed import busy_others, core_speed
from harness.migrator.config import SendConfig
from harness.migrator.gate import Gate
from harness.migrator.greeting import ask, find_receiver, join
from harness.migrator.report import URGENT, Carried, SenderReport
from harness.migrator.session import FrameLink, keep_freed_memory
from harness.migrator.token import read_token
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu
from harness.units import format_bytes
from harness.wire.pair.messages import Welcome

if TYPE_CHECKING:
    from harness.migrator.steering.steering import Steering


_SOON_S = 2.0
"""A guest that connects so soon does not wait 4 ms for another count of what else wants the cores."""


def run_sender(config: SendConfig, say: Callable[[str], None] = lambda _: None) -> SenderReport:
    """Carry one migration, then report. ``say`` gets lines, of which one begins with "ready:" once all is agreed.

    QEMU may connect as soon as we listen, which is before we look for the receiver; it then waits for us.
    :raises UserError: addresses. :raises MissingError: the backend. :raises PeerError: receiver or link.
    :raises CodecError: a backend failed here or there. :raises QemuError: its QMP, or more connections than one.
    """
    keep_freed_memory()
    target = endpoint_for_halves(config.target, "--to", insecure=config.insecure, tls=config.certificates)
    source = endpoint_for_qemu(config.source, "--from", insecure=config.insecure)
    token = read_token(config.token)
    for warning in filter(None, (target.exposure, source.exposure)):
        say(warning)
    crew = crew_of(config.backend, config.level, config.options, config.fallback, config.threads)
    with ExitStack() as stack:
        stack.callback(crew.close)
        listener = stack.enter_context(source.listen(config.access))
        steering = stack.enter_context(_open_steering(config, say))
        link, session, welcome = find_receiver(target, config, crew, token, say)
        stack.callback(link.close)
        try:
            round_trip_s = rehearsal.measure_round_trip_s(link)
            policy = _rehearse(crew, link, welcome, round_trip_s, apart=are_apart(session, welcome.cores))
            counted_s = time.monotonic()
            prepared = _prepare_history(crew, link, policy, say)
            say(f"ready: migrate the source to {listener.address}")
            gate = stack.enter_context(Gate(listener, config.max_channels, say))
            with _await_migration(gate, link) as connection:
                if policy is not None and time.monotonic() - counted_s > _SOON_S:
                    _count_others(policy)
                forwarder = Forwarder(
                    link,
                    connection,
                    gate,
                    crew=crew,
                    config=config,
                    ask=lambda given_up: ask(target, session, token, given_up=given_up),
                    waits=welcome.waits,
                    join=lambda channel, kind: join(target, session, channel, token, urgent=kind == URGENT),
                    round_trip_s=round_trip_s,
                    chooser=Chooser(crew.candidates, link.transport, policy) if policy is not None else None,
                    say=say,
                )
                carried = _carry(forwarder, steering)
        except BaseException as exc:
            link.send_error(exc)
            raise
    return SenderReport(
        **{each.name: getattr(carried, each.name) for each in fields(carried)},
        session=session,
        backend=config.backend,
        level=crew.level,
        fallback=None if crew.fallback is None else str(crew.fallback),
        prepare_s=None if prepared is None else prepared[0],
        prepared_histories=None if prepared is None else prepared[1],
        steering=None if steering is None else steering.report(),
        tls=link.transport.secured(),
    )


def _open_steering(config: SendConfig, say: Callable[[str], None]) -> AbstractContextManager[Steering | None]:
    if config.qmp is not None:
        from harness.migrator.steering.steering import open_steering  # noqa: PLC0415 - QMP brings asyncio and TLS with it

        return open_steering(config.qmp, config.downtime_s, config.downtime_cost_share, say)
    if config.downtime_s is not None:
        what = config.downtime_s if config.downtime_s == "shortest" else f"{config.downtime_s:g}s"
        raise UserError(f"--downtime {what}: only with --qmp, which steers the source QEMU to it")
    return nullcontext()


def _carry(forwarder: Forwarder, steering: Steering | None) -> Carried:
    if steering is None:
        return forwarder.run()
    steering.begin(forwarder.flow, forwarder.calm)
    carried = forwarder.run()
    steering.finish()
    return carried


def _rehearse(
    crew: Crew, link: FrameLink, welcome: Welcome, round_trip_s: float, *, apart: bool
) -> MethodPolicy | None:
    """With what a rehearsal says of the link. :raises PeerError: it broke."""
    if not crew.candidates:
        return None
    estimates = Estimates(crew.candidates, crew.lanes, welcome.threads, core_speed(), welcome.speed / 1000, apart)
    policy = MethodPolicy(estimates)
    policy.rehearsed(rehearsal.measure_bytes_per_s(link, round_trip_s))
    _count_others(policy)
    return policy


def _count_others(policy: MethodPolicy) -> None:
    policy.estimates.beside(busy_others(), os.cpu_count() or 1)


def _prepare_history(
    crew: Crew, link: FrameLink, policy: MethodPolicy | None, say: Callable[[str], None]
) -> tuple[float, int] | None:
    """Open the history with which a migration will begin, if it does: in how many seconds, and how many. Raises as ``prepare``."""
    choice = policy.first_choice if policy is not None else 0
    serial = crew.serials.get(choice)
    if serial is None:
        return None
    began_s = time.monotonic()
    ready = preparation.prepare(link, crew.places[choice], serial)
    if policy is not None and ready:
        policy.prepared(choice)
    if not ready:
        size = format_bytes(serial.backend.history_bytes)
        say(
            f"warning: memory is short here or at the receiver, so that no history was prepared; {serial.name} may take {size} and "
            "more at each end; where a limit of memory is near, use a smaller --option window=..., or zstd"
        )
    return time.monotonic() - began_s, int(ready)


def _await_migration(gate: Gate, link: FrameLink) -> socket.socket:
    """Wait for QEMU to connect and to begin, and notice if the receiver goes away meanwhile."""
    connection = gate.await_migration(link.transport.fileno())
    if connection is None:
        next(link.messages(), None)
        raise PeerError("the receiver closed the link before the migration began")
    return connection
