"""Advisories of the locked dependencies: ``python tests/audit.py [what pip-audit is to be told besides]`` (tox -e audit).

First pypi.org is asked for a release that is known to have some: where it cannot tell of these, it would tell of none. Exit status
0: there is none; 1: a locked dependency has an advisory; 3: nothing was checked, as no advisories are to be had here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

KNOWN = "https://pypi.org/pypi/jinja2/2.4.1/json"
UNCHECKED = 3
LOCKED = Path(__file__).parents[1] / ".ci" / "locked.txt"
_PATIENCE_S = 30


def why_not(url: str) -> str | None:
    """Advisories are to be had there: None."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
            found = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return None if found else "it tells of no advisories for a release that has some"


def main() -> int:
    if (why := why_not(KNOWN)) is not None:
        print(
            f"audit: NOTHING WAS CHECKED: no advisories from {KNOWN}: {why}; run it where pypi.org is reached",
            file=sys.stderr,
        )
        return UNCHECKED
    command = [
        "pip-audit",
        "--strict",
        "--disable-pip",
        "--require-hashes",
        "--requirement",
        str(LOCKED),
        *sys.argv[1:],
    ]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
