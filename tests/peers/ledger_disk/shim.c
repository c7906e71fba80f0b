/* Stands between SQLite and the C library (LD_PRELOAD): makes one call on the watched files fail, or writes
 * down every write, truncation and sync in order. Driven by driver.py through the shim_* functions.
 *
 * Only files whose path begins with the watched folder count; the trace itself is outside it. A failing call
 * stays failing ("sticky"), as a broken disk does, unless `once` is set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 1024
static char watched[512], names[FILES][512], fail_call[32];
static int trace = -1, fail_at = 0, fail_errno = 0, fail_once = 0, seen = 0, hits = 0;

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int mine(int fd) { return fd >= 0 && fd < FILES && names[fd][0]; }

static int fails(const char *call) {
    if (!fail_at || strcmp(call, fail_call)) return 0;
    seen++;
    if (fail_once ? seen != fail_at : seen < fail_at) return 0;
    hits++;
    errno = fail_errno;
    return 1;
}

/* One record: kind, length of the name, offset, length of the data; then name and data. */
static void note(char kind, const char *name, uint64_t offset, const void *data, uint64_t size) {
    if (trace < 0) return;
    REAL(write);
    char head[32];
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    uint64_t sizes[3] = {strlen(base), offset, size};
    head[0] = kind;
    memcpy(head + 1, sizes, sizeof sizes);
    if (real(trace, head, 25) < 0 || real(trace, base, sizes[0]) < 0 || (data && real(trace, data, size) < 0)) _exit(99);
}

void shim_watch(const char *folder) { snprintf(watched, sizeof watched, "%s", folder); }
void shim_fail(const char *call, int at, int error, int once) {
    snprintf(fail_call, sizeof fail_call, "%s", call);
    fail_at = at, fail_errno = error, fail_once = once, seen = 0, hits = 0;
}
int shim_hits(void) { return hits; }
void shim_trace(const char *path) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    trace = real(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}
void shim_mark(const char *text) { note('m', text, 0, NULL, 0); }

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= FILES) return fd;
    names[fd][0] = 0;
    if (watched[0] && !strncmp(path, watched, strlen(watched))) {
        snprintf(names[fd], sizeof names[fd], "%s", path);
        if (flags & O_TRUNC) note('t', path, 0, NULL, 0);
    }
    return fd;
}

static int do_open(const char *call, const char *path, int flags, int mode) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, call);
    if (watched[0] && !strncmp(path, watched, strlen(watched)) && fails("open")) return -1;
    return opened(real(path, flags, mode), path, flags);
}
int open64(const char *path, int flags, ...) {
    va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
    return do_open("open64", path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
    return do_open("open", path, flags, mode);
}
int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd < FILES) names[fd][0] = 0;
    return real(fd);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite64);
    if (!mine(fd)) return real(fd, data, size, offset);
    if (fails("pwrite")) return -1;
    if (fails("short")) return real(fd, data, size / 2, offset);
    ssize_t done = real(fd, data, size, offset);
    if (done > 0) note('w', names[fd], offset, data, done);
    return done;
}
ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (!mine(fd)) return real(fd, data, size);
    if (fails("write")) return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real(fd, data, size);
    if (done > 0) note('w', names[fd], at < 0 ? 0 : at, data, done);
    return done;
}
ssize_t pread64(int fd, void *data, size_t size, off_t offset) {
    REAL(pread64);
    return mine(fd) && fails("pread") ? -1 : real(fd, data, size, offset);
}
int ftruncate64(int fd, off_t size) {
    REAL(ftruncate64);
    if (mine(fd) && fails("ftruncate")) return -1;
    int done = real(fd, size);
    if (!done && mine(fd)) note('t', names[fd], size, NULL, 0);
    return done;
}
int fdatasync(int fd) {
    REAL(fdatasync);
    if (mine(fd) && fails("fdatasync")) return -1;
    if (mine(fd)) note('s', names[fd], 0, NULL, 0);
    return real(fd);
}
int fsync(int fd) {
    REAL(fsync);
    if (mine(fd) && fails("fsync")) return -1;
    if (mine(fd)) note('s', names[fd], 0, NULL, 0);
    return real(fd);
}
int unlink(const char *path) {
    REAL(unlink);
    int watching = watched[0] && !strncmp(path, watched, strlen(watched));
    if (watching && fails("unlink")) return -1;
    if (watching) note('u', path, 0, NULL, 0);
    return real(path);
}
int link(const char *from, const char *to) {
    REAL(link);
    int watching = watched[0] && !strncmp(to, watched, strlen(watched));
    if (watching && fails("link")) return -1;
    const char *base = strrchr(from, '/') ? strrchr(from, '/') + 1 : from;
    if (watching) note('l', to, 0, base, strlen(base));
    return real(from, to);
}
int fstat64(int fd, struct stat64 *to) {
    REAL(fstat64);
    return mine(fd) && fails("fstat") ? -1 : real(fd, to);
}
void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    REAL(mmap64);
    return mine(fd) && fails("mmap") ? MAP_FAILED : real(at, size, prot, flags, fd, offset);
}
int fcntl64(int fd, int command, ...) {
    va_list list; va_start(list, command); void *what = va_arg(list, void *); va_end(list);
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl64");
    return mine(fd) && command == F_SETLK && fails("lock") ? -1 : real(fd, command, what);
}
