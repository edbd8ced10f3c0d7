"""This machine with another network: what runs in a network namespace of it."""

from __future__ import annotations

from pathlib import Path

from harness.hosts.local import Local


class Namespace(Local):
    """``file`` stands for the namespace, which is its maker's to remove. ``address``: of the interface in it."""

    def __init__(self, file: Path, address: str) -> None:
        # Not `ip netns exec`, which mounts another /sys: whoever runs in that no longer sees the limits of its control group.
        super().__init__(address, ["nsenter", f"--net={file}"])
        self.file = file
