/* What a program can do: capabilities, Landlock, resource limits, the system call filter. */
#include "grading/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of its sixth version: Debian 12's header has only the first field. */
typedef struct {
  uint64_t files, network, scopes;
} LandlockRules;
enum { LANDLOCK_NETWORK_ALL = 3, LANDLOCK_SCOPES_ALL = 3 };

static const char *drop_capabilities(void) {
  for (int cap = 0; !prctl(PR_CAPBSET_DROP, cap); cap++) {}
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)) return "clearing ambient capabilities";
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
  return syscall(SYS_capset, &header, none) ? "dropping capabilities" : NULL;
}

static bool landlock_allow(int rules, const char *path, uint64_t access) {
  struct landlock_path_beneath_attr beneath = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
  if (beneath.parent_fd < 0) return errno == ENOENT;
  struct stat st;
  bool added = !fstat(beneath.parent_fd, &st);
  beneath.allowed_access =
      S_ISDIR(st.st_mode) ? access : access & (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
  added = added && !syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
  close(beneath.parent_fd);
  return added;
}

/* A second lock on the files, and on TCP, abstract sockets and signals: it holds where a mount or a namespace should
 * fail. Kernels without Landlock have the first lock alone. */
static const char *restrict_files(const Sandbox *sandbox) {
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return NULL;
  uint64_t files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (version >= 2) files |= 1 << 13; /* LANDLOCK_ACCESS_FS_REFER */
  if (version >= 3) files |= 1 << 14; /* LANDLOCK_ACCESS_FS_TRUNCATE */
  LandlockRules attr = {files, LANDLOCK_NETWORK_ALL, LANDLOCK_SCOPES_ALL};
  size_t size = version >= 6   ? sizeof attr
                : version >= 4 ? offsetof(LandlockRules, scopes)
                               : offsetof(LandlockRules, network);
  int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
  if (rules < 0) return "a Landlock ruleset";

  const uint64_t readable = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  const uint64_t special = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                           LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO;
  bool ok = landlock_allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
  if (sandbox->setup.level == SANDBOX_FULL)
    ok = ok && landlock_allow(rules, "/", readable) && landlock_allow(rules, "/tmp", files & ~special);
  else
    for (const char *path = sandbox->paths; ok && *path;) {
      ok = landlock_allow(rules, path, readable);
      path += strlen(path) + 1; /* the path that it is known by; Landlock goes by the real one */
      path += strlen(path) + 1;
    }
  ok = ok && !syscall(SYS_landlock_restrict_self, rules, 0);
  close(rules);
  return ok ? NULL : "Landlock";
}

const char *confine_guard(const Sandbox *sandbox) {
  const char *part;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0)) return "prctl";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return "no_new_privs";
  if ((part = drop_capabilities())) return part;
  return sandbox->setup.level == SANDBOX_NONE ? NULL : restrict_files(sandbox);
}

static bool limit(int resource, rlim_t soft, rlim_t hard) {
  struct rlimit now;
  if (getrlimit(resource, &now)) return false;
  if (hard > now.rlim_max) hard = now.rlim_max;
  return !setrlimit(resource, &(struct rlimit){soft < hard ? soft : hard, hard});
}

const char *confine_program(const Sandbox *sandbox) {
  const SandboxSetup *setup = &sandbox->setup;
  mallopt(M_ARENA_MAX, 1); /* an arena for each thread would use up the address space */
  const bool limited = limit(RLIMIT_AS, setup->memory_bytes, setup->memory_bytes) && limit(RLIMIT_CORE, 0, 0) &&
                       limit(RLIMIT_FSIZE, setup->disk_bytes, setup->disk_bytes) && limit(RLIMIT_NOFILE, 256, 256) &&
                       limit(RLIMIT_STACK, 8 << 20, RLIM_INFINITY) && limit(RLIMIT_MEMLOCK, 0, 0) &&
                       limit(RLIMIT_MSGQUEUE, 0, 0) && limit(RLIMIT_SIGPENDING, 256, 256) &&
                       /* Counted within the user namespace; without one it would count the user's other processes. */
                       (setup->level != SANDBOX_FULL || limit(RLIMIT_NPROC, 128, 128));
  if (!limited) return "resource limits";
  if (setup->level == SANDBOX_NONE) return NULL;
  struct sock_fprog program = {.len = (unsigned short)(setup->filter_length / sizeof *sandbox->filter),
                               .filter = (struct sock_filter *)sandbox->filter};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? "the system call filter" : NULL;
}
