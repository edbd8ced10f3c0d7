"""Which kind of transport an address means: by its scheme, the word before the first colon. One line adds one of ours."""

from __future__ import annotations

from harness.errors import UserError
from harness.kinds import Kinds
from harness.migrator.transport.contract import Endpoint, Tls
from harness.migrator.transport.sockets import SocketEndpoint
from harness.migrator.transport.tcp import TcpEndpoint
from harness.migrator.transport.unix import UnixEndpoint

_OURS = {
    "unix": "harness.migrator.transport.unix:UnixEndpoint",
    "tcp": "harness.migrator.transport.tcp:TcpEndpoint",
    "memory": "harness.migrator.transport.memory:MemoryEndpoint",
}
TRANSPORTS = Kinds("transport", Endpoint, _OURS)
_FOR_QEMU: dict[str, type[SocketEndpoint]] = {"unix": UnixEndpoint, "tcp": TcpEndpoint}
_FORMS = "write unix:PATH or tcp:HOST:PORT"


def endpoint_for_halves(text: str, option: str, *, insecure: bool = False, tls: Tls | None = None) -> Endpoint:
    """Where the halves meet. :raises UserError: no such scheme, and as ``Endpoint.at``."""
    scheme = text.partition(":")[0]
    if scheme not in _OURS and scheme not in (known := TRANSPORTS.names()):
        others = "".join(f", or {name}:..." for name in known if name not in _OURS)
        raise UserError(f"{option} {text}: {_FORMS}{others}")
    place = TRANSPORTS.load(scheme).at(text, option, insecure=insecure or tls is not None)
    if tls is None:
        return place
    from harness.migrator.transport.tls import TlsEndpoint  # noqa: PLC0415 - a third of a second of imports for who has none

    return TlsEndpoint(place, tls)


def endpoint_for_qemu(text: str, option: str, *, insecure: bool = False) -> SocketEndpoint:
    """Where a QEMU connects or listens, which speaks no more than these. :raises UserError: as above."""
    kind = _FOR_QEMU.get(text.partition(":")[0])
    if kind is None:
        raise UserError(f"{option} {text}: {_FORMS}")
    return kind.at(text, option, insecure=insecure)
