"""Why a handshake failed, in a line that says what to do. Knows OpenSSL's reasons, and nothing of links."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

_CLOCKS = "look at both hosts' clocks (`date`)"
_SAME_CA = "both halves' --tls folders need certificates of one CA"
_NAMES = "say by --tls-peer which name it has, or have one made with that name"
_CHANGED = "somebody between the halves may have changed what travels"
_NEW = "have its CA make a new one"

_FOUND: Mapping[int, str] = {
    9: f"its certificate is not valid yet; {_CLOCKS}, or {_NEW}",
    10: f"its certificate has expired; {_NEW}, or {_CLOCKS}",
    18: f"its certificate is signed by nobody but itself; {_SAME_CA}",
    19: f"its certificate is not of the CA in our ca-cert.pem; {_SAME_CA}",
    20: f"its certificate is not of the CA in our ca-cert.pem; {_SAME_CA}",
    7: f"its certificate is not of the CA in our ca-cert.pem; {_SAME_CA}",
    23: f"its certificate was called back (ca-crl.pem); {_NEW}",
    26: "its certificate is not made for this side; who listens needs a server's, who dials a client's",
}
"""By OpenSSL's number for what it found (X509_V_ERR in x509_vfy.h)."""

_WRONG_NAME = {62, 64}

_TOLD: Mapping[str, str] = {
    "UNKNOWN_CA": f"of a CA that it does not know; {_SAME_CA}",
    "CERTIFICATE_EXPIRED": f"expired, or not valid yet; have a new one made, or {_CLOCKS}",
    "CERTIFICATE_REVOKED": "called back; have its CA make a new one",
    "BAD_CERTIFICATE": "not right; its own line says why",
    "CERTIFICATE_UNKNOWN": "not right; its own line says why",
    "UNSUPPORTED_CERTIFICATE": "not made for this side; who listens needs a server's, who dials a client's",
    "CERTIFICATE_REQUIRED": "missing; give --tls a folder with one",
}
"""By how the name of an alert ends (RFC 8446, 6.2)."""

_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG", "BAD_RECORD_TYPE"}
_OLD = {"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"}


def why_refused(error: ssl.SSLError, name: str | None) -> str:
    """``name``: that the other end's certificate was to have."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _found(error, name)
    reason = error.reason or str(error)
    told = next((words for end, words in _TOLD.items() if "ALERT" in reason and reason.endswith(end)), None)
    if told is not None:
        return f"it refuses our certificate as {told}"
    return f"TLS: {reason.replace('_', ' ').lower()}; {_CHANGED}" if (words := _said(reason)) is None else words


def _found(error: ssl.SSLCertVerificationError, name: str | None) -> str:
    if error.verify_code in _WRONG_NAME:
        return f"its certificate is not for {name}; {_NAMES}"
    return _FOUND.get(error.verify_code, f"its certificate was not accepted: {error.verify_message}")


def _said(reason: str) -> str | None:
    """By OpenSSL's reason, which is no alert about a certificate."""
    if reason in _NO_TLS:
        return "it does not speak TLS; give --tls there too, or leave it out here"
    if reason in _OLD or reason.endswith("ALERT_PROTOCOL_VERSION"):
        return "it speaks no TLS 1.3; use an OpenSSL there that does (1.1.1 or newer)"
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it showed no certificate; give its --tls a folder with one"
    return None


def wrong_name(name: str, names: Sequence[str]) -> str:
    """Of a certificate that is for ``names``."""
    return f"its certificate is for {' and '.join(names) or 'nobody'}, not {name}; {_NAMES}"
