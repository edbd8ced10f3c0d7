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

#endif
