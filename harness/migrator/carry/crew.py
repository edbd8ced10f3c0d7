"""Who compresses in a sender: one backend and its fallback, or the candidates of ``auto``. Opened before a guest depends on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends import registry
from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable
from harness.errors import CodecError, MissingError, UserError
from harness.migrator.carry.codec import Encoder
from harness.migrator.carry.fallback import choose_fallback
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.auto import AUTO, Candidate, candidates
from harness.migrator.session import cores
from harness.migrator.spec import Spec
from harness.names import unknown


@dataclass(frozen=True, slots=True)
class Crew:
    """``codecs`` are HELLO's names, ``places`` where each choice's is; a choice is a number of ``candidates``, 0 if there are none.
    ``lanes`` is how many batches
    gain from being compressed at once, and how many threads of its own a backend has that keeps history. ``serials``: those that
    keep one, by choice, for the main channel; ``more_serials`` makes those of another one, whose maker closes them.
    ``decompress_share``: see ``BackendInfo``. ``either``: a channel's reader may compress too. Not where a batch is
    held until the next is announced, nor where a device does the work; and ``auto`` knows rates of codec threads alone."""

    backend: str
    level: int | None
    fallback: Spec | None
    codecs: tuple[str, ...]
    places: tuple[int, ...]
    threads: int
    lanes: int
    batch_bytes: int
    decompress_share: float
    open_encoder: Callable[[int, Serial | None], Encoder]
    serials: Mapping[int, Serial]
    more_serials: Callable[[], Mapping[int, Serial]]
    close: Callable[[], None]
    candidates: tuple[Candidate, ...] = ()
    either: bool = False


def crew_of(
    backend: str, level: int | None, options: Mapping[str, Any], fallback: str | None, threads: int | None
) -> Crew:
    """The crew for a ``SendConfig``'s settings.

    :raises UserError: a wrong name, level or option. :raises MissingError: not here. :raises CodecError: a device fails.
    """
    if backend == AUTO.name:
        if level is not None:
            raise UserError(f"level {level}: backend 'auto' chooses levels itself; leave it out, or name candidates")
        if fallback is not None:
            raise UserError(
                f"fallback {fallback}: backend 'auto' chooses among codecs of the CPU, which need none; leave it out"
            )
        return auto_crew(options, threads)
    if backend not in (known := [*registry.names(), AUTO.name]):
        raise UserError(unknown("backend", backend, known))
    return single_crew(backend, level, options, fallback, threads)


def single_crew(
    name: str, level: int | None, options: Mapping[str, Any], fallback_text: str | None, threads: int | None
) -> Crew:
    """One backend, and what stands in for it. Raises as ``crew_of``."""
    open_backend = _opener(name, level, options)
    probe = open_backend()
    info = probe.info
    fallback = choose_fallback(info, fallback_text)
    open_fallback = _opener(fallback.backend, fallback.level, {}) if fallback is not None else None
    if not info.stateful:  # a history is opened when the receiver's is
        _open(probe)
    threads = threads or _default_threads(info)
    lanes = _lanes(info, threads)
    serial = _serial(probe, lanes) if info.stateful else None

    def open_encoder(_: int, serial: Serial | None) -> Encoder:
        backend = open_backend() if serial is None else serial.backend
        return Encoder(backend, open_fallback() if open_fallback is not None else None, serial)

    def more_serials() -> Mapping[int, Serial]:
        return {0: _serial(open_backend(), lanes)} if info.stateful else {}

    return Crew(
        name, probe.level, fallback, ("none", name, *([fallback.backend] if fallback is not None else [])),
        (1,), threads, lanes, info.batch_bytes, info.decompress_share,
        open_encoder, {} if serial is None else {0: serial}, more_serials,
        probe.close if serial is None else serial.close,
        either=info.device == "cpu" and not info.stateful,
    )  # fmt: skip


def auto_crew(options: Mapping[str, Any], threads: int | None) -> Crew:
    """All candidates that work here; those with history for the main channel alone, so that many channels do not take many times
    its memory. Raises as ``crew_of``."""
    for option in options:
        if option not in AUTO.options:
            raise UserError(f"backend 'auto': unknown option {option!r}; known: {', '.join(AUTO.options)}")
    limit = _cpu_limit(options)
    found = candidates(options)
    names, places = _places(found)
    threads = min(threads or cores(), limit or 256)
    lanes = min(threads, cores())
    classes = [registry.load(candidate.backend) for candidate in found]  # not while pages flow: see ``_opener``
    histories = {
        number: _serial(classes[number](candidate.level), lanes)
        for number, candidate in enumerate(found)
        if candidate.history
    }

    def open_encoder(choice: int, serial: Serial | None) -> Encoder:
        backend = classes[choice](found[choice].level) if serial is None else serial.backend
        return Encoder(backend, serial=serial, codec=places[choice])

    def close() -> None:
        for serial in histories.values():
            serial.close()

    return Crew(
        AUTO.name, None, None, names, places, threads, lanes, AUTO.batch_bytes, 1.0,
        open_encoder, histories, dict, close, found,
    )  # fmt: skip


def _places(found: Sequence[Candidate]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """HELLO's names, and each candidate's place there. Two levels of a codec with history are two histories."""
    names, places = ["none"], []
    for candidate in found:
        if candidate.history or candidate.backend not in names:
            names.append(candidate.backend)
        places.append(len(names) - 1 if candidate.history else names.index(candidate.backend))
    return tuple(names), tuple(places)


def _serial(backend: Backend, threads: int) -> Serial:
    backend.threads = threads
    return Serial(backend)


def _cpu_limit(options: Mapping[str, Any]) -> int | None:
    limit = options.get("cpu_limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 256):
        raise UserError(f"backend 'auto': option cpu_limit = {limit!r}: must be a whole number of threads, 1 to 256")
    return limit


def _opener(name: str, level: int | None, options: Mapping[str, Any]) -> Callable[[], Backend]:
    """A factory of instances, after one was made to see that it can be. The class is looked up here, once: a look-up took 4 to
    10 ms in each codec thread in mid-migration (2-core Intel Xeon, 2026-11-26). :raises MissingError, UserError: it cannot."""
    try:
        cls = registry.load(name)
        cls.probe()
        cls(level, **options).close()
    except BackendUnavailable as exc:
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        raise UserError(str(exc)) from exc
    return lambda: cls(level, **options)


def _open(backend: Backend) -> None:
    """Open its device before a guest depends on it. :raises MissingError: not here. :raises CodecError: it fails."""
    try:
        backend.open()
    except BackendUnavailable as exc:
        backend.close()
        raise MissingError(str(exc)) from exc
    except BackendError as exc:
        backend.close()
        raise CodecError(f"before the migration began: {exc}") from exc


def _default_threads(info: BackendInfo) -> int:
    """A device's threads mostly wait: one more than cores raised PoCL's rate by 3 % (2-core AMD EPYC, 2026-11-24, n=7)."""
    if info.name == "none":
        return 1
    return cores() if info.device == "cpu" else cores() + 1


def _lanes(info: BackendInfo, threads: int) -> int:
    """More threads than cores in a codec only wait for each other; at a device each waits for its own batch."""
    return min(threads, cores()) if info.device == "cpu" else threads
