/* The heart of the Linux guest: beats on its console, and says how much work was done. Needs no library, so it runs anywhere.
 *
 *   heart CONSOLE COUNTER
 *
 * Each 10 ms a byte 0xff, which no text in UTF-8 holds; each 100 ms a line "at=<ms> done=<count>": the guest's monotonic clock, and
 * the number in the file COUNTER, in decimal digits, that whoever works there raises. It runs before every usual process, so that a
 * silence is the machine's and not the scheduler's. After a silence it goes on from now and makes up for nothing.
 */

typedef long number;

enum { WRITE = 1, OPEN = 2, PREAD = 17, EXIT = 60, SCHEDULER = 144, NOW = 228, SLEEP = 230 };
enum { WRITE_ONLY = 1, READ_ONLY = 0, FIFO = 1, PRIORITY = 50, MONOTONIC = 1, ABSOLUTE = 1 };
enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000, BEAT_NS = 10 * NS_PER_MS, BEATS_PER_LINE = 10 };

struct time { number s, ns; };

static number call(number what, number a, number b, number c, number d)
{
    number result;
    register number fourth __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(what), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
    return result;
}

static void fail(int status)
{
    call(EXIT, status, 0, 0, 0);
    __builtin_unreachable();
}

static char *put_text(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    return to;
}

static char *put_number(char *to, number value)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        *to++ = digits[--count];
    return to;
}

/* What was read last, where the file is being written anew. */
static number work_done(number counter)
{
    static number last;
    char digits[20];
    number length = call(PREAD, counter, (number)digits, sizeof digits, 0), value = 0, i;
    for (i = 0; i < length && digits[i] >= '0' && digits[i] <= '9'; i++)
        value = value * 10 + digits[i] - '0';
    if (i > 0)
        last = value;
    return last;
}

static void say(number console, number counter, number now_ns)
{
    char line[64], *end = line;
    end = put_number(put_text(end, "at="), now_ns / NS_PER_MS);
    end = put_number(put_text(end, " done="), work_done(counter));
    end = put_text(end, "\n");
    call(WRITE, console, (number)line, end - line, 0);
}

static number now(void)
{
    struct time at;
    call(NOW, MONOTONIC, (number)&at, 0, 0);
    return at.s * NS_PER_S + at.ns;
}

static void sleep_until(number at_ns)
{
    struct time at = {at_ns / NS_PER_S, at_ns % NS_PER_S};
    call(SLEEP, MONOTONIC, ABSOLUTE, (number)&at, 0);
}

/* The kernel hands over what is on the stack: the number of arguments, then the arguments. */
__attribute__((used)) static void beat(const number *stack)
{
    static const unsigned char byte = 0xff;
    const char *const *arguments = (const char *const *)(stack + 1);
    const int priority = PRIORITY;
    number console, counter, next_ns, beats;

    if (stack[0] != 3)
        fail(2);
    console = call(OPEN, (number)arguments[1], WRITE_ONLY, 0, 0);
    counter = call(OPEN, (number)arguments[2], READ_ONLY, 0, 0);
    if (console < 0 || counter < 0 || call(SCHEDULER, 0, FIFO, (number)&priority, 0) < 0)
        fail(3);
    next_ns = now();
    for (beats = 0;; beats++) {
        number at_ns = now();
        call(WRITE, console, (number)&byte, 1, 0);
        if (beats % BEATS_PER_LINE == 0)
            say(console, counter, at_ns);
        next_ns = at_ns > next_ns + BEAT_NS ? at_ns + BEAT_NS : next_ns + BEAT_NS;
        sleep_until(next_ns);
    }
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall beat\n");
