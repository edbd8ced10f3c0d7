"""What the halves' link is to be, whatever it is made of: a stream of bytes both ways. Knows no frames, no sockets.

A kind is one class that extends ``Endpoint``, and one line in ``registry.py``, or one entry point in the group
``pageferry.transports``, under the name with which its addresses begin. Several connections at once are such a kind. What encrypts
is none: it is laid over any of them (``tls.py``).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from harness.errors import UserError, refused


class RefusedError(OSError):
    """Who is at the other end is not to be spoken to, or will not speak to us; no other try helps. Its text says why."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect to a socket's file; by default only the user that we are, whatever the umask says. Names or numbers."""

    mode: int = 0o600
    owner: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class PathLook:
    """What is known of the way to the peer: its shortest round trip so far, and the rate at which it took bytes of late."""

    shortest_round_trip_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Tls:
    """With whose certificates a link is encrypted. ``folder``: as QEMU has it. ``peer``: the name that the other half's certificate
    must have; None: the host that is dialled, and whoever the CA knows where we listen."""

    folder: Path
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Secured:
    """What the two ends agreed on. ``tls_peer``: the names in the other end's certificate."""

    tls_version: str
    tls_cipher: str
    tls_handshake_s: float
    tls_peer: tuple[str, ...]


class Transport(abc.ABC):
    """One link. One thread at a time sends, one receives; any may ask and close. Whatever breaks it is an ``OSError``."""

    is_open = True
    """Whether both ends know each other: False while they are still about to, which is what ``recv_into`` then does first."""

    dead_after_s: ClassVar[float] = 30.0
    """Of silence. As long as libvirt waits by default (keepalive_interval 5, keepalive_count 5)."""

    @abc.abstractmethod
    def send_parts(self, parts: Sequence[bytes | memoryview], timeout_s: float | None = None) -> int:
        """Send all of them, and say how many bytes that was. :raises TimeoutError: the peer took no more for ``timeout_s``."""

    @abc.abstractmethod
    def recv_into(self, buffer: memoryview, timeout_s: float | None = None) -> int | None:
        """Wait for bytes, until ``buffer`` is full where that costs nothing, and say how many came; 0: the peer's end.

        None: nothing came in ``timeout_s``, or without one in so long that the peer's silence is worth a look.
        """

    @abc.abstractmethod
    def fileno(self) -> int:
        """For poll: readable when there is something to receive that we do not hold already, or the peer's end."""

    def holds_some(self) -> bool:
        """Whether something came that poll does not show any more: receive it before you wait."""
        return False

    def open(self, timeout_s: float) -> bool:  # noqa: ARG002 - most are from the beginning
        """Get to know each other, as far as that goes in this time; whether it is done.

        :raises RefusedError: we do not want to, or the other end does not.
        """
        return True

    def secured(self) -> Secured | None:
        """None: nothing is encrypted here."""
        return None

    @abc.abstractmethod
    def has_hung_up(self) -> bool:
        """Whether the peer writes no more; what it wrote may still be here to receive. True of one that we closed."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let both ends know, and wake whoever waits here. May be called twice."""

    def peer_silence_s(self) -> float:
        """For how long a peer that owes an answer has said nothing at all. 0: it owes none, or is on this machine."""
        return 0.0

    def unsent_bytes(self) -> int | None:
        """Given to ``send_parts`` and not yet with the peer. None: cannot be told."""
        return None

    def path(self) -> PathLook | None:
        """None: cannot be told."""
        return None


class Listener(abc.ABC):
    """Where links come in. ``address``: what to give to who dials, with the port that the system chose."""

    address: str

    @abc.abstractmethod
    def fileno(self) -> int:
        """For poll: readable when somebody waits."""

    @abc.abstractmethod
    def accept(self) -> Transport | None:
        """Who waits, without waiting for it to say anything. None: nobody does, or not all of it is here yet."""

    @abc.abstractmethod
    def close(self) -> None:
        """May be called twice."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class Endpoint(abc.ABC):
    """A place where the halves meet, as the user wrote it behind ``option``, looked up and checked."""

    def __init__(self, text: str, option: str) -> None:
        self.text = text
        self.option = option

    def __str__(self) -> str:
        """For the head of a line about it."""
        return f"{self.option} {self.text}"

    @property
    def host(self) -> str | None:
        """The name or address under which the user knows the host there; None: this place has none."""
        return None

    @property
    def exposure(self) -> str | None:
        """A warning for the user, where what goes there crosses a network as it is."""
        return None

    @classmethod
    @abc.abstractmethod
    def at(cls, text: str, option: str, *, insecure: bool) -> Self:
        """The place that ``text`` names, its scheme included.

        :raises UserError: no such place, or guest memory would go beyond this machine unencrypted and ``insecure`` is not given.
        """

    @abc.abstractmethod
    def dial(self, timeout_s: float) -> Transport:
        """:raises OSError: nobody is there, or nobody answered in time."""

    @abc.abstractmethod
    def listen(self, access: Access | None = None) -> Listener:
        """:raises UserError: in use, not allowed, or ``access`` is given where it means nothing (``require_no_access``)."""

    def require_no_access(self, access: Access | None) -> None:
        """:raises UserError: it is given, and this place has no file."""
        if access is not None:
            raise UserError(
                f"{self}: --socket-mode, --socket-owner and --socket-group say who may use a socket's file, and this has none; "
                "leave them out, or write unix:PATH"
            )

    def why_unreachable(self, error: OSError, what: str) -> str:
        """The line for what ``dial`` raised; ``what`` is to be done about it, where nothing fits better."""
        return f"{self}: {refused(error) or f'{error.strerror or error}; {what}'}"
