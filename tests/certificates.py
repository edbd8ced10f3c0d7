"""Folders of certificates for tests: right ones, and wrong ones of each kind."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from harness.migrator.transport.lab_ca import CA_KEY, make_folder
from harness.migrator.transport.tls_files import CRL, cert_name

DAY = datetime.timedelta(days=1)


def lab(folder: Path) -> Path:
    make_folder(folder, ["localhost", "127.0.0.1"], 30)
    return folder


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def _ca(folder: Path):
    key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    return key, x509.load_pem_x509_certificate((folder / "ca-cert.pem").read_bytes())


def resigned(folder: Path, began_days: float, ends_days: float, *, server_side: bool) -> Path:
    """The same certificate with another time, counted from now, signed anew."""
    path = folder / cert_name(server_side=server_side)
    key, ca = _ca(folder)
    old, now = x509.load_pem_x509_certificate(path.read_bytes()), datetime.datetime.now(datetime.UTC)
    new = x509.CertificateBuilder(
        ca.subject, old.subject, old.public_key(), old.serial_number, now + began_days * DAY, now + ends_days * DAY
    )
    for extension in old.extensions:
        new = new.add_extension(extension.value, extension.critical)
    path.write_bytes(new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return folder


def called_back(folder: Path, *, server_side: bool) -> Path:
    """With a list of the CA's on which that certificate stands."""
    key, ca = _ca(folder)
    now = datetime.datetime.now(datetime.UTC)
    cert = x509.load_pem_x509_certificate((folder / cert_name(server_side=server_side)).read_bytes())
    entry = x509.RevokedCertificateBuilder(cert.serial_number, now - DAY).build()
    crl = x509.CertificateRevocationListBuilder(ca.subject, now - DAY, now + DAY, [], [entry]).sign(
        key, hashes.SHA256()
    )
    (folder / CRL).write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    return folder


def lock(path: Path) -> None:
    """A key, behind a passphrase."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    form = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
