"""A process of its own for what is counted by process: memory that an earlier test's threads give back would be counted with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def said_alone(code: str) -> str:
    """What ``code`` prints, run by a Python that knows the tests' modules."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
