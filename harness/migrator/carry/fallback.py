"""What compresses a batch when its backend's device fails: ``BACKEND[:LEVEL]``, or ``never``. Compresses nothing itself."""

from __future__ import annotations

from backends import registry
from backends.api import BackendError, BackendInfo
from harness.errors import UserError
from harness.migrator.spec import Spec, parse_spec

NEVER = "never"
_FOR_DEVICES = "isal:1"
"""Nearest to a deflate card in ratio, and as fast on a core as any deflate."""


def choose_fallback(info: BackendInfo, text: str | None) -> Spec | None:
    """The fallback of a backend; None: its failure ends the migration (and the source guest runs on).

    ``text`` None: isal 1 for a device, none for a codec that runs on the CPU anyway.

    :raises UserError: an unknown backend or level, or one that is a device itself.
    """
    if text is None:
        text = NEVER if info.device == "cpu" else _FOR_DEVICES
    if text == NEVER:
        return None
    try:
        spec = parse_spec(text)
        device = registry.load(spec.backend).info.device
    except BackendError as exc:
        raise UserError(f"fallback {text!r}: {exc}; write for example {_FOR_DEVICES}, or never") from exc
    if device != "cpu" or spec.backend in ("none", info.name):
        raise UserError(
            f"fallback {text!r}: must be another codec that runs on the CPU; write for example {_FOR_DEVICES}"
        )
    return spec
