"""The contract between host and kernels, ABI 1: sizes, statuses, launch styles. Opens no device.

A batch is cut into blocks; each block becomes a *fragment* of raw DEFLATE (RFC 1951): blocks without the final bit, ended on a
byte boundary (by an empty stored block, where they don't end on one by themselves). Fragments in a row with ``LAST`` behind
them are one whole stream, and so is each fragment alone with ``LAST``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

__all__ = [
    "ABI", "BLOCK_BYTES", "ERROR", "KERNELS", "LAST", "MAGIC", "STORED", "STYLES", "TAG", "ZERO", "Geometry",
    "build_options", "source",
]  # fmt: skip

MAGIC, ABI = 0x50464431, 1
KERNELS = ("deflate_blocks", "gather_blocks", "deflate_info")
BLOCK_BYTES = (4096, 65536)
STYLES = ("wi", "wg", "task")
"""A work-item a block (CPU), a work-group a block (GPU), one work-item for all (FPGA). The index is ``deflate_info``'s number."""

_PARTS = ("bits", "codes", "item", "group")
"""In the order in which each uses those before it. ``item`` is of styles wi and task, ``group`` of wg."""

TAG = 0xD5000000
"""High byte of a result's second word; ORed with the status. Anything else was not written by the kernel."""
DEFLATE, STORED, ZERO, ERROR = range(4)

LAST = b"\x03\x00"
"""The final, empty, fixed block that ends a stream."""

_STORED_PIECE_BYTES = 65535
_SLACK_BYTES = 16
"""Writers may store up to 8 bytes beyond a fragment's end."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes that follow from a program's block size."""

    block_bytes: int

    @property
    def longest_fragment_bytes(self) -> int:
        """A block that is stored."""
        return self.block_bytes + 5 * -(-self.block_bytes // _STORED_PIECE_BYTES)

    @property
    def slot_stride_bytes(self) -> int:
        """From one block's slot to the next."""
        return -(-(self.longest_fragment_bytes + _SLACK_BYTES) // 64) * 64

    def blocks(self, raw_bytes: int) -> int:
        """Blocks of a batch; the last one may be short."""
        return -(-raw_bytes // self.block_bytes)

    def slots_bytes(self, raw_bytes: int) -> int:
        """All slots of a batch."""
        return self.blocks(raw_bytes) * self.slot_stride_bytes

    def joined_bound_bytes(self, raw_bytes: int) -> int:
        """The longest stream that a batch can become, ``LAST`` included."""
        whole, rest = divmod(raw_bytes, self.block_bytes)
        last = rest + 5 * -(-rest // _STORED_PIECE_BYTES)
        return whole * self.longest_fragment_bytes + last + len(LAST)


def source() -> str:
    """The kernels, for any style and block: one text, as a vendor's compiler takes it."""
    folder = files("backends.opencl").joinpath("kernels")
    return "\n".join(folder.joinpath(f"{part}.cl").read_text(encoding="utf-8") for part in _PARTS)


def build_options(block_bytes: int, style: str, *, cpu_builtins: bool = False) -> list[str]:
    """What the compiler is told. ``cpu_builtins``: unaligned accesses and bit scans of clang for a CPU; same output."""
    options = ["-cl-std=CL1.2", f"-DBLOCK={block_bytes}", f"-DSTYLE={STYLES.index(style)}"]
    return options + (["-DCPU_BUILTINS"] if cpu_builtins else [])
