"""What an agent says of itself at the greeting: which pageferry it is, and which machine it is on."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path

from xxhash import xxh3_64

import harness
from backends.children import module_argv
from harness.hosts.agent.messages import Hello
from harness.hosts.boot import boot_id

_NETWORK = Path("/proc/self/ns/net")
_PACKAGES = ("harness", "backends")


def hello() -> Hello:
    """Ours."""
    return Hello(
        version=importlib.metadata.version("pageferry"),
        code=code_digest(),
        machine=boot_id(),
        network=str(_NETWORK.stat().st_ino),
        program=module_argv("harness.cli"),
    )


@functools.cache
def code_digest() -> str:
    """Of all our sources: two that say the same version may still be of two commits, and would misunderstand each other."""
    root, digest = Path(harness.__file__).parents[1], xxh3_64()
    for package in _PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
