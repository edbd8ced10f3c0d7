"""A secret that both halves have, and how each shows the other that it has it without saying it. No links.

The receiver asks with a random number, the sender answers with one of its own and a code (HMAC-SHA-256) over both numbers, the
session and who speaks; then the receiver gives its code. Each session has new numbers, so nothing that was heard once is of use
again. It says who is there; it encrypts nothing, and somebody who passes on every byte between the two reads along.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PeerError, UserError
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import NONCE_BYTES, Challenge, Proof, Response

_LEAST_BYTES, _MOST_BYTES = 16, 4096
"""The least keeps who hears a code from finding the token by trying: 16 random bytes are out of reach."""

_MAKE = "`openssl rand -hex 32` makes one"
_DIFFER = "it does not have our token; give both halves a --token-file with the same text"


@dataclass(frozen=True, slots=True)
class Token:
    """Never shown: not in an error, nor in a report."""

    secret: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return "Token(...)"

    def challenge(self) -> Challenge:
        """The receiver's question."""
        return Challenge(secrets.token_bytes(NONCE_BYTES))

    def response(self, asked: Challenge, session: str) -> Response:
        """The sender's answer."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return Response(nonce, self._code(Role.SENDER, asked.nonce, nonce, session))

    def proof(self, asked: Challenge, response: Response, session: str) -> Proof:
        """The receiver's. :raises PeerError: the sender's answer is wrong."""
        self._require(response.code, self._code(Role.SENDER, asked.nonce, response.nonce, session))
        return Proof(self._code(Role.RECEIVER, asked.nonce, response.nonce, session))

    def require(self, proof: Proof, asked: Challenge, response: Response, session: str) -> None:
        """:raises PeerError: the receiver's proof is none."""
        self._require(proof.code, self._code(Role.RECEIVER, asked.nonce, response.nonce, session))

    @staticmethod
    def _require(code: bytes, right: bytes) -> None:
        if not hmac.compare_digest(code, right):
            raise PeerError(_DIFFER)

    def _code(self, who: Role, *said: bytes | str) -> bytes:
        """Both numbers have one length, so no two things said are the same bytes."""
        parts = [who.value.encode(), b"\0", *(part.encode() if isinstance(part, str) else part for part in said)]
        return hmac.digest(self.secret, b"".join(parts), hashlib.sha256)


def read_token(path: Path | None) -> Token | None:
    """None: none is wanted. :raises UserError: no such file, or others may read it, or it is too short."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            mode, told = os.fstat(file.fileno()).st_mode, file.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise UserError(f"--token-file {path}: cannot read it: {exc.strerror}; {_MAKE}") from exc
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"--token-file {path}: other users may read or write it; `chmod 600 {path}`, and make a new one"
        )
    secret = told.strip()
    if not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
        bounds = f"a token has {_LEAST_BYTES} to {_MOST_BYTES} bytes"
        raise UserError(f"--token-file {path}: {len(secret)} bytes; {bounds}; {_MAKE}")
    return Token(secret)
