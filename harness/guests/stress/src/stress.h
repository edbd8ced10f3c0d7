/* What the parts of the stress guest share. The numbers that the host must know too are in ../layout.py. */
#ifndef STRESS_H
#define STRESS_H

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE 0x18
#define USER_DATA 0x20
#define TASK 0x28

#define MAPPED_GIB 64
#define TICK_HZ 100

#ifndef __ASSEMBLER__

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef _Bool bool;

#define GIB (1UL << 30)
#define PAGE_BYTES 4096UL

/* machine.c, ring 0: reached from ring 3 by these only. */
u64 wait_for_tick(u64 seen);                    /* returns at once if the tick count is no longer `seen` */
void console_write(const char *text, u64 bytes); /* whole, no heartbeat in between */
int console_read(void);                         /* a byte, or -1 */

/* text.c: one line of output under construction. */
struct line {
    char text[256];
    u32 bytes;
};
void line_word(struct line *line, const char *word);
void line_number(struct line *line, const char *name, u64 value); /* " name=value", decimal */
void line_end(struct line *line);                                 /* newline */
bool option(const char *command_line, const char *name, u64 *value); /* finds "name=NUMBER" */

/* pages.c: the working set. */
struct config {
    u64 table;   /* address of the expected sequence numbers, 4 bytes a page */
    u64 first;   /* address of the working set's first page */
    u64 split;   /* pages that would start at or above this address are at 4 GiB and up instead */
    u64 pages;
    u64 rate;    /* bytes of dirtied pages per second */
    u64 changed; /* bytes per page, beside the header of 16 */
    u64 random;  /* 0: sequential */
};
struct check {
    u64 bad;
    u64 first_bad;
    const char *problem;
    u32 expected;
    u32 actual;
    u64 sum;
};
void pages_write_next(const struct config *config);
void pages_write_all(const struct config *config);
void pages_check(const struct config *config, struct check *check);
u64 pages_written(void);

#endif
#endif
