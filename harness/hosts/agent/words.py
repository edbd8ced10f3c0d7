"""Why there is no agent at a host, or none any more, from what ssh said and how it ended: one line with the host and the remedy."""

from __future__ import annotations

from harness.errors import MissingError, PageferryError, PeerError
from harness.terminal import one_line

_SSH_FAILED, _NOT_FOUND, _NOT_EXECUTABLE = 255, 127, 126
_MOST_CHARACTERS = 300


def why_no_agent(host: str, status: int | None, said: str, before: bytes) -> PageferryError:
    """``said``: on standard error. ``before``: what came instead of the greeting."""
    if status == _SSH_FAILED:
        return why_ssh_failed(host, status, said)
    said = one_line(said[-_MOST_CHARACTERS:])
    if status in (_NOT_FOUND, _NOT_EXECUTABLE):
        return MissingError(
            f"{host}: there is no pageferry to start: {said}; pageferry hosts prepare {host} "
            'installs it; or write command = "/path/to/pageferry" in the file of hosts'
        )
    if before:
        shown = one_line(before[:80].decode(errors="replace").strip())
        return PeerError(
            f"{host}: {shown!r} came where an agent's greeting should: have its login shell print nothing when it is not "
            "interactive (~/.bashrc)"
        )
    return PeerError(
        f"{host}: no agent answered (exit status {status}): {said or 'it said nothing'}; try ssh {host} pageferry agent"
    )


def why_silent(host: str, silence_s: float) -> str:
    """It is connected. Without the host's name at the beginning."""
    return (
        f"its agent has not answered for {silence_s:g} s: the host or its agent stands still, or the network is cut; "
        f"{_once_back(host)}"
    )


def why_ended(host: str, status: int | None, said: str) -> str:
    """A stream that was an agent's. ``status``: of ssh; None: it runs. Without the host's name at the beginning."""
    how = "still running" if status is None else f"exit status {status}"
    return f"ssh ended ({how}): {one_line(said[-_MOST_CHARACTERS:]) or 'it said nothing'}; {_once_back(host)}"


def _once_back(host: str) -> str:
    return f"once ssh {host} true answers, start again"


def why_ssh_failed(host: str, status: int, said: str) -> PageferryError:
    """A command was to run there. ``said``: what it or ssh wrote."""
    said = one_line(said.strip()[-_MOST_CHARACTERS:].removeprefix("ssh: "))
    if status == _SSH_FAILED:
        return PeerError(f"{host}: ssh: {said or 'failed without a word'}; {_ssh_remedy(host, said)}")
    return MissingError(f"{host}: {said or f'a command there ended with status {status}, and said nothing'}")


def _ssh_remedy(host: str, said: str) -> str:
    if "IDENTIFICATION HAS CHANGED" in said or "Host key verification failed" in said:
        return (
            f"its key is not the one that is known: find out why, then ssh-keygen -R the old one and connect once by hand "
            f"(ssh {host})"
        )
    if "Permission denied" in said:
        return f"let a key of yours in there without a password (ssh-copy-id {host}), and try ssh {host} true"
    return f"try ssh {host} true"
