"""Somebody without right certificates comes first: is he refused, and is the next one served? Real halves."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.faults.certificates import resigned
from harness.faults.contract import Cell
from harness.faults.frame_rig import BACKENDS, PATIENCE_S, PLAIN, FrameRig, Side
from harness.faults.halves import HalfThread
from harness.faults.judge import REFUSED_S, Facts, cell_of, where
from harness.faults.leftovers import left_since, look
from harness.faults.standins import DestinationStandIn
from harness.faults.stream import CarriedStream
from harness.migrator.transport.lab_ca import make_folder
from harness.migrator.transport.sockets import close_all
from harness.migrator.transport.tls_files import cert_name, key_name
from harness.results.faults import FaultCell

_NAME, _OTHER = "localhost", "elsewhere"
_HANDSHAKE_S = 2.0
"""What a receiver leaves a peer for it; who says nothing is refused no sooner."""
_STAYS_S = 5.0
"""For so long a receiver waits that nobody can accept."""
_PIECE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class _Wrong:
    """``sender`` and ``receiver``: whose folder each has; None: it speaks no TLS. ``next``: whose the next one has, who fits this
    receiver; ``name``: that this one wants."""

    title: str
    sender: str | None = "right"
    receiver: str | None = "right"
    next: str | None = "right"
    name: str = _NAME


_WRONG = {
    "sender-foreign": _Wrong("the sender's certificate is of another CA", sender="foreign"),
    "sender-expired": _Wrong("the sender's certificate has expired", sender="expired"),
    "sender-early": _Wrong("the sender's certificate is not valid yet", sender="early"),
    "sender-misnamed": _Wrong("the sender's certificate is for another name", sender="misnamed"),
    "sender-unfit": _Wrong("the sender's certificate is made for a receiver", sender="unfit"),
    "sender-plain": _Wrong("the sender speaks no TLS", sender=None),
    "receiver-foreign": _Wrong("the receiver's certificate is of another CA", receiver="foreign", next="foreign"),
    "receiver-expired": _Wrong("the receiver's certificate has expired", receiver="expired"),
    "receiver-misnamed": _Wrong("the receiver's certificate is for another name", receiver="misnamed", name=_OTHER),
    "receiver-plain": _Wrong("the receiver speaks no TLS", receiver=None, next=None),
}
_STRANGERS = {
    "replayed": "a recorded session is played to the receiver again",
    "silent": "somebody connects to the receiver and says nothing",
}


class CertificateRig(FrameRig):
    """The next one comes to the same receiver, but for one whose certificate nobody accepts."""

    title = "a receiver with TLS, and somebody without right certificates"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _make_folders(folder)

    @classmethod
    def faults(cls) -> Mapping[str, str]:
        """Of either half, and of strangers."""
        return {name: wrong.title for name, wrong in _WRONG.items()} | _STRANGERS

    @classmethod
    def phases(cls) -> Mapping[str, str]:
        """Later ones are another rig's: behind the handshake whoever is wrong cannot know the keys."""
        return {"ready": "the receiver waits, and no sender was agreed on"}

    @classmethod
    def pairs(cls) -> Iterator[tuple[str, str]]:
        """All."""
        yield from ((fault, phase) for phase in cls.phases() for fault in cls.faults())

    def run(self, cell: Cell) -> FaultCell:
        """Do it, and judge."""
        backend = random.Random(f"{cell.seed} {cell.id}").choice(BACKENDS)  # noqa: S311 - to be repeated
        stream, before = self._stream(cell.seed), look(self.folder)
        if cell.fault in _WRONG:
            return self._refused(cell, _WRONG[cell.fault], stream, backend)
        data = self._recorded(stream, backend) if cell.fault == "replayed" else b""
        receiver = self._receiver(self._side("right"))
        destination = DestinationStandIn(self.folder / "d", stream.data)
        struck_s = time.monotonic()
        over = _played(self.folder / "r", data, silent=not data)
        over &= receiver.over_by(struck_s + PATIENCE_S, may_wait=True)
        verdict_s = time.monotonic() - struck_s if over else None
        destination.close()
        runs = where(source=True, destination=destination.runs)
        bugs, line = _bugs(receiver), receiver.line()
        again = self._again(stream, receiver, backend, self._side("right"), self._side("right"))
        limit_s = REFUSED_S if data else _HANDSHAKE_S + REFUSED_S
        facts = Facts(runs, True, verdict_s, limit_s, bugs, left_since(before, self.folder), again)
        return cell_of(cell, facts, applied=True, sender="none", receiver=line)

    def _refused(self, cell: Cell, wrong: _Wrong, stream: CarriedStream, backend: str) -> FaultCell:
        before = look(self.folder)
        hopeless = wrong.receiver == "expired"
        receiver = self._receiver(self._side(wrong.receiver), _STAYS_S if hopeless else PATIENCE_S)
        struck_s = time.monotonic()
        sender = self._sender(backend, "r", self._side(wrong.sender))
        seen = self._carried(stream, sender, receiver, None)
        verdict_s = None if seen.verdict_s is None else time.monotonic() - struck_s
        bugs, lines = _bugs(sender, receiver), {"sender": sender.line(), "receiver": receiver.line()}
        if hopeless:
            receiver.join(PATIENCE_S)
        again = self._again(stream, receiver, backend, self._side(wrong.next, wrong.name), self._side("right"))
        facts = Facts(seen.runs, seen.memory, verdict_s, REFUSED_S, bugs, left_since(before, self.folder), again)
        return cell_of(cell, facts, applied=True, **lines)

    def _side(self, name: str | None, peer: str = _NAME) -> Side:
        return PLAIN if name is None else Side(str(self.folder / name), peer)

    def _recorded(self, stream: CarriedStream, backend: str) -> bytes:
        """What the sender of a right session says."""
        receiver = self._receiver(self._side("right"))
        with _Recorder(self.folder / "m", self.folder / "r") as recorder:
            self._carried(stream, self._sender(backend, "m", self._side("right")), receiver, None)
        return bytes(recorder.taken)


def _make_folders(folder: Path) -> None:
    right = folder / "right"
    make_folder(right, [_NAME], 30)
    make_folder(folder / "foreign", [_NAME], 30)
    for name, began_days, ends_days, host in (
        ("expired", -10, -1, None),
        ("early", 1, 10, None),
        ("misnamed", -1, 10, _OTHER),
    ):
        shutil.copytree(right, folder / name)
        for server_side in (True, False):
            resigned(folder / name, began_days, ends_days, server_side=server_side, host=host)
    unfit = shutil.copytree(right, folder / "unfit")
    for name_of in (cert_name, key_name):
        (unfit / name_of(server_side=False)).write_bytes((unfit / name_of(server_side=True)).read_bytes())


def _bugs(*halves: HalfThread) -> tuple[str, ...]:
    return tuple(f"a bug: {bug}" for half in halves if (bug := half.bug()))


def _played(to: Path, data: bytes, *, silent: bool) -> bool:
    """Whether the receiver ended the connection at which ``data`` came."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(str(to))
        try:
            with contextlib.suppress(BrokenPipeError):
                peer.sendall(data)
            if not silent:
                peer.shutdown(socket.SHUT_WR)
            while peer.recv(_PIECE_BYTES):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
    return True


class _Recorder:
    """A context manager: passes one connection on, and keeps what its caller says in ``taken``."""

    def __init__(self, listen: Path, to: Path) -> None:
        self.taken = bytearray()
        self._failure: RuntimeError | None = None
        self._path, self._to = listen, to
        self._listener, self._onward = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._pass_on, name="faults-recorder", daemon=True)

    def __enter__(self) -> _Recorder:
        """Callers may come."""
        self._listener.bind(str(self._path))
        self._listener.listen(1)
        self._thread.start()
        return self

    def _pass_on(self) -> None:
        with contextlib.suppress(OSError):
            caller, _ = self._listener.accept()
            with caller:
                self._onward.connect(str(self._to))
                back = threading.Thread(
                    target=_pump, args=(self._onward, caller), name="faults-recorder-back", daemon=True
                )
                try:
                    back.start()
                except RuntimeError as exc:
                    self._failure = exc
                    return
                _pump(caller, self._onward, self.taken)
                back.join()

    def __exit__(self, *_: object) -> None:
        """Nothing of it stays."""
        close_all(self._listener, self._onward)
        self._thread.join(PATIENCE_S)
        self._path.unlink()
        if self._failure is not None:
            raise self._failure


def _pump(source: socket.socket, target: socket.socket, taken: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            if taken is not None:
                taken += piece
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
