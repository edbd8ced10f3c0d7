"""What tests of real migrations open, and the short folder in which their sockets lie."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def run_dir(stack):
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pageferry-")))
