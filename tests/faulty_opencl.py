"""A device program for any block and style that only stores, with faults that a batch asks for: its first byte is 0xF0 + fault."""

FAULTS = {
    "unwritten": (1, "was not written by the device"),
    "too long": (2, r"has a fragment of \d+ bytes, possible are 1\.\."),
    "empty": (3, r"has a fragment of 0 bytes, possible are 1\.\."),
    "wrong tag": (4, "has status 0xd4000001"),
    "given up": (5, "was given up by the device"),
    "unknown status": (6, "has status 0xd5000007"),
    "too long in all": (8, r"fragments of \d+ bytes in all for a batch of \d+, possible are \d+"),
}
SPOILT = 7
"""One bit is wrong, and nothing says so."""

SOURCE = """
#define STRIDE ((BLOCK + 5 * ((BLOCK + 65534) / 65535) + 16 + 63) / 64 * 64)

static uint store(global const uchar *in, global uchar *slot, uint length) {
    uint out = 0;
    for (uint at = 0; at < length;) {
        uint size = min(length - at, 65535u);
        slot[out++] = 0;
        slot[out++] = size & 255;
        slot[out++] = size >> 8;
        slot[out++] = ~size & 255;
        slot[out++] = (~size >> 8) & 255;
        for (uint i = 0; i < size; i++) slot[out++] = in[at++];
    }
    return out;
}

static void one(global const uchar *in, global uchar *slots, global uint2 *res, uint in_bytes, uint stride, uint block) {
    uint last = (in_bytes - 1) / BLOCK;
    uint fault = block == last && in[0] > 0xF0 ? in[0] - 0xF0 : 0;
    uint length = store(in + block * BLOCK, slots + block * stride, min((uint)BLOCK, in_bytes - block * BLOCK));
    uint2 found = (uint2)(length, 0xD5000001);
    if (fault == 1) return;
    if (fault == 2) found.x = STRIDE;
    if (fault == 3) found.x = 0;
    if (fault == 4) found.y = 0xD4000001;
    if (fault == 5) found.y = 0xD5000003;
    if (fault == 6) found.y = 0xD5000007;
    if (fault == 7) slots[block * stride + 5] ^= 1;
    if (fault == 8) found.x = BLOCK;
    res[block] = found;
}

static void move(global const uchar *slots, global const uint2 *res, global const uint *offsets, global uchar *joined,
                 uint stride, uint block) {
    for (uint i = 0; i < res[block].x; i++) joined[offsets[block] + i] = slots[block * stride + i];
}

#if STYLE == 0
#define EACH(blocks, action) { uint block = get_global_id(0); action; }
#elif STYLE == 1
#define EACH(blocks, action) if (get_local_id(0) == 0) { uint block = get_group_id(0); action; }
#else
#define EACH(blocks, action) for (uint block = 0; block < (blocks); block++) action;
#endif

kernel void deflate_blocks(global const uchar *in, global uchar *slots, global uint2 *res, uint in_bytes, uint stride,
                           global uint *scratch) {
    EACH((in_bytes + BLOCK - 1) / BLOCK, one(in, slots, res, in_bytes, stride, block))
}

kernel void gather_blocks(global const uchar *slots, global const uint2 *res, global const uint *offsets,
                          global uchar *joined, uint blocks, uint stride) {
    EACH(blocks, move(slots, res, offsets, joined, stride, block))
}

kernel void deflate_info(global uint *info) {
    uint values[8] = {0x50464431, 1, BLOCK, STRIDE, STYLE, STYLE == 1 ? 64 : 1, 64, 0};
    for (int i = 0; i < 8; i++) info[i] = values[i];
}
"""
