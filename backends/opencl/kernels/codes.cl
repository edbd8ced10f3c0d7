// Huffman codes of a block, its header, and the choice between its three forms.

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
