"""A certificate authority for a lab, and what it signs: one certificate for who listens, one for who dials. Only ``tls init`` and
the lab's own links ask for it; the pair reads what anybody's CA made.

P-256, which is what every TLS library has, QEMU's GnuTLS among them. The CA's key is made, used twice, and kept beside the rest so
that other hosts can be given certificates of their own; who has it can be anybody.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.errors import UserError
from harness.migrator.transport.tls_files import CA_CERT, cert_name, key_name

CA_KEY = "ca-key.pem"
_SKEW = datetime.timedelta(minutes=5)
"""Before now, for a host whose clock is behind."""

_COMMON_NAME_CHARACTERS = 64
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*")


def make_folder(folder: Path, hosts: Sequence[str], days: int) -> None:
    """Five files that the halves need, and the CA's key, readable by our user alone. Both certificates name all ``hosts``.

    :raises UserError: one of the files is there already, or none can be written there, or a host's name is none.
    """
    names = [_general_name(host) for host in hosts]
    files = [CA_KEY, CA_CERT, *(name(server_side=side) for side in (True, False) for name in (key_name, cert_name))]
    _require_none(folder, files)
    began = datetime.datetime.now(datetime.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("pageferry lab CA", ca_key, began, days)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca_cert = ca.add_extension(_usage(signs_others=True), critical=True).sign(ca_key, hashes.SHA256())
    made = {CA_KEY: _private(ca_key), CA_CERT: ca_cert.public_bytes(serialization.Encoding.PEM)}
    for side, purpose in ((True, ExtendedKeyUsageOID.SERVER_AUTH), (False, ExtendedKeyUsageOID.CLIENT_AUTH)):
        key = ec.generate_private_key(ec.SECP256R1())
        cert = _certificate(hosts[0], key, began, days, ca_cert)
        cert = cert.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        cert = cert.add_extension(_usage(signs_others=False), critical=True)
        cert = cert.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        cert = cert.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made[key_name(server_side=side)] = _private(key)
        signed = cert.sign(ca_key, hashes.SHA256())
        made[cert_name(server_side=side)] = signed.public_bytes(serialization.Encoding.PEM)
    _write(folder, made)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise UserError(f"--host {host}: not a host's name or address; write one such as node1.example or 192.0.2.1")
    return x509.DNSName(host)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    began: datetime.datetime,
    days: int,
    issuer: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME_CHARACTERS])])
    builder = x509.CertificateBuilder(
        issuer_name=subject if issuer is None else issuer.subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=began - _SKEW,
        not_valid_after=began + datetime.timedelta(days=days),
    )
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(own, critical=False)
    if issuer is None:
        return builder
    above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    return builder.add_extension(above, critical=False)


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _require_none(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if os.path.lexists(folder / name):
            raise UserError(
                f"{folder / name}: is there already, and is not overwritten; choose another folder, or move it away"
            )


def _write(folder: Path, made: dict[str, bytes]) -> None:
    """All of them or none."""
    begun: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in made.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            begun.append(folder / name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except BaseException as exc:
        for path in begun:
            path.unlink(missing_ok=True)
        if not isinstance(exc, OSError):
            raise
        raise UserError(f"{exc.filename or folder}: cannot write there: {exc.strerror}; choose another folder") from exc
