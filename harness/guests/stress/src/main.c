/*
 * Ring 3: reads its settings from PVH's command line, then each tick obeys at most one command and dirties its share
 * of pages, and halts. Commands are single letters on COM1: v verify, p pause, r resume, s status. Unasked it tells ten times
 * a second how many pages it has written.
 */
#include "stress.h"

#define START_MAGIC 0x336ec578
#define MEMORY_RAM 1
#define TELL_TICKS 10
#define CATCH_UP_TICKS 10 /* after a longer stall the guest drops the pages it owes: no burst after a migration */

struct start_info {
    u32 magic, version, flags, modules;
    u64 module_list, command_line, rsdp, memory_map;
    u32 memory_map_entries, reserved;
};

struct memory_range {
    u64 start, bytes;
    u32 type, reserved;
};

extern u64 page_directory_pointers[], page_directories[];

static struct config config;
static bool paused;
static u64 owed_bytes; /* times TICK_HZ, so that any rate divides */
static u64 dropped_ticks;

static void say(struct line *line)
{
    line_end(line);
    console_write(line->text, line->bytes);
}

static void refuse(const char *why)
{
    struct line line = {.bytes = 0};
    line_word(&line, "refused ");
    line_word(&line, why);
    say(&line);
    for (u64 ticks = 0;;)
        ticks = wait_for_tick(ticks);
}

static void read_config(const char *text)
{
    bool ok = option(text, "table", &config.table) && option(text, "first", &config.first) &&
              option(text, "split", &config.split) && option(text, "pages", &config.pages) &&
              option(text, "rate", &config.rate) && option(text, "changed", &config.changed) &&
              option(text, "random", &config.random);
    if (!ok)
        refuse("command line lacks table, first, split, pages, rate, changed or random");
    if (config.changed % 8 || config.changed > PAGE_BYTES - 16 || !config.pages || config.pages >> 32)
        refuse("command line holds a value out of range");
}

static bool is_ram(const struct start_info *info, u64 start, u64 end)
{
    const struct memory_range *ranges = (const struct memory_range *)info->memory_map;
    for (u32 i = 0; i < info->memory_map_entries; i++)
        if (ranges[i].type == MEMORY_RAM && ranges[i].start <= start && end <= ranges[i].start + ranges[i].bytes)
            return 1;
    return start >= end;
}

static void map_memory(const struct start_info *info)
{
    u64 end = config.first + config.pages * PAGE_BYTES;
    u64 low_end = end < config.split ? end : config.split;
    u64 high_end = end - low_end + 4 * GIB;
    if (high_end > MAPPED_GIB * GIB)
        refuse("working set ends above what this guest maps");
    if (!is_ram(info, config.table, low_end) || !is_ram(info, 4 * GIB, high_end))
        refuse("working set or table is not in RAM");
    for (u64 gib = 4; gib * GIB < high_end; gib++) {
        u64 *directory = page_directories + gib * 512;
        for (u64 i = 0; i < 512; i++)
            directory[i] = (gib * GIB + (i << 21)) | 0xe7;
        page_directory_pointers[gib] = (u64)directory | 0x67;
    }
}

static void report(const char *what)
{
    struct line line = {.bytes = 0};
    line_word(&line, what);
    line_number(&line, "pages", config.pages);
    line_number(&line, "writes", pages_written());
    line_number(&line, "paused", paused);
    line_number(&line, "dropped_ticks", dropped_ticks);
    say(&line);
}

static void tell_work(void)
{
    struct line line = {.bytes = 0};
    line_word(&line, "work");
    line_number(&line, "writes", pages_written());
    say(&line);
}

static void verify(void)
{
    struct check check = {.problem = "none"};
    pages_check(&config, &check);
    struct line line = {.bytes = 0};
    line_word(&line, "verify problem=");
    line_word(&line, check.problem);
    line_number(&line, "checked", config.pages);
    line_number(&line, "bad", check.bad);
    line_number(&line, "first_bad", check.first_bad);
    line_number(&line, "expected", check.expected);
    line_number(&line, "actual", check.actual);
    line_number(&line, "writes", pages_written());
    line_number(&line, "sum", check.sum);
    say(&line);
}

static void obey(int command)
{
    switch (command) {
    case 'v':
        verify();
        break;
    case 'p':
    case 'r':
        paused = command == 'p';
        report("status");
        break;
    case 's':
        report("status");
        break;
    }
}

static void dirty(u64 ticks)
{
    owed_bytes += ticks * config.rate;
    while (owed_bytes >= PAGE_BYTES * TICK_HZ) {
        pages_write_next(&config);
        owed_bytes -= PAGE_BYTES * TICK_HZ;
    }
}

void stress_main(const struct start_info *info)
{
    if (info->magic != START_MAGIC || info->version < 1)
        refuse("no PVH start info with a memory map");
    read_config((const char *)info->command_line);
    map_memory(info);
    pages_write_all(&config);
    report("ready");
    u64 done = wait_for_tick(0);
    for (;;) {
        u64 now = wait_for_tick(done);
        u64 passed = now - done;
        bool tells = now / TELL_TICKS != done / TELL_TICKS;
        done = now;
        if (passed > CATCH_UP_TICKS) {
            dropped_ticks += passed - CATCH_UP_TICKS;
            passed = CATCH_UP_TICKS;
        }
        obey(console_read());
        if (!paused)
            dirty(passed);
        if (tells)
            tell_work();
    }
}
