"""The folder of certificates, as QEMU and libvirt lay it out, and what OpenSSL is told of it. Makes none (``lab_ca.py`` does)."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import UserError

__all__ = ["CA_CERT", "CRL", "cert_name", "context_of", "is_named", "key_name", "names_in"]

CA_CERT, CRL = "ca-cert.pem", "ca-crl.pem"
"""The second is read where it is there: certificates that the CA called back."""

_MAKE = "`pageferry tls init DIR --host NAME` makes all that is needed"


def cert_name(*, server_side: bool) -> str:
    """Of who listens, or who dials."""
    return "server-cert.pem" if server_side else "client-cert.pem"


def key_name(*, server_side: bool) -> str:
    """Of who listens, or who dials."""
    return "server-key.pem" if server_side else "client-key.pem"


def context_of(folder: Path, *, server_side: bool) -> ssl.SSLContext:
    """TLS 1.3 and nothing else; the other end must show a certificate. :raises UserError: a file is missing, or wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    if server_side:
        context.num_tickets = 0
    _load_ca(context, folder)
    _load_own(context, folder / cert_name(server_side=server_side), folder / key_name(server_side=server_side))
    return context


def _load_ca(context: ssl.SSLContext, folder: Path) -> None:
    _require_readable(folder / CA_CERT)
    _load(context, folder / CA_CERT)
    if (folder / CRL).exists():
        _require_readable(folder / CRL)
        _load(context, folder / CRL)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as exc:
        raise UserError(f"--tls: {path}: nothing in PEM form is in it; {_MAKE}") from exc


def _load_own(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    _require_readable(cert)
    _require_readable(key)
    if key.stat().st_mode & stat.S_IRWXO:
        raise UserError(
            f"--tls: {key}: any user of this machine may read it; `chmod 600 {key}`, and think about a new one"
        )

    def asked() -> NoReturn:
        raise UserError(f"--tls: {key}: it is encrypted, and nobody is asked for its passphrase; store it without one")

    try:
        context.load_cert_chain(cert, key, asked)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise UserError(
                f"--tls: {key}: is not the key of {cert.name}; put the two that belong together there"
            ) from exc
        raise UserError(f"--tls: {cert.name} and {key}: not a certificate and a key in PEM form; {_MAKE}") from exc


def _require_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError as exc:
        raise UserError(f"--tls: {path}: no such file; {_MAKE}") from exc
    except OSError as exc:
        raise UserError(f"--tls: {path}: cannot read it: {exc.strerror}; run this as a user who may") from exc


def names_in(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Host names and addresses that it is for, or else its common name, as ``ssl.SSLSocket.getpeercert`` tells them."""
    found = certificate or {}
    hosts = [value for kind, value in found.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    common = [value for part in found.get("subject", ()) for kind, value in part if kind == "commonName"]
    return tuple(hosts or common)


def is_named(name: str, names: tuple[str, ...]) -> bool:
    """Whether it is one of ``names``, letter by letter but for their case; there are no wildcards. An address is one however it is
    written."""
    return _plain(name) in map(_plain, names)


def _plain(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().rstrip(".")
