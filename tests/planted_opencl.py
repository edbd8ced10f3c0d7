"""A device program that stores blocks and fails when a batch tells it to: for tests of what must notice. Run to save it.

    python -m planted_opencl FILE DEVICE

Blocks are 4 KiB, which one stored block of DEFLATE holds. A batch that begins with ``!`` and a letter of ``FAULTS`` is compressed
wrongly, by each work-item in its own way.
"""

from __future__ import annotations

import sys

BLOCK_BYTES = 4096

FAULTS = {
    "poison": "p",
    "error": "e",
    "too-long": "l",
    "too-short": "s",
    "wrong": "w",
    "nothing": "n",
    "endless": "x",
    "crash": "c",
}

SOURCE = """
kernel void deflate_info(global uint *info) {
    const uint values[8] = {0x50464431u, 1, BLOCK, 4160, STYLE, 1, 64, 0};
    for (int i = 0; i < 8; i++) info[i] = values[i];
}

kernel void deflate_blocks(global const uchar *in, global uchar *slots, global uint2 *res, uint in_bytes, uint slot_stride,
                           global uint *scratch) {
    const uint block = get_global_id(0);
    const uchar fault = in[0] == '!' ? in[1] : 0;
    global const uchar *from = in + block * BLOCK;
    global uchar *to = slots + block * slot_stride;
    uint length = min((uint)BLOCK, in_bytes - block * BLOCK);
    if (fault == 'p') return;
    if (fault == 'e') { res[block] = (uint2)(5, 0xD5000003u); return; }
    if (fault == 'x') while (((volatile global uint *)res)[2 * block] != 7) ;
    if (fault == 'c') ((volatile global uint *)16)[0] = 1;
    if (fault != 'n') {
        to[0] = 0; to[1] = length; to[2] = length >> 8; to[3] = ~length; to[4] = ~length >> 8;
        for (uint i = 0; i < length; i++) to[5 + i] = from[i];
        if (fault == 'w') to[5 + length / 2] ^= 64;
    }
    length += 5;
    if (fault == 's') length -= 1;
    if (fault == 'l') length = slot_stride + 1;
    res[block] = (uint2)(length, 0xD5000001u);
}

kernel void gather_blocks(global const uchar *slots, global const uint2 *res, global const uint *offsets, global uchar *joined,
                          uint blocks, uint slot_stride) {
    const uint block = get_global_id(0);
    for (uint i = 0; i < res[block].x; i++) joined[offsets[block] + i] = slots[block * slot_stride + i];
}
"""


def fault(name: str, size: int = 1 << 20) -> bytes:
    return (f"!{FAULTS[name]}".encode() + bytes(range(256)) * (size // 256))[:size]


def main(out: str, device: str) -> None:
    from backends.opencl.binary import save_binary  # noqa: PLC0415 - loads the drivers, in this process alone
    from backends.opencl.devices import DeviceConfig  # noqa: PLC0415

    save_binary(DeviceConfig(device, block_bytes=BLOCK_BYTES, style="wi"), out, source=SOURCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
