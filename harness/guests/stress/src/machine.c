/*
 * Ring 0: interrupts, the 100 Hz tick with its heartbeat, COM1, and the three services that ring 3 may call.
 * Knows nothing of pages or commands. Every port access is an exit to the hypervisor, so there are few.
 */
#include "stress.h"

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xa0
#define PIT_CHANNEL_0 0x40
#define PIT_CONTROL 0x43
#define PIT_HZ 1193182
#define LOCAL_APIC_SPURIOUS 0xfee000f0
#define LOCAL_APIC_LINT0 0xfee00350
#define LOCAL_APIC_ENABLE 0x100
#define EXTERNAL_INTERRUPTS 0x700
#define COM1 0x3f8
#define COM1_LINE_STATUS (COM1 + 5)
#define DATA_READY 0x01

#define INVALID_INSTRUCTION_VECTOR 6
#define TICK_VECTOR 32
#define SPURIOUS_VECTOR 47
#define VECTORS 48
#define GATE 0x8e

/* A heartbeat is ten bytes of six bits: 11xxxxxx, then nine times 10xxxxxx; text stays below 0x80. So a reader that
 * joins in the middle finds the next one. High to low: tick count (24 bits), time-stamp counter
 * divided by 1024 (36 bits). */
#define BEAT_BYTES 10
#define BEAT_TSC_BITS 36
#define BEAT_TSC_SHIFT 10

enum service_number { WAIT_FOR_TICK, CONSOLE_WRITE, CONSOLE_READ };

struct gate {
    u16 offset_low, selector;
    u8 stack, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};

struct task_state {
    u32 reserved;
    u64 stack[3];
    u8 rest[74];
    u16 io_map;
} __attribute__((packed));

struct pointer {
    u16 limit;
    u64 base;
} __attribute__((packed));

extern u64 descriptors[];
extern u64 service(enum service_number number, u64 first, u64 second); /* ring 3's way into machine_service */
extern char kernel_stack_top[], tick_entry[], service_entry[], spurious_entry[], fault_entries[];

static struct gate gates[VECTORS];
static struct task_state task;
static volatile u64 ticks;

static inline void out(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 in(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void write_com1(const char *text, u64 bytes)
{
    __asm__ volatile("rep outsb" : "+S"(text), "+c"(bytes) : "d"(COM1) : "memory");
}

static void set_gate(u32 vector, const char *entry)
{
    u64 offset = (u64)entry;
    gates[vector] = (struct gate){(u16)offset, KERNEL_CODE, 0, GATE, (u16)(offset >> 16), (u32)(offset >> 32), 0};
}

static void set_traps(void)
{
    for (u32 vector = 0; vector < 32; vector++)
        set_gate(vector, fault_entries + 8 * vector);
    for (u32 vector = 32; vector < VECTORS; vector++)
        set_gate(vector, spurious_entry);
    set_gate(INVALID_INSTRUCTION_VECTOR, service_entry);
    set_gate(TICK_VECTOR, tick_entry);
    struct pointer pointer = {sizeof(gates) - 1, (u64)gates};
    __asm__ volatile("lidt %0" : : "m"(pointer));

    u64 base = (u64)&task;
    task.stack[0] = (u64)kernel_stack_top;
    task.io_map = sizeof(task);
    descriptors[TASK / 8] = (sizeof(task) - 1) | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
    descriptors[TASK / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TASK));
}

/* Interrupts 0-15 become vectors 32-47 and end by themselves; only the timer's is let through. */
static void set_timer(void)
{
    out(PIC_MASTER, 0x11);
    out(PIC_SLAVE, 0x11);
    out(PIC_MASTER + 1, TICK_VECTOR);
    out(PIC_SLAVE + 1, TICK_VECTOR + 8);
    out(PIC_MASTER + 1, 4);
    out(PIC_SLAVE + 1, 2);
    out(PIC_MASTER + 1, 3);
    out(PIC_SLAVE + 1, 3);
    out(PIC_MASTER + 1, 0xfe);
    out(PIC_SLAVE + 1, 0xff);
    u32 divisor = (PIT_HZ + TICK_HZ / 2) / TICK_HZ;
    out(PIT_CONTROL, 0x34);
    out(PIT_CHANNEL_0, (u8)divisor);
    out(PIT_CHANNEL_0, (u8)(divisor >> 8));
}

void machine_start(void)
{
    out(COM1 + 1, 0); /* no interrupts */
    out(COM1 + 2, 0); /* no FIFO: QEMU keeps each input byte until the one before it was read */
    out(COM1 + 3, 3);
    set_traps();
    set_timer();
    /* Firmware other than SeaBIOS may leave the processor deaf to the PIC. */
    *(volatile u32 *)LOCAL_APIC_SPURIOUS = LOCAL_APIC_ENABLE | SPURIOUS_VECTOR;
    *(volatile u32 *)LOCAL_APIC_LINT0 = EXTERNAL_INTERRUPTS;
}

/* The heartbeat leaves before any of the tick's work, so that its arrival tells when the guest really ran. */
void machine_tick(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    u64 time = ((u64)high << 32 | low) >> BEAT_TSC_SHIFT;
    u64 bits = ++ticks << BEAT_TSC_BITS | (time & ((1UL << BEAT_TSC_BITS) - 1));
    char beat[BEAT_BYTES];
    for (int i = BEAT_BYTES - 1; i >= 0; i--, bits >>= 6)
        beat[i] = (char)(0x80 | (bits & 0x3f));
    beat[0] |= 0x40;
    write_com1(beat, BEAT_BYTES);
}

u64 machine_service(enum service_number number, u64 first, u64 second)
{
    switch (number) {
    case WAIT_FOR_TICK:
        while (ticks == first)
            __asm__ volatile("sti; hlt; cli" : : : "memory");
        return ticks;
    case CONSOLE_WRITE:
        write_com1((const char *)first, second);
        return 0;
    case CONSOLE_READ:
        return in(COM1_LINE_STATUS) & DATA_READY ? in(COM1) : (u64)-1;
    }
    return 0;
}

/* Says where it happened, then stays silent: the missing heartbeats and this line tell the host. */
void machine_fault(u64 vector, const u64 *stack)
{
    const u32 with_error_code = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;
    u64 address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    struct line line = {.bytes = 0};
    line_word(&line, "fault");
    line_number(&line, "vector", vector);
    line_number(&line, "instruction", stack[with_error_code >> vector & 1]);
    line_number(&line, "address", address);
    line_end(&line);
    write_com1(line.text, line.bytes);
    for (;;)
        __asm__ volatile("cli; hlt");
}

u64 wait_for_tick(u64 seen)
{
    return service(WAIT_FOR_TICK, seen, 0);
}

void console_write(const char *text, u64 bytes)
{
    service(CONSOLE_WRITE, (u64)text, bytes);
}

int console_read(void)
{
    return (int)service(CONSOLE_READ, 0, 0);
}
