// DEFLATE (RFC 1951) of memory blocks, OpenCL C 1.2 without extensions. Contract: contract.py, ABI 1. First of four parts.
//
// Each block becomes a fragment: blocks without the final bit, ended on a byte boundary. A block is parsed into sequences
// (literals, then a match within the block), counted, given Huffman codes of its own, and written in the cheapest of the
// three forms, whose exact cost is known before the first bit is written: so no write needs a bounds check.
//
//   -DBLOCK=4096|65536   bytes of a block
//   -DSTYLE=0            wi:   a work-item a block, all state private. CPUs
//   -DSTYLE=1            wg:   a work-group a block, matches found and bits written by all lanes, local memory. GPUs
//   -DSTYLE=2            task: one work-item for all blocks, aligned 32-bit accesses only. FPGAs
//   -DCPU_BUILTINS       clang's unaligned accesses and bit scans instead of OpenCL's built-ins; the same bytes come out
//
// wi and task write the same bytes; wg parses otherwise, so its own. Each is deterministic.

#ifndef BLOCK
#define BLOCK 65536
#endif
#ifndef STYLE
#define STYLE 0
#endif
#ifndef WORK_GROUP
#define WORK_GROUP 64
#endif

#if STYLE != 0
#undef CPU_BUILTINS  // what they hold between writes is whole aligned words
#endif

#define MAGIC 0x50464431u
#define ABI 1u
#define TAG 0xD5000000u
#define DEFLATED 0u
#define STORED 1u
#define ZERO 2u

#define PIECE 65535u  // the longest stored block
#define STRIDE ((BLOCK + 5u * ((BLOCK + PIECE - 1u) / PIECE) + 16u + 63u) / 64u * 64u)

#define LITERALS 286u  // literals, end of block, lengths
#define DISTANCES 30u
#define END 256u
#define MIN_MATCH 4u
#define MAX_MATCH 258u
#if BLOCK > 32768
#define IN_REACH(distance) ((distance) <= 32768u)
#else
#define IN_REACH(distance) true
#endif
#define LONGEST_CODE 14u  // not 15, so that four literals and what is left over fit into 63 bits
#define MOST_LITERALS 511u
#define SEQUENCES (BLOCK / 4u + BLOCK / MOST_LITERALS + 4u)

// Chosen on half of real pages (a Python process, libraries, sources, 10 % random), reported on the other half: speed and ratio
// over zlib 1's. 64 KiB: 2^11 buckets 2.55, 1.013; 2^13 2.64, 1.026; 2^14 2.61, 1.028. 4 KiB: 2^11 2.84, 1.011; 2^12 2.88, 1.011,
// but twice the memory an item. GOOD 300, 12, 5 at 64 KiB: ratio 1.015, 1.012, 1.002. INSERTS 0, 2, 16: ratio 1.004, 1.012, 1.015, speed
// 1, 0.99, 0.89. PoCL 3.0, CPU time, 2-core AMD EPYC, 2026-11-24, n=7.
#if BLOCK == 4096
#define HASH_BITS 11u  // buckets of two positions
#else
#define HASH_BITS 13u
#endif
#define SKIP 6u     // after 2^SKIP misses in a row each further step is a byte longer
#define GOOD 12u    // a match so long ends the search
#define INSERTS 2u  // so many positions inside a match enter the table, and its last one

#if BLOCK == 4096
#define DIGIT_BITS 7u  // two digits hold any count of a block
#else
#define DIGIT_BITS 9u
#endif

#if STYLE == 1
#define SCRATCH_BYTES (BLOCK * 4u)
#else
#define SCRATCH_BYTES (SEQUENCES * 4u)
#endif

typedef global const uchar *In;

kernel void deflate_info(global uint *restrict info) {
    info[0] = MAGIC;
    info[1] = ABI;
    info[2] = BLOCK;
    info[3] = STRIDE;
    info[4] = STYLE;
    info[5] = STYLE == 1 ? WORK_GROUP : 1u;
    info[6] = SCRATCH_BYTES;
    info[7] = 0;
}

// ---------------------------------------------------------------- bytes

#ifdef CPU_BUILTINS
typedef struct __attribute__((packed)) { uint v; } Packed32;
typedef struct __attribute__((packed)) { ulong v; } Packed64;
static inline uint load32(In in, uint at) { return ((global const Packed32 *)(in + at))->v; }
static inline ulong load64(In in, uint at) { return ((global const Packed64 *)(in + at))->v; }
static inline uint same_bytes(ulong difference) { return (uint)__builtin_ctzl(difference) >> 3; }
static inline uint log2_of(uint v) { return 31u - (uint)__builtin_clz(v); }
#elif STYLE == 2
// Two neighbouring aligned words; callers keep 8 bytes from the block's end.
static inline uint load32(In in, uint at) {
    global const uint *words = (global const uint *)in + (at >> 2);
    ulong both = ((ulong)words[1] << 32) | words[0];
    return (uint)(both >> ((at & 3u) * 8u));
}
static inline ulong load64(In in, uint at) { return ((ulong)load32(in, at + 4u) << 32) | load32(in, at); }
static inline uint same_bytes(ulong difference) { return (uint)popcount((difference & (0ul - difference)) - 1ul) >> 3; }
static inline uint log2_of(uint v) { return 31u - clz(v); }
#else
static inline uint load32(In in, uint at) { return as_uint(vload4(0, in + at)); }
static inline ulong load64(In in, uint at) { return as_ulong(vload8(0, in + at)); }
static inline uint same_bytes(ulong difference) { return (uint)popcount((difference & (0ul - difference)) - 1ul) >> 3; }
static inline uint log2_of(uint v) { return 31u - clz(v); }
#endif

#if STYLE == 2
#define WIDE 12u
#else
#define WIDE 8u
#endif

// How many bytes from a and b on are equal, up to most. Task style reads 12 bytes for 8, so it stops earlier.
static inline uint match_length(In in, uint a, uint b, uint from, uint most) {
    uint length = from;
    while (length + WIDE <= most) {
        ulong difference = load64(in, a + length) ^ load64(in, b + length);
        if (difference) return length + same_bytes(difference);
        length += 8u;
    }
    while (length < most && in[a + length] == in[b + length]) length++;
    return length;
}

static inline bool all_zero(In in, uint n) {
    uint at = 0;
    global const ulong *words = (global const ulong *)in;
    for (; at + 8u <= n; at += 8u)
        if (words[at >> 3]) return false;
    for (; at < n; at++)
        if (in[at]) return false;
    return true;
}

// ---------------------------------------------------------------- symbols (RFC 1951, 3.2.5)

static inline uint length_symbol(uint over3) {  // over3: length - 3
    if (over3 < 8u) return 257u + over3;
    if (over3 == 255u) return 285u;
    uint top = log2_of(over3);
    return 253u + 4u * top + ((over3 >> (top - 2u)) & 3u);
}
static inline uint length_extra_bits(uint symbol) { return symbol < 265u || symbol == 285u ? 0u : (symbol - 261u) >> 2; }

static inline uint distance_symbol(uint over1) {  // over1: distance - 1
    if (over1 < 4u) return over1;
    uint top = log2_of(over1);
    return 2u * top + ((over1 >> (top - 1u)) & 1u);
}
static inline uint distance_extra_bits(uint symbol) { return symbol < 4u ? 0u : (symbol >> 1) - 1u; }

// ---------------------------------------------------------------- bits

typedef struct {
    global uchar *out;
    ulong held;
    uint bits;
    uint at;
} Writer;

static inline void put(Writer *w, ulong value, uint bits) {
    w->held |= value << w->bits;
    w->bits += bits;
}

// After it fewer than 32 bits (8 with CPU_BUILTINS) are held. At most 63 may be held before it.
static inline void flush(Writer *w) {
#ifdef CPU_BUILTINS
    ((global Packed64 *)(w->out + w->at))->v = w->held;
    uint whole = w->bits & ~7u;
    w->at += whole >> 3;
    w->held >>= whole;
    w->bits &= 7u;
#else
    if (w->bits >= 32u) {
        ((global uint *)w->out)[w->at >> 2] = (uint)w->held;
        w->at += 4u;
        w->held >>= 32;
        w->bits -= 32u;
    }
#endif
}

// The empty stored block that ends a fragment on a byte boundary. Returns the fragment's bytes.
static inline uint finish(Writer *w) {
    w->bits = (w->bits + 3u + 7u) & ~7u;
    flush(w);
    put(w, 0xFFFF0000ul, 32u);
    flush(w);
#ifndef CPU_BUILTINS
    ((global uint *)w->out)[w->at >> 2] = (uint)w->held;
#endif
    return w->at + (w->bits >> 3);
}

// A stored block's five bytes, without the final bit.
static inline void stored_head(global uchar *out, uint n) {
    out[0] = 0;
    out[1] = (uchar)n;
    out[2] = (uchar)(n >> 8);
    out[3] = (uchar)~n;
    out[4] = (uchar)(~n >> 8);
}

static inline uint stored_bytes(uint n) { return n + 5u * ((n + PIECE - 1u) / PIECE); }
