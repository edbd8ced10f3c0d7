"""Finds out which run this is, of what software, on which machine."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.experiment.environment import version_of
from harness.results.identity import Identity

_ROOT = Path("/")
_CHECKOUT = Path(__file__).resolve().parents[2]
_TAG = re.compile(r"[\w][\w.:/+-]{0,63}")


def collect(tags: Sequence[str] = (), root: Path = _ROOT, checkout: Path = _CHECKOUT) -> Identity:
    """Of a run that begins now. :raises UserError: a tag is none."""
    now = datetime.datetime.now().astimezone()
    return Identity(
        run_id=f"{now.astimezone(datetime.UTC):%Y-%m-%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="seconds"),
        host=socket.gethostname(),
        machine_id=_machine_id(root / "etc/machine-id"),
        version=version_of("pageferry") or "unknown",
        commit=_commit(checkout),
        tags=_checked(tags),
    )


def _checked(tags: Sequence[str]) -> tuple[str, ...]:
    """Each once."""
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise UserError(f"--tag {tag!r}: write a letter or digit, then up to 63 of letters, digits and . _ : / + -")
    return tuple(dict.fromkeys(tags))


def _machine_id(file: Path) -> str | None:
    """Keyed, as machine-id(5) asks of whoever shows it to others."""
    try:
        secret = file.read_bytes().strip()
    except OSError:
        return None
    return (
        hmac.new(secret, b"pageferry: which machine made a result", hashlib.sha256).hexdigest()[:16] if secret else None
    )


def _commit(checkout: Path) -> str | None:
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    asked = [git, "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False, env=quiet)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
