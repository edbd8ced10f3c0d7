"""Folders of certificates for tests: right ones, and wrong ones of each kind."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from harness.faults.certificates import authority, resigned
from harness.migrator.transport.lab_ca import make_folder
from harness.migrator.transport.tls_files import CRL, cert_name

__all__ = ["called_back", "copied", "lab", "lock", "resigned"]

DAY = datetime.timedelta(days=1)


def lab(folder: Path) -> Path:
    make_folder(folder, ["localhost", "127.0.0.1"], 30)
    return folder


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def called_back(folder: Path, *, server_side: bool) -> Path:
    """With a list of the CA's on which that certificate stands."""
    key, ca = authority(folder)
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
