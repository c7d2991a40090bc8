/* What a program can see: namespaces and mounts.
 *
 * Two nested sets of namespaces. The launcher builds the outer one once: a tmpfs as root with the directories that
 * Python needs bound into it, all read-only, and nothing else of the host. Each program gets a fresh inner set; the
 * mounts of the outer set are locked for it by the kernel, since it does not own their user namespace, and only its
 * /tmp is new. */
#include "grading/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define HOST "/.host" /* where the old root hangs while the new one is built */
enum { NOBODY = 65534, INSIDE_ID = 1000 };

static bool write_proc(const Sandbox *sandbox, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "self/%s", name);
  int fd = openat(sandbox->proc, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  return written;
}

/* One user and one group of the new user namespace, standing for the one outside. */
static const char *map_ids(const Sandbox *sandbox, uid_t uid, gid_t gid) {
  char map[64];
  if (!write_proc(sandbox, "setgroups", "deny")) return "/proc/self/setgroups";
  snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, uid);
  if (!write_proc(sandbox, "uid_map", map)) return "/proc/self/uid_map";
  snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, gid);
  if (!write_proc(sandbox, "gid_map", map)) return "/proc/self/gid_map";
  return NULL;
}

static int protect_mount(const char *path, uint64_t attributes) {
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | attributes};
  return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof attr);
}

static bool make_parents(const char *path) {
  char parent[PATH_MAX];
  if (strlen(path) >= sizeof parent) return errno = ENAMETOOLONG, false;
  strcpy(parent, path);
  for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(parent, 0755) && errno != EEXIST) return false;
    *slash = '/';
  }
  return true;
}

/* Binds `source` of the host to `target`; a path that the host lacks is left out. */
static bool bind_path(const char *source, const char *target, uint64_t attributes) {
  char host[PATH_MAX];
  struct stat st;
  if ((size_t)snprintf(host, sizeof host, HOST "%s", source) >= sizeof host) return errno = ENAMETOOLONG, false;
  if (stat(host, &st)) return errno == ENOENT;
  if (!make_parents(target)) return false;
  if (S_ISDIR(st.st_mode)) {
    if (mkdir(target, 0755) && errno != EEXIST) return false;
  } else {
    int fd = open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    close(fd);
  }
  return !mount(host, target, NULL, MS_BIND | MS_REC, NULL) && !protect_mount(target, attributes);
}

/* The root as a program finds it; the host's stays mounted nowhere. */
static const char *build_root(const Sandbox *sandbox) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return "private mounts";
  if (mount("sandbox", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")) return "a tmpfs for the root";
  if (chdir("/tmp") || mkdir("." HOST, 0755) || syscall(SYS_pivot_root, ".", "." HOST) || chdir("/"))
    return "pivot_root";

  /* Debian's merged /usr: libraries are looked up through these links. */
  static const char *const links[] = {"/lib", "/lib64"};
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    char host[32], target[PATH_MAX];
    snprintf(host, sizeof host, HOST "%s", links[i]);
    ssize_t length = readlink(host, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    if (symlink(target, links[i])) return links[i];
  }
  for (const char *source = sandbox->paths; *source;) {
    const char *target = source + strlen(source) + 1;
    if (!bind_path(source, target, MOUNT_ATTR_NODEV)) return target;
    source = target + strlen(target) + 1;
  }
  static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
    if (!bind_path(devices[i], devices[i], MOUNT_ATTR_NOEXEC)) return devices[i];
  if (mkdir("/tmp", 0755)) return "/tmp";

  if (umount2(HOST, MNT_DETACH) || rmdir(HOST)) return "unmounting the host's root";
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
  return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr) ? "a read-only root" : NULL;
}

static const char *give_up_root(void) {
  if (geteuid() != 0) return NULL;
  /* The root of a user namespace without a nobody is an ordinary user outside already. */
  if (setresgid(NOBODY, NOBODY, NOBODY)) return errno == EINVAL ? NULL : "giving up root";
  return setgroups(0, NULL) || setresuid(NOBODY, NOBODY, NOBODY) ? "giving up root" : NULL;
}

const char *enclose_launcher(Sandbox *sandbox) {
  sandbox->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (sandbox->proc < 0) return "/proc";
  const char *part = give_up_root();
  if (part) return part;
  if (prctl(PR_SET_DUMPABLE, 1)) return "PR_SET_DUMPABLE"; /* or /proc/self would belong to root */
  write_proc(sandbox, "oom_score_adj", "1000");            /* when memory runs out, a program goes first */
  if (sandbox->setup.level != SANDBOX_FULL) return chdir("/") ? "chdir" : NULL;

  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (unshare(NAMESPACES)) return "user, mount, network, ipc and uts namespaces";
  part = map_ids(sandbox, uid, gid);
  return part ? part : build_root(sandbox);
}

pid_t enclose_fork(const Sandbox *sandbox) {
  if (sandbox->setup.level != SANDBOX_FULL) return fork();
  return (pid_t)syscall(SYS_clone, NAMESPACES | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
}

const char *enclose_guard(Sandbox *sandbox) {
  const char *part = NULL;
  if (sandbox->setup.level == SANDBOX_FULL) {
    char options[96];
    snprintf(options, sizeof options, "mode=700,size=%llu,nr_inodes=4096",
             (unsigned long long)sandbox->setup.disk_bytes);
    part = map_ids(sandbox, INSIDE_ID, INSIDE_ID);
    if (!part && sethostname("sandbox", 7)) part = "host name";
    if (!part && (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) || chdir("/tmp")))
      part = "/tmp";
  }
  close(sandbox->proc);
  return part;
}
