"""One folder of right certificates for all tests that want some."""

from pathlib import Path

import certificates
import pytest


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory) -> Path:
    return certificates.lab(tmp_path_factory.mktemp("lab") / "pki")
