// DEFLATE (RFC 1951) of memory blocks, OpenCL C 1.2 without extensions. Contract: contract.py, ABI 1.
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

// ---------------------------------------------------------------- Huffman codes

typedef struct {
    uint literal_counts[LITERALS];
    uint distance_counts[DISTANCES];
} Counts;

// Code in the low half, already reversed for writing; length in the high half.
typedef struct {
    uint literals[LITERALS];
    uint distances[DISTANCES];
} Codes;

static inline uint code_bits(uint code) { return code >> 16; }
static inline ulong code_value(uint code) { return code & 0xFFFFu; }

// Ascending by count, ties by symbol: keys are count << 9 | symbol.
static inline void sort_keys(uint *keys, uint *spare, uint n) {
    uint starts[1u << DIGIT_BITS];
    const uint mask = (1u << DIGIT_BITS) - 1u;
    for (uint pass = 0; pass < 2u; pass++) {
        uint shift = 9u + pass * DIGIT_BITS;
        for (uint i = 0; i <= mask; i++) starts[i] = 0;
        for (uint i = 0; i < n; i++) starts[(keys[i] >> shift) & mask]++;
        uint sum = 0;
        for (uint i = 0; i <= mask; i++) {
            uint count = starts[i];
            starts[i] = sum;
            sum += count;
        }
        for (uint i = 0; i < n; i++) spare[starts[(keys[i] >> shift) & mask]++] = keys[i];
        uint *other = keys;
        keys = spare;
        spare = other;
    }
}

static inline void sort_few(uint *keys, uint n) {
    for (uint i = 1; i < n; i++) {
        uint key = keys[i], j = i;
        for (; j > 0 && keys[j - 1u] > key; j--) keys[j] = keys[j - 1u];
        keys[j] = key;
    }
}

// Numbers of codes by length of a minimum-redundancy code for n >= 2 ascending weights, which are overwritten
// (Moffat and Katajainen, In-place calculation of minimum-redundancy codes, WADS 1995).
static inline void count_lengths(uint *a, uint n, uint *by_length) {
    a[0] += a[1];
    uint root = 0, leaf = 2;
    for (uint next = 1; next + 1u < n; next++) {
        if (leaf >= n || a[root] < a[leaf]) {
            a[next] = a[root];
            a[root++] = next;
        } else
            a[next] = a[leaf++];
        if (leaf >= n || (root < next && a[root] < a[leaf])) {
            a[next] += a[root];
            a[root++] = next;
        } else
            a[next] += a[leaf++];
    }
    a[n - 2u] = 0;
    for (int next = (int)n - 3; next >= 0; next--) a[next] = a[a[next]] + 1u;
    uint open = 1, depth = 0;
    int inner = (int)n - 2;
    while (open) {
        uint used = 0;
        while (inner >= 0 && a[inner] == depth) {
            used++;
            inner--;
        }
        by_length[min(depth, 31u)] += open - used;
        open = 2u * used;
        depth++;
    }
}

// No code longer than limit: those that are become limit, and others pay for them until Kraft's sum is 1 again.
static inline void limit_lengths(uint *by_length, uint limit) {
    uint sum = 0;
    for (uint length = limit + 1u; length < 32u; length++) {
        by_length[limit] += by_length[length];
        by_length[length] = 0;
    }
    for (uint length = 1; length <= limit; length++) sum += by_length[length] << (limit - length);
    for (; sum > 1u << limit; sum--) {
        by_length[limit]--;
        uint length = limit - 1u;
        while (!by_length[length]) length--;
        by_length[length]--;
        by_length[length + 1u] += 2u;
    }
}

// Fills codes[0..n); at least two symbols get one. few: n is small enough for a plain sort.
static inline void make_codes(const uint *counts, uint n, uint limit, uint *codes, bool few) {
    uint keys[LITERALS], spare[LITERALS], by_length[32];
    uint used = 0;
    for (uint i = 0; i < n; i++) {
        codes[i] = 0;
        keys[used] = counts[i] << 9 | i;
        used += counts[i] != 0;
    }
    for (uint i = 0; used < 2u; i++)
        if (!counts[i]) keys[used++] = i;
    for (uint i = 0; i < 32u; i++) by_length[i] = 0;
    if (few)
        sort_few(keys, used);
    else
        sort_keys(keys, spare, used);
    for (uint i = 0; i < used; i++) spare[i] = keys[i] >> 9;
    count_lengths(spare, used, by_length);
    limit_lengths(by_length, limit);
    uint i = 0;
    for (uint length = limit; length; length--)
        for (uint left = by_length[length]; left; left--) codes[keys[i++] & 511u] = length << 16;
    uint next[16], code = 0;
    for (uint length = 1; length < 16u; length++) {
        code = (code + (length > 1u ? by_length[length - 1u] : 0u)) << 1;
        next[length] = code;
    }
    for (uint s = 0; s < n; s++) {
        uint length = codes[s] >> 16;
        if (!length) continue;
        uint v = next[length]++;
        v = (v & 0x5555u) << 1 | ((v >> 1) & 0x5555u);
        v = (v & 0x3333u) << 2 | ((v >> 2) & 0x3333u);
        v = (v & 0x0F0Fu) << 4 | ((v >> 4) & 0x0F0Fu);
        v = (v & 0x00FFu) << 8 | ((v >> 8) & 0x00FFu);
        codes[s] |= v >> (16u - length);
    }
}

static inline void fixed_codes(Codes *codes) {  // RFC 1951, 3.2.6
    for (uint s = 0; s < LITERALS; s++) {
        uint length = s < 144u ? 8u : s < 256u ? 9u : s < 280u ? 7u : 8u;
        uint v = s < 144u ? 0x30u + s : s < 256u ? 0x190u + s - 144u : s < 280u ? s - 256u : 0xC0u + s - 280u;
        uint reversed = 0;
        for (uint i = 0; i < length; i++) reversed |= ((v >> i) & 1u) << (length - 1u - i);
        codes->literals[s] = length << 16 | reversed;
    }
    for (uint s = 0; s < DISTANCES; s++) {
        uint reversed = 0;
        for (uint i = 0; i < 5u; i++) reversed |= ((s >> i) & 1u) << (4u - i);
        codes->distances[s] = 5u << 16 | reversed;
    }
}

// ---------------------------------------------------------------- the dynamic header (RFC 1951, 3.2.7)

typedef struct {
    uint literals, distances, lengths;  // HLIT, HDIST, HCLEN as counts
    uint runs;
    ushort run[LITERALS + DISTANCES];   // symbol | extra << 5
    uint codes[19];
} Header;

constant uchar ORDER[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static inline uint run_extra_bits(uint symbol) { return symbol < 16u ? 0u : symbol == 16u ? 2u : symbol == 17u ? 3u : 7u; }

static inline uint nth_length(const Codes *codes, uint literals, uint i) {
    return (i < literals ? codes->literals[i] : codes->distances[i - literals]) >> 16;
}

// The header's bits, from HLIT to the last code length.
static inline uint make_header(const Codes *codes, Header *h) {
    uint counts[19];
    for (uint i = 0; i < 19u; i++) counts[i] = 0;
    h->literals = LITERALS;
    while (h->literals > 257u && !codes->literals[h->literals - 1u]) h->literals--;
    h->distances = DISTANCES;
    while (h->distances > 1u && !codes->distances[h->distances - 1u]) h->distances--;
    uint total = h->literals + h->distances, bits = 14;
    h->runs = 0;
    for (uint i = 0; i < total;) {
        uint length = nth_length(codes, h->literals, i), same = 1;
        while (i + same < total && nth_length(codes, h->literals, i + same) == length) same++;
        i += same;
        uint symbol = length;
        if (length) {
            h->run[h->runs++] = (ushort)length;
            counts[length]++;
            same--;
            symbol = 16;
        }
        while (same >= 3u) {
            uint most = length ? 6u : 138u, taken = min(same, most), base = 3;
            if (!length) {
                symbol = taken > 10u ? 18u : 17u;
                base = taken > 10u ? 11u : 3u;
            }
            h->run[h->runs++] = (ushort)(symbol | (taken - base) << 5);
            counts[symbol]++;
            bits += run_extra_bits(symbol);
            same -= taken;
        }
        for (; same; same--) {
            h->run[h->runs++] = (ushort)length;
            counts[length]++;
        }
    }
    make_codes(counts, 19u, 7u, h->codes, true);
    h->lengths = 19;
    while (h->lengths > 4u && !h->codes[ORDER[h->lengths - 1u]]) h->lengths--;
    bits += 3u * h->lengths;
    for (uint i = 0; i < 19u; i++) bits += counts[i] * code_bits(h->codes[i]);
    return bits;
}

static inline void put_header(Writer *w, const Header *h) {
    put(w, (h->literals - 257u) | (h->distances - 1u) << 5 | (h->lengths - 4u) << 10, 14u);
    flush(w);
    for (uint i = 0; i < h->lengths; i++) {
        put(w, code_bits(h->codes[ORDER[i]]), 3u);
        flush(w);
    }
    for (uint i = 0; i < h->runs; i++) {
        uint symbol = h->run[i] & 31u, code = h->codes[symbol];
        put(w, code_value(code), code_bits(code));
        put(w, h->run[i] >> 5, run_extra_bits(symbol));
        flush(w);
    }
}

// ---------------------------------------------------------------- the choice

static inline uint body_bits(const Counts *counts, const Codes *codes) {
    uint bits = 0;
    for (uint s = 0; s < LITERALS; s++) bits += counts->literal_counts[s] * code_bits(codes->literals[s]);
    for (uint s = 0; s < DISTANCES; s++) bits += counts->distance_counts[s] * code_bits(codes->distances[s]);
    return bits;
}

static inline uint extra_bits(const Counts *counts) {
    uint bits = 0;
    for (uint s = 265; s < 285u; s++) bits += counts->literal_counts[s] * length_extra_bits(s);
    for (uint s = 4; s < DISTANCES; s++) bits += counts->distance_counts[s] * distance_extra_bits(s);
    return bits;
}

// Bytes of a fragment with so many bits in its one block, the marker included.
static inline uint fragment_bytes(uint bits) { return (bits + 3u + 7u) / 8u + 4u; }

// Bits of the body with fixed codes, without making them.
static inline uint fixed_body_bits(const Counts *counts) {
    uint bits = 0;
    for (uint s = 0; s < LITERALS; s++)
        bits += counts->literal_counts[s] * (s < 144u ? 8u : s < 256u ? 9u : s < 280u ? 7u : 8u);
    for (uint s = 0; s < DISTANCES; s++) bits += counts->distance_counts[s] * 5u;
    return bits;
}

// Chooses the form, makes its codes and writes what stands before the body. False: storing is no longer.
static inline bool begin(const Counts *counts, uint n, Codes *codes, Writer *w) {
    Header header;
    make_codes(counts->literal_counts, LITERALS, LONGEST_CODE, codes->literals, false);
    make_codes(counts->distance_counts, DISTANCES, LONGEST_CODE, codes->distances, true);
    uint extra = extra_bits(counts);
    uint dynamic = fragment_bytes(3u + make_header(codes, &header) + body_bits(counts, codes) + extra);
    uint fixed = fragment_bytes(3u + fixed_body_bits(counts) + extra);
    if (stored_bytes(n) <= min(dynamic, fixed)) return false;
    if (fixed <= dynamic) {
        fixed_codes(codes);
        put(w, 2ul, 3u);
    } else {
        put(w, 4ul, 3u);
        put_header(w, &header);
    }
    flush(w);
    return true;
}

#if STYLE != 1
// ---------------------------------------------------------------- wi and task: one work-item compresses a block

static inline uint hash(uint v) { return (v * 0x9E3779B1u) >> (32u - HASH_BITS); }

typedef struct {
    global uint *sequence;
    uint sequences;
} Sequences;

// literals : 9 | length - 3 : 8 | distance - 1 : 15; length 3 stands for no match.
static inline void add(Sequences *s, Counts *counts, In in, uint from, uint literals, uint length, uint distance) {
    for (uint i = 0; i < literals; i++) counts->literal_counts[in[from + i]]++;
    for (; literals > MOST_LITERALS; literals -= MOST_LITERALS) s->sequence[s->sequences++] = MOST_LITERALS << 23;
    uint over3 = length - 3u, over1 = distance - 1u;
    s->sequence[s->sequences++] = literals << 23 | over3 << 15 | over1;
    if (over3) {
        counts->literal_counts[length_symbol(over3)]++;
        counts->distance_counts[distance_symbol(over1)]++;
    }
}

static inline void parse_zeros(Sequences *s, Counts *counts, In in, uint n) {
    uint at = 1, literals = 1;
    while (n - at >= MIN_MATCH) {
        uint length = min(n - at, MAX_MATCH);
        add(s, counts, in, at - literals, literals, length, 1u);
        at += length;
        literals = 0;
    }
    if (literals + n - at) add(s, counts, in, at - literals, literals + n - at, 3u, 1u);
}

static inline void insert(uint *table, In in, uint at) {
    uint bucket = hash(load32(in, at));
    table[bucket] = table[bucket] << 16 | at;
}

static inline void parse(Sequences *s, Counts *counts, In in, uint n) {
    uint table[1u << HASH_BITS];
    for (uint i = 0; i < 1u << HASH_BITS; i++) table[i] = 0;
    uint at = 1, anchor = 0, misses = 0;
    while (at + 12u <= n) {
        uint v = load32(in, at), bucket = hash(v), both = table[bucket];
        uint near = both & 0xFFFFu, far = both >> 16, best = 0, from = near;
        table[bucket] = both << 16 | at;
        bool near_hits = (load32(in, near) == v) & IN_REACH(at - near);
        bool far_hits = (load32(in, far) == v) & IN_REACH(at - far);
        if (!(near_hits | far_hits)) {
            at += 1u + (misses++ >> SKIP);
            continue;
        }
        uint most = min(n - at, MAX_MATCH);
        if (near_hits) best = match_length(in, near, at, 4u, most);
        if (far_hits & (best < GOOD)) {
            uint length = match_length(in, far, at, 4u, most);
            if (length > best + 1u) {
                best = length;
                from = far;
            }
        }
        misses = 0;
        while (at > anchor && from && best < MAX_MATCH && in[at - 1u] == in[from - 1u]) {
            at--;
            from--;
            best++;
        }
        add(s, counts, in, anchor, at - anchor, best, at - from);
        uint end = at + best;
        for (uint i = at + 1u; i < end && i < at + 1u + INSERTS && i + 12u <= n; i++) insert(table, in, i);
        if (end + 12u <= n) insert(table, in, end - 1u);
        at = anchor = end;
    }
    if (n > anchor) add(s, counts, in, anchor, n - anchor, 3u, 1u);
}

#ifdef CPU_BUILTINS
#define LITERALS_A_FLUSH 4u
#else
#define LITERALS_A_FLUSH 2u
#endif

static inline void put_code(Writer *w, uint code) { put(w, code_value(code), code_bits(code)); }

static inline void put_match(Writer *w, const Codes *codes, uint over3, uint over1) {
    uint symbol = length_symbol(over3), extra = length_extra_bits(symbol);
    put_code(w, codes->literals[symbol]);
    put(w, over3 & ((1u << extra) - 1u), extra);
#ifndef CPU_BUILTINS
    flush(w);
#endif
    symbol = distance_symbol(over1);
    extra = distance_extra_bits(symbol);
    put_code(w, codes->distances[symbol]);
    put(w, over1 & ((1u << extra) - 1u), extra);
    flush(w);
}

static inline void put_body(Writer *w, const Codes *codes, const Sequences *s, In in) {
    uint at = 0;
    for (uint q = 0; q < s->sequences; q++) {
        uint word = s->sequence[q], end = at + (word >> 23), over3 = (word >> 15) & 255u;
        for (; at + LITERALS_A_FLUSH <= end; at += LITERALS_A_FLUSH) {
            for (uint i = 0; i < LITERALS_A_FLUSH; i++) put_code(w, codes->literals[in[at + i]]);
            flush(w);
        }
        for (; at < end; at++) put_code(w, codes->literals[in[at]]);
        flush(w);
        if (over3) {
            put_match(w, codes, over3, word & 32767u);
            at += over3 + 3u;
        }
    }
    put_code(w, codes->literals[END]);
    flush(w);
}

static inline uint store(In in, uint n, global uchar *out) {
    for (uint from = 0, to = 0; from < n; from += PIECE, to += PIECE + 5u) {
        uint piece = min(n - from, PIECE);
        stored_head(out + to, piece);
        for (uint i = 0; i < piece; i++) out[to + 5u + i] = in[from + i];
    }
    return stored_bytes(n);
}

static inline uint2 compress_block(In in, uint n, global uchar *out, global uint *scratch) {
    Counts counts;
    Codes codes;
    for (uint i = 0; i < LITERALS; i++) counts.literal_counts[i] = 0;
    for (uint i = 0; i < DISTANCES; i++) counts.distance_counts[i] = 0;
    counts.literal_counts[END] = 1;
    Sequences s = {scratch, 0};
    bool zero = all_zero(in, n);
    if (zero)
        parse_zeros(&s, &counts, in, n);
    else
        parse(&s, &counts, in, n);
    Writer w = {out, 0, 0, 0};
    if (!begin(&counts, n, &codes, &w)) return (uint2)(store(in, n, out), TAG | (zero ? ZERO : STORED));
    put_body(&w, &codes, &s, in);
    return (uint2)(finish(&w), TAG | (zero ? ZERO : DEFLATED));
}

#if STYLE == 0
#define BLOCKS_OF(count) uint first = get_global_id(0), after = first + 1u
#else
#define BLOCKS_OF(count) uint first = 0, after = (count)
#endif

__attribute__((reqd_work_group_size(1, 1, 1)))
kernel void deflate_blocks(global const uchar *restrict in, global uchar *restrict slots, global uint2 *restrict res,
                           uint in_bytes, uint slot_stride, global uint *restrict scratch) {
    BLOCKS_OF((in_bytes + BLOCK - 1u) / BLOCK);
    for (uint b = first; b < after; b++)
        res[b] = compress_block(in + (size_t)b * BLOCK, min(in_bytes - b * BLOCK, (uint)BLOCK),
                                slots + (size_t)b * slot_stride, scratch + (size_t)b * (SCRATCH_BYTES / 4u));
}

__attribute__((reqd_work_group_size(1, 1, 1)))
kernel void gather_blocks(global const uchar *restrict slots, global const uint2 *restrict res,
                          global const uint *restrict offsets, global uchar *restrict joined, uint blocks,
                          uint slot_stride) {
    BLOCKS_OF(blocks);
    for (uint b = first; b < after; b++) {
        global const uchar *from = slots + (size_t)b * slot_stride;
        global uchar *to = joined + offsets[b];
        for (uint i = 0, n = res[b].x; i < n; i++) to[i] = from[i];
    }
}

#else
// ---------------------------------------------------------------- wg: a work-group compresses a block
//
// Rounds of one position a lane. Candidates are the hash table's position from earlier rounds and three fixed distances; the
// table keeps the highest position that a round offers (atomic_max), so what is found does not depend on timing. Lane 0 walks
// the round's matches greedily and makes the codes; counting and writing are done by all lanes.

#define LANES WORK_GROUP
#define WG_HASH_BITS 12u
#define LITERAL 0x80000000u  // a token: LITERAL | byte, MATCH | length - 3 : 8 | distance - 1 : 15, or 0 inside a match
#define MATCH 0x40000000u

typedef struct {
    uint table[1u << WG_HASH_BITS];  // position + 1
    uint literal_counts[LITERALS], distance_counts[DISTANCES];
    uint literal_codes[LITERALS], distance_codes[DISTANCES];
    uint found[LANES];   // token of the match that begins at the lane's position, or 0
    uint starts[LANES];  // whether a token begins there
    uint sums[LANES];
    uint words[2u * LANES + 2u];
    uint next, any, stored, at, bits, held;
} Group;

static inline void try_distance(In in, uint at, uint distance, uint most, uint *best, uint *token) {
    if (distance > at || !IN_REACH(distance) || load32(in, at - distance) != load32(in, at)) return;
    uint length = match_length(in, at - distance, at, 4u, most);
    if (length <= *best) return;
    *best = length;
    *token = MATCH | (length - 3u) << 15 | (distance - 1u);
}

// The match that begins at this lane's position. Enters the position into the table. All lanes come here together.
static inline uint find(local Group *g, In in, uint n, uint at, bool wanted) {
    bool inside = at + 4u <= n;
    uint bucket = inside ? (load32(in, at) * 0x9E3779B1u) >> (32u - WG_HASH_BITS) : 0u;
    uint candidate = inside ? g->table[bucket] : 0u, best = 0, token = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (inside) {
        atomic_max(&g->table[bucket], at + 1u);
        if (wanted) {
            uint most = min(n - at, MAX_MATCH);
            try_distance(in, at, 1u, most, &best, &token);
            try_distance(in, at, 4u, most, &best, &token);
            try_distance(in, at, 8u, most, &best, &token);
            if (candidate) try_distance(in, at, at + 1u - candidate, most, &best, &token);
        }
    }
    return token;
}

static inline void parse_by_group(local Group *g, In in, uint n, global uint *tokens, uint lane) {
    for (uint base = 0; base < n; base += LANES) {
        uint at = base + lane, next = g->next;
        g->found[lane] = find(g, in, n, at, next < base + LANES);
        g->starts[lane] = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane == 0) {
            uint end = min(base + LANES, n);
            while (next < end) {
                uint token = g->found[next - base];
                g->starts[next - base] = 1;
                next += token ? ((token >> 15) & 255u) + 3u : 1u;
            }
            g->next = next;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (at < n) {
            uint token = !g->starts[lane] ? 0u : g->found[lane] ? g->found[lane] : LITERAL | in[at];
            tokens[at] = token;
            if (token & LITERAL) atomic_inc(&g->literal_counts[token & 255u]);
            if (token & MATCH) {
                atomic_inc(&g->literal_counts[length_symbol((token >> 15) & 255u)]);
                atomic_inc(&g->distance_counts[distance_symbol(token & 32767u)]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

// Lane 0: chooses the form, makes the codes, writes the header.
static inline void begin_group(local Group *g, uint n, global uchar *out) {
    Counts counts;
    Codes codes;
    Writer w = {out, 0, 0, 0};
    for (uint s = 0; s < LITERALS; s++) counts.literal_counts[s] = g->literal_counts[s];
    for (uint s = 0; s < DISTANCES; s++) counts.distance_counts[s] = g->distance_counts[s];
    g->stored = !begin(&counts, n, &codes, &w);
    for (uint s = 0; s < LITERALS; s++) g->literal_codes[s] = codes.literals[s];
    for (uint s = 0; s < DISTANCES; s++) g->distance_codes[s] = codes.distances[s];
    g->at = w.at;
    g->bits = w.bits;
    g->held = (uint)w.held;
}

static inline ulong token_code(local Group *g, uint token, uint *bits) {
    *bits = 0;
    if (!token) return 0;
    uint over3 = (token >> 15) & 255u, over1 = token & 32767u;
    uint symbol = token & LITERAL ? token & 255u : length_symbol(over3);
    uint code = g->literal_codes[symbol], filled = code_bits(code);
    ulong value = code_value(code);
    if (token & MATCH) {
        uint extra = length_extra_bits(symbol);
        value |= (ulong)(over3 & ((1u << extra) - 1u)) << filled;
        filled += extra;
        symbol = distance_symbol(over1);
        code = g->distance_codes[symbol];
        value |= code_value(code) << filled;
        filled += code_bits(code);
        extra = distance_extra_bits(symbol);
        value |= (ulong)(over1 & ((1u << extra) - 1u)) << filled;
        filled += extra;
    }
    *bits = filled;
    return value;
}

// Sum of the lanes before this one; g->sums holds the sums with it.
static inline uint sum_before(local Group *g, uint lane, uint own) {
    g->sums[lane] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint step = 1; step < LANES; step *= 2u) {
        uint other = lane >= step ? g->sums[lane - step] : 0u;
        barrier(CLK_LOCAL_MEM_FENCE);
        g->sums[lane] += other;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return g->sums[lane] - own;
}

static inline void write_by_group(local Group *g, uint n, global const uint *tokens, global uchar *out, uint lane) {
    for (uint base = 0; base < n; base += LANES) {
        uint at = base + lane, bits;
        ulong value = token_code(g, at < n ? tokens[at] : 0u, &bits);
        for (uint i = lane; i < 2u * LANES + 2u; i += LANES) g->words[i] = i ? 0u : g->held;
        uint offset = g->bits + sum_before(g, lane, bits), word = offset >> 5, shift = offset & 31u;
        ulong low = value << shift;
        if (bits) {
            atomic_or(&g->words[word], (uint)low);
            atomic_or(&g->words[word + 1u], (uint)(low >> 32));
            if (shift) atomic_or(&g->words[word + 2u], (uint)(value >> (64u - shift)));
        }
        uint total = g->bits + g->sums[LANES - 1u], whole = total >> 5;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = lane; i < whole; i += LANES) ((global uint *)out)[(g->at >> 2) + i] = g->words[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane == 0) {
            g->at += 4u * whole;
            g->bits = total & 31u;
            g->held = g->words[whole];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

static inline uint store_by_group(In in, uint n, global uchar *out, uint lane) {
    for (uint from = 0, to = 0; from < n; from += PIECE, to += PIECE + 5u) {
        uint piece = min(n - from, PIECE);
        if (lane == 0) stored_head(out + to, piece);
        for (uint i = lane; i < piece; i += LANES) out[to + 5u + i] = in[from + i];
    }
    return stored_bytes(n);
}

__attribute__((reqd_work_group_size(LANES, 1, 1)))
kernel void deflate_blocks(global const uchar *restrict all, global uchar *restrict slots, global uint2 *restrict res,
                           uint in_bytes, uint slot_stride, global uint *restrict scratch) {
    local Group group;
    local Group *g = &group;
    uint lane = get_local_id(0), b = get_group_id(0), n = min(in_bytes - b * BLOCK, (uint)BLOCK);
    In in = all + (size_t)b * BLOCK;
    global uchar *out = slots + (size_t)b * slot_stride;
    global uint *tokens = scratch + (size_t)b * (SCRATCH_BYTES / 4u);
    for (uint i = lane; i < 1u << WG_HASH_BITS; i += LANES) g->table[i] = 0;
    for (uint s = lane; s < LITERALS; s += LANES) g->literal_counts[s] = s == END ? 1u : 0u;
    for (uint s = lane; s < DISTANCES; s += LANES) g->distance_counts[s] = 0;
    if (lane == 0) g->next = g->any = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    uint any = 0;
    for (uint i = lane; i < n; i += LANES) any |= in[i];
    if (any) atomic_or(&g->any, 1u);
    parse_by_group(g, in, n, tokens, lane);
    if (lane == 0) begin_group(g, n, out);
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    uint bytes = 0;
    if (g->stored)
        bytes = store_by_group(in, n, out, lane);
    else
        write_by_group(g, n, tokens, out, lane);
    if (lane == 0) {
        if (!g->stored) {
            Writer w = {out, g->held, g->bits, g->at};
            put(&w, code_value(g->literal_codes[END]), code_bits(g->literal_codes[END]));
            flush(&w);
            bytes = finish(&w);
        }
        res[b] = (uint2)(bytes, TAG | (!g->any ? ZERO : g->stored ? STORED : DEFLATED));
    }
}

__attribute__((reqd_work_group_size(LANES, 1, 1)))
kernel void gather_blocks(global const uchar *restrict slots, global const uint2 *restrict res,
                          global const uint *restrict offsets, global uchar *restrict joined, uint blocks,
                          uint slot_stride) {
    uint b = get_group_id(0), n = res[b].x;
    global const uchar *from = slots + (size_t)b * slot_stride;
    global uchar *to = joined + offsets[b];
    for (uint i = get_local_id(0); i < n; i += LANES) to[i] = from[i];
}
#endif

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
