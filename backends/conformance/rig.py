"""The bench on which a backend is tried: makes instances, calls them, and judges what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends.api import Backend, BackendError, Buffer

__all__ = ["Rig", "Rule", "Unjudged", "Violation", "require_equal", "rule"]


class Violation(Exception):  # noqa: N818 - a verdict, not a fault of this program
    """The backend broke the rule; the message is the evidence."""


class Unjudged(Exception):  # noqa: N818 - a verdict too
    """There is nothing that the rule could judge; the message says why."""


class Rig:
    """One backend class under test, with the settings it is tried with.

    Instances are reused, as the harness does it; a stateful backend gets a fresh one per call, so that each case stands alone.
    """

    def __init__(self, cls: type[Backend], level: int | None, options: Mapping[str, object]) -> None:
        self.cls = cls
        self.info = cls.info
        self.level = level
        self.options = dict(options)
        self._opened: list[Backend] = []
        self._shared: Backend | None = None

    def make(self) -> Backend:
        """A new instance, closed with the rig."""
        instance = self.cls(self.level, **self.options)
        self._opened.append(instance)
        return instance

    def close(self) -> None:
        """Close every instance made."""
        while self._opened:
            self._opened.pop().close()
        self._shared = None

    def pack(self, data: Buffer) -> bytes:
        """``data`` compressed, as bytes of its own."""
        return bytes(self._instance().compress(data))

    def unpack(self, packed: Buffer, raw_bytes: int) -> Buffer:
        """``packed`` decompressed, unchecked."""
        return self._instance().decompress(packed, raw_bytes)

    def restores(self, packed: Buffer, data: bytes, what: str) -> None:
        """:raises Violation: ``packed`` does not decompress to ``data``."""
        try:
            raw = self.unpack(packed, len(data))
        except Exception as exc:
            raise Violation(f"{what}: {type(exc).__name__}: {exc}") from exc
        require_equal(raw, data, what)

    def refuses(self, packed: Buffer, raw_bytes: int, what: str) -> None:
        """:raises Violation: decompressing ``packed`` gives anything but a well-formed ``BackendError``."""
        raw = self.outcome(packed, raw_bytes, what)
        if raw is not None:
            raise Violation(f"{what}: accepted, and gave {len(raw)} bytes where {raw_bytes} were asked for")

    def outcome(self, packed: Buffer, raw_bytes: int, what: str) -> Buffer | None:
        """What decompressing gives, None for a well-formed ``BackendError``. :raises Violation: any other exception."""
        try:
            return self.unpack(packed, raw_bytes)
        except BackendError as exc:
            self.well_formed(exc, what)
        except Exception as exc:
            raise Violation(f"{what}: {type(exc).__name__} instead of BackendError: {exc}") from exc
        return None

    def well_formed(self, exc: BackendError, what: str) -> None:
        """:raises Violation: the message is not one line that names the backend."""
        text = str(exc)
        if self.info.name not in text or "\n" in text:
            raise Violation(f"{what}: the error is not one line that names the backend: {text!r}")

    def _instance(self) -> Backend:
        if self.info.stateful:
            self.close()
            return self.make()
        if self._shared is None:
            self._shared = self.make()
        return self._shared


def require_equal(got: Buffer, data: bytes, what: str) -> None:
    """:raises Violation: ``got`` is not a buffer of exactly ``data``."""
    if not isinstance(got, bytes | bytearray | memoryview):
        raise Violation(f"{what}: gave {type(got).__name__}, not a buffer of bytes")
    if bytes(got) != data:
        differing = next((at for at, (a, b) in enumerate(zip(bytes(got), data, strict=False)) if a != b), len(data))
        raise Violation(f"{what}: gave {len(got)} bytes for {len(data)}, different from byte {differing} on")


@dataclass(frozen=True, slots=True)
class Rule:
    """``run`` returns what was tried, or raises ``Violation`` or ``Unjudged``."""

    id: str
    text: str
    run: Callable[[Rig], str]


def rule(rules: list[Rule], rule_id: str, text: str) -> Callable[[Callable[[Rig], str]], Callable[[Rig], str]]:
    """Add the function below it to ``rules``."""

    def add(run: Callable[[Rig], str]) -> Callable[[Rig], str]:
        rules.append(Rule(rule_id, text, run))
        return run

    return add
