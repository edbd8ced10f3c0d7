"""Qualifies a backend on another host, by its agent: `pageferry qualify` runs there, and its certificate comes here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import MissingError, PeerError
from harness.hosts.agent.host import AgentHost
from harness.hosts.files import read_part
from harness.results.certificate import Certificate, load_certificate

_LOOK_S = 0.5
_PART_BYTES = 1 << 20
_JUDGED = ("exit status 0", "exit status 1")
_COULD_NOT_RUN = "exit status 2"


def qualify_on(
    host: AgentHost, words: Sequence[str], place: str, out: Path, on_line: Callable[[str], None]
) -> Certificate:
    """``words`` go behind `pageferry qualify` there. ``place`` is kept in the certificate as its host.

    Puts into ``out`` what was printed there and the certificate as it came; ``on_line`` hears each line when it is printed.

    :raises MissingError: it could not run there, with what is missing. :raises PeerError: the host went, or the command failed.
    """
    there, log = host.folder(out) / "certificate", out / "log"
    with host.child(host.program("qualify", *words, "--out", str(there)), log=log) as child:
        shown = 0
        while (how := child.ended(_LOOK_S)) is None:
            shown = _show(child.said(), shown, on_line)
        _show(f"{child.said().rstrip()}\n", shown, on_line)
        if how not in _JUDGED:
            kind = MissingError if how == _COULD_NOT_RUN else PeerError
            raise kind(f"{host.name}: {child.last_words().removeprefix('pageferry: ').removeprefix('error: ') or how}")
    file = out / "certificate.json"
    with file.open("wb") as into:
        into.writelines(_parts(host, there / "certificate.json"))
    certificate = load_certificate(file)
    return replace(certificate, environment={"host": place, **certificate.environment})


def _show(said: str, shown: int, on_line: Callable[[str], None]) -> int:
    """The lines that are whole, from the character ``shown`` on. Gives where the next begins."""
    end = said.rfind("\n") + 1
    for line in said[shown:end].splitlines():
        on_line(line)
    return max(shown, end)


def _parts(host: AgentHost, path: Path) -> Iterator[bytes]:
    offset = 0
    while part := host.call(read_part, path, offset, _PART_BYTES):
        yield part
        offset += len(part)
