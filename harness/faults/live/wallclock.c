/* A wall clock that can be stepped, for one process (LD_PRELOAD): the kernel's, and as much as stands in the file that
   PAGEFERRY_WALLCLOCK names. The file holds that in nanoseconds, and how often the clock was read. Other clocks are the kernel's. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

struct shared {
    _Atomic int64_t ahead_ns;
    _Atomic int64_t readings;
};

static struct shared *shared;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("PAGEFERRY_WALLCLOCK");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *place = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place != MAP_FAILED)
        shared = place;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && shared && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = now->tv_sec * SECOND + now->tv_nsec + shared->ahead_ns;
        shared->readings++;
        now->tv_sec = ns / SECOND;
        now->tv_nsec = ns % SECOND;
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec told;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &told);
    now->tv_sec = told.tv_sec;
    now->tv_usec = told.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec told;
    clock_gettime(CLOCK_REALTIME, &told);
    if (where)
        *where = told.tv_sec;
    return told.tv_sec;
}
