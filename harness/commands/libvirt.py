"""``send --libvirt``: what libvirt says of the migration that it drove, asked of `virsh` and kept beside ours.

`virsh` runs in a process that is there before rights are given up, and asks when it is told to; with our end it ends.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import MissingError, UserError
from harness.units import format_bytes, format_duration

if TYPE_CHECKING:
    from harness.migrator.report import LibvirtReport, SenderReport

_ANSWER_S = 10
"""Longer no `virsh` may take."""
_PATIENCE_S = 10.0
"""libvirt has its figures when it has ended the guest at the source, which is after our last byte."""
_AGAIN_S = 0.2
_MOST_ANSWER_BYTES = 1 << 20
_LAST_FIGURE = "memory_normal"
"""The times may be there before QEMU's counts of pages."""
_ASK = 'while read -r _; do timeout --foreground "$@" 2>&1; printf "\n%s %s\n" "$0" "$?"; done'
_CALL = ("domjobinfo", "--completed", "--keep-completed", "--rawstats", "--domain")


@dataclass(frozen=True, slots=True)
class Said:
    """``status``: `virsh`'s own; None: it did not answer."""

    status: int | None
    text: str


class Libvirt:
    """One that knows ``domain``. Not before ``opened``."""

    def __init__(self, domain: str, process: subprocess.Popen[bytes], mark: str) -> None:
        self._domain, self._process, self._mark = domain, process, mark.encode()

    def ask(self) -> Said:
        """What it says now of the domain's last completed job."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101 - both are pipes
        assert answers is not None  # noqa: S101
        try:
            requests.write(b"\n")
            requests.flush()
        except BrokenPipeError:
            return Said(None, "the process that asks it has ended")
        said, deadline_s = b"", time.monotonic() + _ANSWER_S + 2
        while (found := said.rpartition(b"\n" + self._mark + b" "))[1] == b"" or not found[2].endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([answers], [], [], left_s)[0]:
                return Said(None, "no answer")
            if not (part := os.read(answers.fileno(), 1 << 16)):
                return Said(None, "the process that asks it has ended")
            said += part
            if len(said) > _MOST_ANSWER_BYTES:
                return Said(None, f"virsh said more than {format_bytes(_MOST_ANSWER_BYTES)}, which is no job's figures")
        return Said(int(found[2]), found[0].decode(errors="replace").strip())

    def after(self, before: Said) -> LibvirtReport:
        """Of the migration that ended since it said ``before``; an older one's figures are not taken for it."""
        from harness.migrator.report import (
            LibvirtReport,
        )  # brings threads, which would be too many when rights are given up

        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            now = self.ask()
            late = now.status is None or time.monotonic() > deadline_s
            figures = _figures(now.text) if now.status == 0 and now != before else {}
            if _LAST_FIGURE in figures or (late and figures):
                return LibvirtReport(self._domain, figures)
            if late:
                return LibvirtReport(self._domain, {}, _reason(now, before))
            time.sleep(_AGAIN_S)


def _figures(text: str) -> Mapping[str, int | str]:
    """``NAME: VALUE`` in each line."""
    pairs = [line.partition(": ") for line in text.splitlines()]
    return {name: int(value) if value.isdecimal() else value for name, colon, value in pairs if colon}


def _reason(now: Said, before: Said) -> str:
    if now.status is None:
        return now.text
    if now.status == 0:
        return f"for {_PATIENCE_S:g} s it knew {'of an older migration alone' if _figures(before.text) else 'of none'}"
    return f"virsh ended with {now.status}: {now.text.splitlines()[0] if now.text else 'no word'}"


@contextmanager
def opened(domain: str | None, uri: str | None) -> Iterator[Libvirt | None]:
    """One to ask, where a ``domain`` is given. ``uri``: whose; None: `virsh`'s own choice.

    :raises MissingError: there is no `virsh`. :raises UserError: a URI and no domain.
    """
    if domain is None:
        if uri is not None:
            raise UserError(f"--libvirt-uri {uri}: only with --libvirt DOMAIN, which says of whom to ask")
        yield None
        return
    if shutil.which("virsh") is None:
        raise MissingError(f"--libvirt {domain}: no virsh on PATH; install libvirt-clients, or leave --libvirt out")
    mark = secrets.token_hex(8)
    connect = [] if uri is None else ["--connect", uri]
    command = ["sh", "-c", _ASK, mark, str(_ANSWER_S), "virsh", "--quiet", *connect, *_CALL, domain]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            yield Libvirt(domain, process, mark)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # Landlock may forbid it; then its input's end ends it
                os.killpg(process.pid, signal.SIGKILL)


def sentence(report: SenderReport) -> str | None:
    """libvirt's figures beside ours, or why there are none; None: it was not asked."""
    if (libvirt := report.libvirt) is None:
        return None
    if libvirt.missing is not None:
        return f"warning: libvirt says nothing of {libvirt.domain}: {libvirt.missing}"
    parts = [
        f"{words} {told(value)}{'' if ours is None else f' (ours {told(ours)})'}"
        for name, words, told, ours in (
            ("downtime", "downtime", _ms, None),
            ("time_elapsed", "total time", _ms, None),
            ("data_processed", "data", format_bytes, report.stream_bytes),
            ("memory_normal", "normal pages", str, report.raw_pages),
            ("memory_constant", "constant pages", str, report.zero_pages),
        )
        if isinstance(value := libvirt.figures.get(name), int)
    ]
    return f"libvirt says of {libvirt.domain}: {', '.join(parts)}"


def _ms(value: int) -> str:
    return format_duration(value / 1000)
