"""Advisories of the locked dependencies: ``python tests/audit.py [what pip-audit is to be told besides]`` (tox -e audit).

First pypi.org is asked for a release that is known to have some, and then pip-audit, which has to find them: where either tells of
none there, it would tell of none anywhere. Exit status 0: there is none; 1: a locked dependency has an advisory, or is not known
at pypi.org; 3: nothing was checked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME, VERSION = "jinja2", "2.4.1"
KNOWN = f"https://pypi.org/pypi/{NAME}/{VERSION}/json"
FOUND, UNCHECKED = 1, 3
LOCKED = Path(__file__).parents[1] / ".ci" / "locked.txt"
_PATIENCE_S = 30


def why_not(url: str) -> str | None:
    """Advisories are to be had there: None."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
            found = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError) as exc:
        return f"no advisories from {url}: {type(exc).__name__}: {exc}; run it where pypi.org is reached"
    return (
        None if found else f"{url} tells of no advisories for a release that has some; run it where pypi.org is reached"
    )


def why_blind(arguments: Sequence[str]) -> str | None:
    """pip-audit finds the advisories of that release: None."""
    done = _audited({NAME: VERSION}, ["--format", "json", *arguments], capture_output=True, text=True)
    if done.returncode == FOUND and f'"{NAME}"' in done.stdout:
        return None
    said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"pip-audit ended with {done.returncode} and found no advisory of {NAME} {VERSION}, which has some: {said}"


def parts(releases: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """All of them, each project once in a part, as pip-audit wants it: what is locked for several Pythons has several releases."""
    found: list[dict[str, str]] = []
    for name, version in releases:
        part = next((one for one in found if name not in one), None)
        if part is None:
            found.append(part := {})
        part[name] = version
    return found


def _audited(releases: Mapping[str, str], arguments: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="pageferry-audit-") as folder:
        file = Path(folder) / "releases.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in releases.items()))
        command = ["pip-audit", "--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        return subprocess.run([*command, "--requirement", str(file), *arguments], check=False, **how)


def main(arguments: Sequence[str]) -> int:
    if (why := why_not(KNOWN) or why_blind(arguments)) is not None:
        print(f"audit: NOTHING WAS CHECKED: {why}", file=sys.stderr)
        return UNCHECKED
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)", LOCKED.read_text(), re.MULTILINE)
    return max(_audited(part, arguments).returncode for part in parts(locked))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
