"""A large heap of records: each is a dictionary of strings, as a program has them that has read a file; some are replaced."""

from __future__ import annotations

import gc

from harness.guests.linux.inside.work import Work


def main() -> None:
    """Until the guest is switched off."""
    work = Work()
    gc.disable()  # there are no circles, and to look for them would write to every record
    with open("/data/catalogue", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as in ``work``
        described = file.read().split("\n\n")
    records = [_record(text) for text in described]
    work.ready()
    for _ in work.turns():
        records[work.pick(len(records))] = _record(described[work.pick(len(described))])


def _record(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
