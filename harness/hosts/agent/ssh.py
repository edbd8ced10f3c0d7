"""How a host is reached: the system's own ssh, and where pageferry is started there."""

from __future__ import annotations

from pathlib import Path

PREPARED_IN = ".local/share/pageferry"
"""Below the home folder there: what `pageferry hosts prepare` fills."""
PREPARED = f'env "PATH=$HOME/{PREPARED_IN}/current/bin:$PATH" pageferry'
"""Starts the pageferry that was put there, else the one on the PATH that ssh gives; each login shell understands it."""


def ssh_to(host: str, command: str, config: Path | None = None) -> list[str]:
    """Runs ``command`` there, with the user's configuration and keys, and no questions: nobody is there to answer."""
    options = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=4")
    argv = ["ssh", "-T", *(part for option in options for part in ("-o", option))]
    return [*argv, *(("-F", str(config)) if config is not None else ()), "--", host, command]


def ssh_argv(host: str, command: str = PREPARED, config: Path | None = None) -> list[str]:
    """Starts the agent there."""
    return ssh_to(host, f"{command} agent", config)
