"""No compression: what the pair itself costs, and the policy's choice when the host's CPUs are busy."""

from __future__ import annotations

from backends.api import Backend, BackendInfo, Buffer


class NoneBackend(Backend):
    """Hands every batch on as it is."""

    info = BackendInfo(name="none")

    @classmethod
    def probe(cls) -> str:
        """Always there."""
        return "built in"

    def compress(self, data: Buffer) -> bytes:
        """A copy, unless ``data`` is bytes already."""
        return bytes(data)

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """A copy, unless ``data`` is bytes already."""
        self._checked_raw_bytes(raw_bytes)
        if len(data) != raw_bytes:
            raise self._error(f"{len(data)} bytes stored, not the {raw_bytes} expected")
        return bytes(data)
