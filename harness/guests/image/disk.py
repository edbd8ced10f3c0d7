"""A disk that both sides of a migration use and that is as it was afterwards: an overlay over the user's image, made by qemu-img.

One overlay for both: QEMU opens a disk of an incoming guest without using it, the source gives it up when its guest has stopped for
good, and only then the destination takes it. QEMU's own locks on the file hold both to that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from harness.errors import MissingError, UserError
from harness.qemu.process import option_value
from harness.qemu.qmp import Json, Qmp

OVERLAY_BYTES = 256 << 20
"""Room for what a guest writes to its disk in one run; the overlay holds nothing else."""
_OVERLAY = "disk.qcow2"


def make_overlay(image: Path, folder: Path) -> list[str]:
    """QEMU's arguments for a disk that begins as ``image``. :raises UserError: it is none. :raises MissingError: no qemu-img."""
    overlay = folder / _OVERLAY
    found = json.loads(_qemu_img("info", "--output=json", str(image)))["format"]
    _qemu_img("create", "-q", "-f", "qcow2", "-b", str(image), "-F", found, str(overlay))
    return [
        "-drive",
        f"if=none,id=pageferry-disk,format=qcow2,file={option_value(overlay)}",
        "-device",
        "virtio-blk-pci,drive=pageferry-disk",
    ]


def check_written_disks(qmp: Qmp, folder: Path) -> None:
    """:raises UserError: this QEMU would write to a disk that is not in ``folder``, and so would the other side's."""
    listed: Json = qmp.execute("query-block")
    for device in listed:
        inserted = device.get("inserted")
        if inserted is not None and not inserted["ro"] and folder not in Path(inserted["file"]).parents:
            raise UserError(
                f"guest.arguments: {inserted['file']}: both sides would write this disk: name it as guest.disk, which stays as "
                "it is, or make it read-only (readonly=on)"
            )


def _qemu_img(*arguments: str) -> str:
    if shutil.which("qemu-img") is None:
        raise MissingError("qemu-img: no such program on PATH; install qemu-utils, or leave guest.disk out")
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"guest.disk: {done.stderr.strip().removeprefix('qemu-img: ')}; write a disk image that qemu-img knows"
        )
    return done.stdout
