"""Which run made a result: plain data. Knows not how it is found out."""

from __future__ import annotations

from dataclasses import dataclass

LATEST = "latest"
"""Beside the folders of runs: a link to the newest."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which run made a result, with what, and on which machine."""

    run_id: str
    """Its start in UTC and six random digits, which is its folder's name; all results of one command have the same."""
    started_at: str
    """When the command began: ISO 8601, with its zone."""
    host: str
    """The machine's name."""
    machine_id: str | None
    """A hash of /etc/machine-id, which is not to be published itself; null: there is none."""
    version: str
    """Of pageferry."""
    commit: str | None = None
    """Of pageferry's checkout, with ``-dirty`` behind it where files differ from it; null: it was installed as a package."""
    tags: tuple[str, ...] = ()
    """What ``--tag`` said, in its order."""
