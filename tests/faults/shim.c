/* Counts the file operations of an armed process below one folder, and stops or fails the n-th.

   Preloaded into the driver of the fault tests (writer.py), which forks a child per experiment and
   arms it there. Counted: open for writing, write, pwrite, fsync, fdatasync, ftruncate, rename,
   unlink, rmdir, mkdir, with their 64-bit and *at forms. An operation is stopped before it is done;
   a torn write is half done first. Every operation goes to the log with its data, for replay. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static struct {
  char root[PATH_MAX];
  size_t root_size;
  long crash_at, fail_at;
  int torn, fail_errno, sticky, log;
  long count;
} shim;

void shim_arm(const char *root, long crash_at, int torn, long fail_at, int fail_errno, int sticky,
              int log) {
  shim.root_size = strlen(root);
  memcpy(shim.root, root, shim.root_size + 1);
  shim.crash_at = crash_at, shim.torn = torn, shim.log = log;
  shim.fail_at = fail_at, shim.fail_errno = fail_errno, shim.sticky = sticky;
  shim.count = 0;
}

long shim_count(void) { return shim.count; }

static int inside(const char *path) {
  return shim.root_size && !strncmp(path, shim.root, shim.root_size) &&
         (path[shim.root_size] == '/' || !path[shim.root_size]);
}

static int path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
  if (size < 0) return 0;
  out[size] = 0;
  return inside(out);
}

/* The absolute path of (folder, name); 0 where it is none of ours. */
static int absolute(int folder, const char *name, char *out) {
  if (!shim.root_size) return 0;
  char base[PATH_MAX] = "";
  if (name[0] != '/') {
    if (folder != AT_FDCWD)
      path_of(folder, base);
    else if (!getcwd(base, sizeof base))
      return 0;
  }
  if (strlen(base) + strlen(name) + 2 > PATH_MAX) return 0;
  sprintf(out, "%s%s%s", base, *base ? "/" : "", name);
  return inside(out);
}

static void put_hex(const unsigned char *data, size_t size) {
  char text[2048];
  for (size_t at = 0; at < size;) {
    size_t n = 0;
    for (; n < sizeof text && at < size; at++)
      text[n++] = "0123456789abcdef"[data[at] >> 4], text[n++] = "0123456789abcdef"[data[at] & 15];
    syscall(SYS_write, shim.log, text, n);
  }
}

static void note(const char *op, const char *path, const char *target, long where,
                 const void *data, size_t size) {
  char line[2 * PATH_MAX + 64];
  if (shim.log < 0) return;
  int n = snprintf(line, sizeof line, "%s\t%s\t%s\t%ld\t", op, path, target, where);
  syscall(SYS_write, shim.log, line, (size_t)n);
  put_hex(data, size);
  syscall(SYS_write, shim.log, "\n", (size_t)1);
}

/* Count an operation. 1: it must fail with the errno that is set. Does not return at a crash. */
static int step(int fd, const void *data, size_t size) {
  shim.count++;
  if (shim.count == shim.crash_at) {
    if (shim.torn && data) syscall(SYS_write, fd, data, size / 2);
    syscall(SYS_exit_group, 137);
  }
  int fails = shim.fail_at && (shim.sticky ? shim.count >= shim.fail_at : shim.count == shim.fail_at);
  if (fails) errno = shim.fail_errno;
  return fails;
}

static int open_at(int folder, const char *name, int flags, mode_t mode) {
  char path[PATH_MAX];
  if ((flags & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC)) && absolute(folder, name, path)) {
    if (step(-1, NULL, 0)) return -1;
    int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0) note("open", path, "", flags & O_TRUNC ? 1 : 0, NULL, 0);
    return fd;
  }
  return (int)syscall(SYS_openat, folder, name, flags, mode);
}

#define MODE(last)                        \
  mode_t mode = 0;                        \
  if (flags & O_CREAT) {                  \
    va_list rest;                         \
    va_start(rest, last);                 \
    mode = va_arg(rest, mode_t);          \
    va_end(rest);                         \
  }

int open(const char *name, int flags, ...) {
  MODE(flags) return open_at(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
  MODE(flags) return open_at(AT_FDCWD, name, flags, mode);
}
int openat(int folder, const char *name, int flags, ...) {
  MODE(flags) return open_at(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
  MODE(flags) return open_at(folder, name, flags, mode);
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t where, int seeks) {
  char path[PATH_MAX];
  if (shim.root_size && path_of(fd, path)) {
    if (step(fd, data, size)) return -1;
    note("write", path, "", seeks ? (long)where : (long)lseek(fd, 0, SEEK_CUR), data, size);
  }
  return seeks ? syscall(SYS_pwrite64, fd, data, size, where) : syscall(SYS_write, fd, data, size);
}
ssize_t write(int fd, const void *data, size_t size) { return write_at(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t where) {
  return write_at(fd, data, size, where, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) {
  return write_at(fd, data, size, where, 1);
}

#define ON_FD(name, call)                                   \
  char path[PATH_MAX];                                      \
  if (shim.root_size && path_of(fd, path)) {                \
    if (step(fd, NULL, 0)) return -1;                       \
    note(name, path, "", size, NULL, 0);                    \
  }                                                         \
  return (int)(call);

static int sync_fd(int fd) {
  long size = 0;
  ON_FD("fsync", syscall(SYS_fsync, fd))
}
int fsync(int fd) { return sync_fd(fd); }
int fdatasync(int fd) { return sync_fd(fd); }

static int truncate_fd(int fd, off_t length) {
  long size = (long)length;
  ON_FD("ftruncate", syscall(SYS_ftruncate, fd, length))
}
int ftruncate(int fd, off_t length) { return truncate_fd(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_fd(fd, length); }

static int rename_at(int from, const char *name, int to, const char *target) {
  char path[PATH_MAX], goal[PATH_MAX];
  int ours = absolute(from, name, path) | absolute(to, target, goal);
  if (ours && step(-1, NULL, 0)) return -1;
  int result = (int)syscall(SYS_renameat2, from, name, to, target, 0);
  if (ours && !result) note("rename", path, goal, 0, NULL, 0);
  return result;
}
int rename(const char *name, const char *target) {
  return rename_at(AT_FDCWD, name, AT_FDCWD, target);
}
int renameat(int from, const char *name, int to, const char *target) {
  return rename_at(from, name, to, target);
}

static int unlink_at(int folder, const char *name, int flags) {
  char path[PATH_MAX];
  int ours = absolute(folder, name, path);
  if (ours && step(-1, NULL, 0)) return -1;
  int result = (int)syscall(SYS_unlinkat, folder, name, flags);
  if (ours && !result) note("unlink", path, "", 0, NULL, 0);
  return result;
}
int unlink(const char *name) { return unlink_at(AT_FDCWD, name, 0); }
int unlinkat(int folder, const char *name, int flags) { return unlink_at(folder, name, flags); }
int rmdir(const char *name) { return unlink_at(AT_FDCWD, name, AT_REMOVEDIR); }

static int mkdir_at(int folder, const char *name, mode_t mode) {
  char path[PATH_MAX];
  int ours = absolute(folder, name, path);
  if (ours && step(-1, NULL, 0)) return -1;
  int result = (int)syscall(SYS_mkdirat, folder, name, mode);
  if (ours && !result) note("mkdir", path, "", 0, NULL, 0);
  return result;
}
int mkdir(const char *name, mode_t mode) { return mkdir_at(AT_FDCWD, name, mode); }
int mkdirat(int folder, const char *name, mode_t mode) { return mkdir_at(folder, name, mode); }
