/* Stands for libqatzip.so in tests: the same ABI, zlib instead of a card, and the failures that the real one has.
 *
 * PAGEFERRY_STANDIN names what goes wrong, as FAULT or FAULT@N (from the N-th compression on, counted from 1).
 * zlib comes by dlopen, so that no header of it is needed.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    signed long hw_session_stat;
    int thd_sess_stat;
    void *internal;
    unsigned long total_in, total_out;
} Session;

typedef struct {
    int direction;
    unsigned comp_lvl;
    unsigned char comp_algorithm;
    unsigned max_forks;
    unsigned char sw_backup;
    unsigned hw_buff_sz, strm_buff_sz, input_sz_thrshold, req_cnt_thrshold, wait_cnt_thrshold;
    int polling_mode;
    unsigned is_sensitive_mode;
    int huffman_hdr, data_fmt;
} Parameters;

typedef int (*Compress2)(unsigned char *, unsigned long *, const unsigned char *, unsigned long, int);

static int calls;
static __thread Parameters set;

static int fault(const char *name) {
    const char *wanted = getenv("PAGEFERRY_STANDIN");
    size_t length = strlen(name);
    if (!wanted || strncmp(wanted, name, length)) return 0;
    if (!wanted[length]) return 1;
    return wanted[length] == '@' && calls >= atoi(wanted + length + 1);
}

/* sizeof and offsetof as C sees them, for the test of Python's declarations. */
unsigned standin_layout(unsigned which) {
    const unsigned facts[] = {
        sizeof(Session), offsetof(Session, thd_sess_stat), offsetof(Session, internal), offsetof(Session, total_out),
        sizeof(Parameters), offsetof(Parameters, max_forks), offsetof(Parameters, hw_buff_sz),
        offsetof(Parameters, is_sensitive_mode), offsetof(Parameters, data_fmt),
    };
    return which < sizeof facts / sizeof *facts ? facts[which] : 0;
}

void standin_reset(void) { calls = 0; }

int qzInit(Session *session, unsigned char sw_backup) {
    if (fault("crash-at-init")) raise(SIGSEGV);
    if (fault("hang-at-init")) sleep(3600);
    if (fault("no-hw")) return sw_backup ? 0 : -101;
    if (fault("no-driver")) return sw_backup ? 0 : -102;
    session->hw_session_stat = 0;
    return 0;
}

int qzGetDefaultsDeflate(Parameters *p) {
    if (fault("old-layout")) { /* the version before is_sensitive_mode */
        memset(p, 0, sizeof *p);
        p->direction = 2;
        p->comp_algorithm = 8;
        p->is_sensitive_mode = 0;
        p->huffman_hdr = 2;
        return 0;
    }
    *p = (Parameters){2, 1, 8, 3, 1, 65536, 65536, 1024, 32, 8, 0, 0, 0, 2};
    return 0;
}

int qzSetupSessionDeflate(Session *session, Parameters *p) {
    if (fault("no-instance")) return -103;
    if (fault("bad-parameters")) return -1;
    if (p->data_fmt != 3 || p->direction != 0 || p->sw_backup != 0 || p->hw_buff_sz & (p->hw_buff_sz - 1)) return -1;
    session->internal = &set;
    set = *p;
    session->hw_session_stat = 0;
    return 0;
}

int qzCompressExt(Session *session, const unsigned char *src, unsigned *src_len, unsigned char *dest, unsigned *dest_len,
                  unsigned last, uint64_t *ext_rc) {
    calls++;
    if (fault("crash")) raise(SIGSEGV);
    if (fault("hang")) sleep(3600);
    if (fault("timeout")) return -5;
    if (fault("fail")) return -2;
    if (fault("buf-error")) return -3;
    if (fault("lost")) return -103;
    unsigned char *copy = malloc(*src_len), *packed = malloc(*src_len * 2 + 64);
    unsigned long room = *src_len * 2 + 64, taken = fault("unconsumed") ? *src_len / 2 : *src_len;
    Compress2 compress2 = (Compress2)dlsym(dlopen("libz.so.1", RTLD_NOW), "compress2");
    memcpy(copy, src, *src_len);
    if (fault("wrong")) copy[*src_len / 2] ^= 1;
    int code = last != 1 || compress2(packed, &room, copy, taken, (int)set.comp_lvl) ? -2 : 0;
    room -= 6; /* zlib's head of 2 and checksum of 4 around the raw stream */
    if (!code && room > *dest_len) code = -3;
    if (!code) {
        memcpy(dest, packed + 2, room);
        if (fault("short")) room /= 2;
        if (fault("empty")) room = 0;
        if (fault("over")) room = *dest_len + 1;
        *dest_len = (unsigned)room;
        *src_len = (unsigned)taken;
        if (ext_rc) *ext_rc = fault("software-told") ? 1u << 4 : 0;
        session->hw_session_stat = fault("software-silent") ? 11 : 0;
    }
    free(copy);
    free(packed);
    return code;
}

int qzTeardownSession(Session *session) {
    session->internal = NULL;
    return 0;
}

int qzClose(Session *session) {
    (void)session;
    return 0;
}
