/* The system calls that a program may make: what CPython, its standard library and numpy need to compute, and nothing
 * else. The rest fails with EPERM, so that a program meets an ordinary exception; calls of another architecture end the
 * process. */
#include "grading/filter.h"
#include "grading/grade.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* clang-format off */
static const char *const allowed[] = {
    /* memory */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "membarrier",
    /* threads and signals of its own */
    "futex", "set_robust_list", "get_robust_list", "rseq", "gettid", "getpid", "getppid", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "pause",
    "exit", "exit_group", "restart_syscall", "sched_yield", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getpriority", "wait4", "waitid",
    /* time */
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "alarm",
    "setitimer", "getitimer", "timer_create", "timer_settime", "timer_gettime", "timer_delete", "timer_getoverrun",
    /* about itself */
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getpgrp", "getpgid", "getsid",
    "getrlimit", "setrlimit", "getrusage", "uname", "sysinfo", "getrandom", "umask", "getcpu",
    /* files, where the mounts and Landlock let it */
    "open", "openat", "close", "close_range", "read", "pread64", "readv", "preadv", "preadv2", "write", "pwrite64",
    "writev", "pwritev", "pwritev2", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "chdir", "fchdir", "mkdir",
    "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
    "symlinkat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "fadvise64", "copy_file_range",
    "sendfile", "chmod", "fchmod", "fchmodat", "utimensat", "statfs", "fstatfs",
    /* pipes and waiting */
    "dup", "dup2", "dup3", "pipe", "pipe2", "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "recvfrom", "shutdown", "getsockname", "getsockopt",
    "setsockopt",
};

/* Only where it has a namespace of processes to itself; elsewhere they would reach the user's other processes. */
static const char *const allowed_alone[] = {"kill", "tkill", "tgkill"};

/* Calls that must look absent, so that callers fall back on those that can be told apart by their arguments. */
static const char *const absent[] = {"clone3",  "io_uring_setup", "io_uring_enter", "io_uring_register",
                                     "openat2", "vfork"};

static const int allowed_fcntl[] = {F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC};
static const unsigned long allowed_ioctl[] = {TCGETS /* isatty() */, FIONBIO, FIONCLEX, FIOCLEX, FIONREAD};
/* clang-format on */

static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned n,
               const struct scmp_arg_cmp *arguments) {
  const int call = seccomp_syscall_resolve_name(name);
  /* libseccomp or the architecture does not know it: then it is not allowed, which is what this list is for */
  if (call == __NR_SCMP_ERROR) return 0;
  const int rc = seccomp_rule_add_array(filter, action, call, n, arguments);
  return rc == -EDOM ? 0 : rc;
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names, gsize n) {
  int rc = 0;
  for (gsize i = 0; !rc && i < n; i++) rc = add(filter, action, names[i], 0, NULL);
  return rc;
}

/* A call that is allowed when the low 32 bits of one argument have one value. */
static int add_equal(scmp_filter_ctx filter, const char *name, unsigned argument, unsigned long value) {
  const struct scmp_arg_cmp equal = SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value);
  return add(filter, SCMP_ACT_ALLOW, name, 1, &equal);
}

static int add_rules(scmp_filter_ctx filter, gboolean alone) {
  /* A new thread: neither a process nor a namespace. */
  const uint64_t kinds = CLONE_THREAD | CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                         CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  const struct scmp_arg_cmp thread = SCMP_A0_64(SCMP_CMP_MASKED_EQ, kinds, CLONE_THREAD | CLONE_VM);
  int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (!rc) rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (!rc) rc = add_all(filter, SCMP_ACT_ALLOW, allowed, G_N_ELEMENTS(allowed));
  if (!rc && alone) rc = add_all(filter, SCMP_ACT_ALLOW, allowed_alone, G_N_ELEMENTS(allowed_alone));
  if (!rc) rc = add_all(filter, SCMP_ACT_ERRNO(ENOSYS), absent, G_N_ELEMENTS(absent));
  if (!rc) rc = add(filter, SCMP_ACT_ALLOW, "clone", 1, &thread);
  for (gsize i = 0; !rc && i < G_N_ELEMENTS(allowed_fcntl); i++)
    rc = add_equal(filter, "fcntl", 1, (unsigned long)allowed_fcntl[i]);
  for (gsize i = 0; !rc && i < G_N_ELEMENTS(allowed_ioctl); i++) rc = add_equal(filter, "ioctl", 1, allowed_ioctl[i]);
  if (!rc) rc = add_equal(filter, "socketpair", 0, AF_UNIX);
  /* To the other end of the pair, never to an address: that could be a socket of the host. */
  const struct scmp_arg_cmp connected = SCMP_A4_64(SCMP_CMP_EQ, 0);
  if (!rc) rc = add(filter, SCMP_ACT_ALLOW, "sendto", 1, &connected);
  if (!rc) rc = add_equal(filter, "prlimit64", 0, 0); /* its own limits */
  if (!rc) rc = add_equal(filter, "prctl", 0, PR_SET_NAME);
  if (!rc) rc = add_equal(filter, "prctl", 0, PR_GET_NAME);
  return rc;
}

GBytes *grade_filter_compile(gboolean alone, GError **error) {
  g_autofree char *code = NULL;
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int rc = filter ? add_rules(filter, alone) : -ENOMEM;
  int fd = rc ? -1 : memfd_create("filter", MFD_CLOEXEC);
  if (fd >= 0) rc = seccomp_export_bpf(filter, fd);
  off_t length = fd >= 0 && !rc ? lseek(fd, 0, SEEK_END) : 0;
  if (length > 0) {
    code = g_malloc((gsize)length);
    if (pread(fd, code, (gsize)length, 0) != length) length = 0;
  }
  if (fd >= 0) close(fd);
  if (filter) seccomp_release(filter);
  if (length <= 0) {
    g_set_error(error, GRADE_ERROR, GRADE_ERROR_SANDBOX,
                "the sandbox's system call filter cannot be built by libseccomp: %s", g_strerror(rc ? -rc : errno));
    return NULL;
  }
  return g_bytes_new_take(g_steal_pointer(&code), (gsize)length);
}
