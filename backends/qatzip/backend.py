"""DEFLATE on an Intel QuickAssist card, as a backend. Raw deflate, one stream per batch, so that any host restores it.

QATzip goes over to software by itself, silently, unless it is forbidden and watched: here it is both. No card was at hand when
this was written; it was tried against a stand-in library that speaks the same ABI and fails in the ways the real one does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from backends.api import MAX_BATCH_BYTES, Backend, BackendInfo, BackendUnavailable, Buffer
from backends.children import code_argv
from backends.inflate import inflate
from backends.qatzip.caller import Caller
from backends.qatzip.library import SMALLEST_INPUT_BYTES, Outcome, QatzipError, QatzipMissing, Session, load
from backends.restore import decoder_version, difference, new_inflater

_SUBMISSIONS = {f"{kib}KiB": kib << 10 for kib in (64, 128, 256, 512)}
_PROBE_LIMIT_S = 20.0
_BATCH_LIMIT_MS = 150
_OPEN_LIMIT_S = 20.0
_COUNTERS = (
    "qat_hardware_calls", "qat_software_calls", "qat_small_inputs", "qat_submissions", "qat_raw_bytes", "qat_packed_bytes",
    "qat_verified_batches", "qat_errors", "qat_timeouts", "qat_mismatches",
)  # fmt: skip


class QatzipBackend(Backend):
    """One session of QATzip. A batch at which the card fails is a ``BackendError``.

    Levels 1 to 8: at 9 older versions go over to software whatever they are told. Options: ``submission`` (what the card gets
    at once: 64KiB to 512KiB), ``timeout_ms`` (of one batch), ``verify_every`` (1: every batch is restored and compared before
    it is used).
    """

    info = BackendInfo(
        name="qatzip",
        device="qat",
        levels=(1, 8),
        default_level=1,
        decompress_share=0.5,
        deterministic=False,  # not known of every card
        format="deflate",
        needs="libqatzip",
        options=("submission", "timeout_ms", "verify_every"),
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        """:raises BackendError: a level or an option outside what there is."""
        super().__init__(level, **options)
        self._submission_bytes = self._submission()
        self._limit_s = self._whole("timeout_ms", _BATCH_LIMIT_MS) / 1000
        self._verify_every = self._whole("verify_every", 64)
        self._counts: dict[str, int | float] = dict.fromkeys(_COUNTERS, 0)
        self._caller = Caller("qatzip")
        self._session: Session | None = None
        self._refusal: str | None = None

    @classmethod
    def probe(cls) -> str:
        """A session was opened and closed, in a process of its own, for a driver may take its process along."""
        command = code_argv("from backends.qatzip.backend import try_here; try_here()")
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PROBE_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as exc:
            raise BackendUnavailable(
                cls.info.name, f"the library did not answer within {_PROBE_LIMIT_S:g} s", "reset the card or its driver"
            ) from exc
        try:
            answer = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            missing = f"the library ended the process that tried it (status {done.returncode})"
            raise BackendUnavailable(cls.info.name, missing, "fix QATzip and the card's driver") from None
        if "missing" in answer:
            raise BackendUnavailable(cls.info.name, answer["missing"], answer["remedy"])
        return f"QATzip ({answer['path']}), on a card"

    @classmethod
    def probe_decoder(cls) -> str:
        """The library that restores."""
        return decoder_version()

    def open(self) -> None:
        """Load the library and open a session on a card. :raises BackendUnavailable: no library, no card."""
        if self._session is not None:
            return
        try:
            self._session = self._caller.call(_OPEN_LIMIT_S, self._new_session)
        except QatzipMissing as exc:
            raise BackendUnavailable(self.info.name, exc.missing, exc.remedy) from exc
        except QatzipError as exc:
            raise self._error(str(exc)) from exc
        except TimeoutError as exc:
            raise self._error(f"no session within {_OPEN_LIMIT_S:g} s: the driver hangs") from exc

    def compress(self, data: Buffer) -> bytes:
        """One raw deflate stream. What is too short for any card is stored."""
        source = np.frombuffer(data, dtype=np.uint8)
        if len(source) > MAX_BATCH_BYTES:
            raise self._error(f"cannot compress {len(source)} bytes: a batch has 0..{MAX_BATCH_BYTES}")
        if len(source) < SMALLEST_INPUT_BYTES:
            self._counts["qat_small_inputs"] += 1
            return _stored(bytes(source))
        if self._refusal is not None:
            raise self._error(self._refusal)
        self.open()
        return self._checked(source, self._submit(source))

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One raw deflate stream back, in software."""
        self._checked_raw_bytes(raw_bytes)
        return inflate(self.info, *new_inflater(), data, raw_bytes)

    def counters(self) -> Mapping[str, int | float]:
        """Calls by who answered them, bytes, checks and faults."""
        return self._counts

    def identity(self) -> Mapping[str, str]:
        """The library; what it says of its card, it says to its own configuration only."""
        return {"driver": type(self).probe(), "submission": f"{self._submission_bytes >> 10} KiB"}

    def close(self) -> None:
        """Give the session back, unless a call hangs in it."""
        if self._session is not None and not self._caller.lost:
            self._caller.call(_OPEN_LIMIT_S, self._session.close)
            self._session = None
        self._caller.close()

    def _new_session(self) -> Session:
        assert self.level is not None  # noqa: S101 - for the type checker: there is a default
        return Session(load(), level=self.level, submission_bytes=self._submission_bytes)

    def _submit(self, source: npt.NDArray[np.uint8]) -> bytes:
        """What the library made. :raises BackendError: it failed, hung, or did something else than it says."""
        assert self._session is not None  # noqa: S101 - for the type checker: opened before
        # Own for each call, so that a call that was given up writes into nobody else's memory. 9/8 and 48 bytes are QATzip's bound.
        target = np.empty(len(source) * 9 // 8 + 48 * (2 + len(source) // self._submission_bytes), dtype=np.uint8)
        try:
            outcome: Outcome = self._caller.call(self._limit_s, self._session.compress, source, target)
        except QatzipError as exc:
            self._counts["qat_errors"] += 1
            raise self._error(f"batch of {len(source)} bytes: {exc}") from exc
        except TimeoutError as exc:
            self._counts["qat_timeouts"] += 1
            self._refusal = f"no answer within {self._limit_s * 1000:g} ms; this session is given up"
            raise self._error(f"batch of {len(source)} bytes: {self._refusal}") from exc
        self._counts["qat_submissions"] += -(-len(source) // self._submission_bytes)
        self._counts["qat_software_calls" if outcome.in_software else "qat_hardware_calls"] += 1
        problem = self._problem(outcome, len(source), len(target))
        if problem is not None:
            self._counts["qat_errors"] += 1
            raise self._error(f"batch of {len(source)} bytes: {problem}")
        return target[: outcome.produced_bytes].tobytes()

    def _problem(self, outcome: Outcome, given_bytes: int, room_bytes: int) -> str | None:
        if outcome.in_software:
            return "QATzip compressed it in software, although that was forbidden"
        if outcome.consumed_bytes != given_bytes:
            return f"QATzip reports success, but took only {outcome.consumed_bytes} bytes"
        if not 0 < outcome.produced_bytes <= room_bytes:
            return f"QATzip reports {outcome.produced_bytes} bytes of output where there was room for {room_bytes}"
        return None

    def _checked(self, source: npt.NDArray[np.uint8], packed: bytes) -> bytes:
        """``packed``; the first one and 1 in ``verify_every`` are restored and compared."""
        if (self._counts["qat_hardware_calls"] - 1) % self._verify_every == 0:
            self._counts["qat_verified_batches"] += 1
            found = difference(packed, source.data)
            if found is not None:
                self._counts["qat_mismatches"] += 1
                self._refusal = f"made {found}; it is not used again"
                raise self._error(f"batch of {len(source)} bytes: {self._refusal}")
        self._counts["qat_raw_bytes"] += len(source)
        self._counts["qat_packed_bytes"] += len(packed)
        return packed

    def _submission(self) -> int:
        value = self.options.get("submission", "64KiB")
        submission = _SUBMISSIONS.get(value) if isinstance(value, str) else value
        if not isinstance(submission, int) or submission not in _SUBMISSIONS.values():
            raise self._error(f"option submission = {value!r}: must be one of {', '.join(_SUBMISSIONS)}")
        return submission

    def _whole(self, name: str, default: int) -> int:
        value = self.options.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._error(f"option {name} = {value!r}: must be a whole number from 1 on")
        return value


def _stored(data: bytes) -> bytes:
    """Up to 65535 bytes as a stream of one stored block (RFC 1951, 3.2.4)."""
    size = len(data)
    return b"\x01" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data


def try_here() -> None:
    """The probe's child: prints one line of JSON."""
    try:
        library = load()
        Session(library, level=1, submission_bytes=64 << 10).close()
    except QatzipMissing as exc:
        answer = {"missing": exc.missing, "remedy": exc.remedy}
    except QatzipError as exc:
        answer = {"missing": str(exc), "remedy": "fix the card's set-up"}
    else:
        answer = {"path": str(library._name)}
    print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
