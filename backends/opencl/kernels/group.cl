#if STYLE == 1
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
