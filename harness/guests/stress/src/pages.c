/*
 * The working set: what is written into a page, and whether a page holds what was last written. Knows no time.
 *
 * A page starts with its number and its sequence number (4 bytes each) and a checksum over both and the changed bytes
 * (8); then come the changed bytes, a function of both numbers. The rest keeps what the host filled in. The table
 * holds each page's last sequence number, so that an old copy of a page is found although it is consistent in itself.
 */
#include "stress.h"

static u64 written;
static u64 cursor;
static u64 random_state = 0x9e3779b97f4a7c15;

static u64 scramble(u64 x)
{
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
    return x ^ x >> 32;
}

static u64 *page_at(const struct config *config, u64 page)
{
    u64 address = config->first + page * PAGE_BYTES;
    return (u64 *)(address < config->split ? address : address - config->split + 4 * GIB);
}

static u64 identity(u64 page, u32 sequence)
{
    return (u64)sequence << 32 | page;
}

static u64 content(u64 identity, u64 word)
{
    return scramble(identity * 0x9e3779b97f4a7c15 + word);
}

static u64 fold(u64 checksum, u64 word)
{
    checksum = (checksum ^ word) * 0x2545f4914f6cdd1d;
    return checksum ^ checksum >> 29;
}

static void write_page(const struct config *config, u64 page)
{
    u32 sequence = ++((u32 *)config->table)[page];
    u64 *words = page_at(config, page);
    u64 name = identity(page, sequence);
    u64 checksum = fold(0, name);
    for (u64 i = 0; i < config->changed / 8; i++) {
        words[2 + i] = content(name, i);
        checksum = fold(checksum, words[2 + i]);
    }
    words[0] = name;
    words[1] = checksum;
    written++;
}

static u64 next_page(const struct config *config)
{
    if (config->random) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (random_state >> 32) * config->pages >> 32;
    }
    u64 page = cursor;
    cursor = cursor + 1 == config->pages ? 0 : cursor + 1;
    return page;
}

void pages_write_next(const struct config *config)
{
    write_page(config, next_page(config));
}

void pages_write_all(const struct config *config)
{
    u64 *table = (u64 *)config->table;
    for (u64 i = 0; i < (config->pages + 1) / 2; i++)
        table[i] = 0;
    for (u64 page = 0; page < config->pages; page++)
        write_page(config, page);
}

/* In words, or 0 when the page is as it was last written. */
static const char *problem(const struct config *config, u64 page, const u64 *words)
{
    u64 name = words[0];
    u64 checksum = fold(0, name);
    for (u64 i = 0; i < config->changed / 8; i++)
        checksum = fold(checksum, words[2 + i]);
    if (checksum != words[1])
        return "corrupt";
    if ((u32)name != page)
        return "misplaced";
    if (name >> 32 != ((u32 *)config->table)[page])
        return "stale";
    for (u64 i = 0; i < config->changed / 8; i++)
        if (words[2 + i] != content(name, i))
            return "forged";
    return 0;
}

void pages_check(const struct config *config, struct check *check)
{
    for (u64 page = 0; page < config->pages; page++) {
        const u64 *words = page_at(config, page);
        const char *found = problem(config, page, words);
        if (found && !check->bad++) {
            check->first_bad = page;
            check->problem = found;
            check->expected = ((u32 *)config->table)[page];
            check->actual = (u32)(words[0] >> 32);
        }
        check->sum += ((u32 *)config->table)[page];
    }
}

u64 pages_written(void)
{
    return written;
}
