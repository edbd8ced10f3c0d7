"""Folders of certificates that do not fit: expired, or for another name, signed by the right CA all the same."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from harness.migrator.transport.lab_ca import CA_KEY
from harness.migrator.transport.tls_files import CA_CERT, cert_name

_DAY = datetime.timedelta(days=1)


def authority(folder: Path) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    """The key and the certificate of the CA that ``make_folder`` made there."""
    key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"{folder / CA_KEY}: not a key of ours")
    return key, x509.load_pem_x509_certificate((folder / CA_CERT).read_bytes())


def resigned(folder: Path, began_days: float, ends_days: float, *, server_side: bool, host: str | None = None) -> Path:
    """``folder``, whose certificate for that side has another time, counted from now, and where ``host`` is given another name."""
    path = folder / cert_name(server_side=server_side)
    key, ca = authority(folder)
    old, now = x509.load_pem_x509_certificate(path.read_bytes()), datetime.datetime.now(datetime.UTC)
    new = x509.CertificateBuilder(
        ca.subject, old.subject, old.public_key(), old.serial_number, now + began_days * _DAY, now + ends_days * _DAY
    )
    for extension in old.extensions:
        value = extension.value
        if host is not None and isinstance(value, x509.SubjectAlternativeName):
            value = x509.SubjectAlternativeName([x509.DNSName(host)])
        new = new.add_extension(value, extension.critical)
    path.write_bytes(new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return folder
