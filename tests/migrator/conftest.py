"""One folder of right certificates for all tests that want some, and patience for all: the machine may be busy."""

from pathlib import Path

import certificates
import pytest

from harness.migrator import greeting, reception
from harness.migrator.carry import others
from harness.migrator.choose import rehearsal


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory) -> Path:
    return certificates.lab(tmp_path_factory.mktemp("lab") / "pki")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Who is late is refused, and a test that is about that sets the limit itself."""
    for module, limits in (
        (reception, ("_GREETING_S", "_HANDSHAKE_S")),
        (greeting, ("_GREETING_TIMEOUT_S",)),
        (others, ("_OPEN_S",)),
        (rehearsal, ("_TIMEOUT_S",)),
    ):
        for limit in limits:
            monkeypatch.setattr(module, limit, 120.0)
