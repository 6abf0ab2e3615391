/* Kills the process at its n-th write-like call below a folder. Loaded with LD_PRELOAD, so it sees what
 * Python, SQLite and DuckDB ask of the disk alike. arm_death(n, is_torn, folder); n = 0 only counts;
 * torn counts only what can be torn, and dies when half of it is written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static int torn;
static long at;
static atomic_long met;

void arm_death(long n, int is_torn, const char *folder) {
    at = n;
    torn = is_torn;
    strncpy(root, folder, sizeof root - 1);
    met = 0;
}

long calls_met(void) { return met; }

static int below(const char *path) { return root[0] && path && !strncmp(path, root, strlen(root)); }

static int held(int fd) {
    char link[64], path[PATH_MAX];
    if (!root[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* One more call: true where the process is to die in the middle of it. */
static int counted(int is_ours, int can_be_torn) {
    if (!is_ours || (torn && !can_be_torn) || atomic_fetch_add(&met, 1) + 1 != at) return 0;
    if (!torn) die();
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t n) {
    if (counted(held(fd), n > 1)) { REAL(write)(fd, data, n / 2); die(); }
    return REAL(write)(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t where) {
    if (counted(held(fd), n > 1)) { REAL(pwrite)(fd, data, n / 2, where); die(); }
    return REAL(pwrite)(fd, data, n, where);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t where) {
    if (counted(held(fd), n > 1)) { REAL(pwrite64)(fd, data, n / 2, where); die(); }
    return REAL(pwrite64)(fd, data, n, where);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    counted(held(fd), 0);
    return REAL(writev)(fd, parts, n);
}

int fsync(int fd) { counted(held(fd), 0); return REAL(fsync)(fd); }
int fdatasync(int fd) { counted(held(fd), 0); return REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { counted(held(fd), 0); return REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { counted(held(fd), 0); return REAL(ftruncate64)(fd, n); }
int flock(int fd, int how) { counted(held(fd), 0); return REAL(flock)(fd, how); }
int rename(const char *a, const char *b) { counted(below(a), 0); return REAL(rename)(a, b); }
int mkdir(const char *path, mode_t mode) { counted(below(path), 0); return REAL(mkdir)(path, mode); }
int unlink(const char *path) { counted(below(path), 0); return REAL(unlink)(path); }

static int opened(const char *path, int flags) { return (flags & O_CREAT) && below(path); }

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) {
    MODE(flags)
    counted(opened(path, flags), 0);
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    counted(opened(path, flags), 0);
    return REAL(open64)(path, flags, mode);
}
