/* The launcher: prepares itself once, then forks one guard after another. It is python3 with the usual modules loaded,
 * so a program starts in a millisecond or two instead of twenty; since it never runs a program itself, all programs
 * start from the same clean state. */
#include "grading/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

bool read_all(int fd, void *data, size_t length) {
  for (char *p = data; length;) {
    ssize_t n = read(fd, p, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    length -= (size_t)n;
  }
  return true;
}

bool write_all(int fd, const void *data, size_t length) {
  for (const char *p = data; length;) {
    ssize_t n = send(fd, p, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    p += n;
    length -= (size_t)n;
  }
  return true;
}

/* Tells the grader that all is well (NULL) or which part failed; without a grader there is nothing left to do. */
static void note(const char *part, int error) {
  SandboxNote message = {.error = part ? error : 0};
  if (part) strncpy(message.part, part, sizeof message.part - 1);
  if (send(SANDBOX_CONTROL_FD, &message, sizeof message, MSG_NOSIGNAL) < 0) _exit(1);
}

/* The socket of the next program. */
static int next_program(void) {
  char byte;
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec io = {&byte, 1};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = recvmsg(SANDBOX_CONTROL_FD, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (n != 1 || !header || header->cmsg_type != SCM_RIGHTS) _exit(n ? 1 : 0);
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

static void receive_setup(Sandbox *sandbox) {
  struct iovec io[] = {{&sandbox->setup, sizeof sandbox->setup}, {sandbox->filter, sizeof sandbox->filter}};
  struct msghdr message = {.msg_iov = io, .msg_iovlen = 2};
  ssize_t n = recvmsg(SANDBOX_CONTROL_FD, &message, 0);
  if (n < (ssize_t)sizeof sandbox->setup || sandbox->setup.filter_length != (size_t)n - sizeof sandbox->setup) _exit(1);
}

static void become_guard(Sandbox *sandbox, int grader) {
  close(SANDBOX_CONTROL_FD);
  close(SANDBOX_LIBRARY_FD);
  close(SANDBOX_SCRIPT_FD);
  const char *part = enclose_guard(sandbox);
  if (!part) part = confine_guard(sandbox);
  if (part) {
    SandboxReply reply = {.status = SANDBOX_BROKEN, .code = errno, .frame_length = strlen(part)};
    if (write_all(grader, &reply, sizeof reply)) write_all(grader, part, strlen(part));
    _exit(1);
  }
  guard_serve(sandbox, grader);
}

void sandbox_serve(const char *paths) {
  static Sandbox sandbox;
  sandbox.paths = paths;
  receive_setup(&sandbox);
  const char *part = enclose_launcher(&sandbox);
  /* After the changes of identity, which would clear it. It is the worker's thread that counts as the parent. */
  if (!part && prctl(PR_SET_PDEATHSIG, SIGKILL)) part = "PR_SET_PDEATHSIG";
  if (part) {
    note(part, errno);
    _exit(1);
  }
  note(NULL, 0);
  for (;;) {
    int grader = next_program();
    pid_t guard = enclose_fork(&sandbox);
    if (guard == 0) {
      become_guard(&sandbox, grader);
      return; /* as the program */
    }
    int error = errno;
    close(grader);
    if (guard > 0)
      while (waitpid(guard, NULL, 0) < 0 && errno == EINTR) {}
    note(guard < 0 ? "namespaces for a program" : NULL, error);
  }
}
