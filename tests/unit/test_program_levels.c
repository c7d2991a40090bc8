/* Machines that cannot give the full sandbox: it is refused, with the part that failed, and a weaker one serves who
 * asks for it by name. Such machines are made of this one: a user namespace in which no more namespaces may be made,
 * and a system call filter under which no more filters may be set. */
#include "grading/grade.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) _exit(77);
  close(fd);
}

static void enter_poor_machine(void) {
  g_autofree char *uids = g_strdup_printf("0 %u 1", geteuid()), *gids = g_strdup_printf("0 %u 1", getegid());
  if (unshare(CLONE_NEWUSER)) _exit(77);
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", uids);
  write_file("/proc/self/gid_map", gids);
  write_file("/proc/sys/user/max_user_namespaces", "0");
}

static void forbid_filters(void) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) || seccomp_load(filter))
    _exit(77);
  seccomp_release(filter);
}

typedef struct {
  GradeOutcome outcome;
  char *detail;
} Got;

static void keep(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  Got *got = tag;
  got->outcome = verdict->outcome;
  got->detail = g_strdup(verdict->detail);
}

static void submit(GradePrograms *pool, const char *code, Got *got) {
  static const GradeTest test = {"20 22\n", 6, "42\n", 3};
  g_autofree char *text = g_strdup_printf("```\n%s\n```", code);
  grade_programs_submit(pool, &(GradeProgram){text, strlen(text), &test, 1, NULL, got}, keep, NULL);
}

static GradePrograms *open_pool(GradeSandbox level, double cpu_seconds) {
  g_autoptr(GError) error = NULL;
  const GradeProgramOptions options = {.sandbox = level, .workers = 1, .cpu_seconds = cpu_seconds, .mode = "real"};
  GradePrograms *pool = grade_programs_open(&options, &error);
  if (pool) return pool;
  g_printerr("%s\n", error->message);
  _exit(error->code == GRADE_ERROR_SANDBOX ? 2 : 3);
}

/* A program that would run for minutes. */
static GradePrograms *begin_endless(GradeSandbox level) {
  GradePrograms *pool = open_pool(level, 600);
  static Got unused;
  submit(pool, "while True: pass", &unused);
  g_usleep(G_USEC_PER_SEC / 2);
  return pool;
}

/* Without a namespace of their own, programs do not end with their guard by themselves. Orphans become children of this
 * process. */
static void check_nothing_is_left(GradeSandbox level) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  grade_programs_close(begin_endless(level));
  if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) _exit(5);

  const pid_t grader = fork();
  if (grader == 0) {
    begin_endless(level);
    pause();
  }
  g_usleep(3 * G_USEC_PER_SEC / 2);
  kill(grader, SIGKILL);
  for (int left = 100; waitpid(-1, NULL, WNOHANG) >= 0; left--, g_usleep(20000))
    if (!left) _exit(6);
}

/* A datagram to a socket of the host: the name in a call reaches it where no namespace stands between. */
static void check_datagrams(GradeSandbox level) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_snprintf(address.sun_path, sizeof address.sun_path, "/tmp/hyperscale-levels-%d", (int)getpid());
  int host = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(host, (struct sockaddr *)&address, sizeof address) || chmod(address.sun_path, 0666)) _exit(77);
  g_autofree char *code = g_strdup_printf(
      "import _socket\na, b = _socket.socketpair(1, 2)\na.send(b'own')\na.sendto(b'hello', '%s')", address.sun_path);
  GradePrograms *pool = open_pool(level, 5);
  Got got = {0};
  char received[8];
  submit(pool, code, &got);
  grade_programs_drain(pool);
  grade_programs_close(pool);
  g_printerr("datagram: %s\n", got.detail);
  const gboolean reached = recv(host, received, sizeof received, 0) >= 0;
  g_unlink(address.sun_path);
  if (reached || !strstr(got.detail, "PermissionError")) _exit(7);
}

/* Exits with 0 when `level` works and programs come out as they must, with 2 when it is refused. */
static void check_level(GradeSandbox level) {
  static const struct {
    const char *code;
    GradeOutcome outcome;
    const char *contained; /* what its failure says below full protection; NULL: not at the weakest level */
  } programs[] = {
      {"print(sum(map(int, input().split())))", GRADE_CORRECT, NULL},
      {"print(41)", GRADE_WRONG, "expected"},
      {"while True: pass", GRADE_WRONG, "time limit"},
      {"bytearray(8 << 30)", GRADE_WRONG, "MemoryError"},
      {"import posix\nposix.fork()", GRADE_WRONG, "PermissionError"},
      {"import _socket\n_socket.socket(2, 1)", GRADE_WRONG, "PermissionError"},
      {"open('/etc/passwd')", GRADE_WRONG, "PermissionError"},
  };
  const gsize n = level == GRADE_SANDBOX_NONE ? 4 : G_N_ELEMENTS(programs);
  GradePrograms *pool = open_pool(level, 0.5);
  g_printerr("level %s\n", grade_programs_level(pool));
  for (gsize i = 0; i < n; i++) {
    Got got = {0};
    submit(pool, programs[i].code, &got);
    grade_programs_drain(pool);
    g_printerr("%s: %s\n", grade_outcome_name(got.outcome), got.detail);
    if (got.outcome != programs[i].outcome) _exit(4);
    if (programs[i].contained && !strstr(got.detail, programs[i].contained)) _exit(4);
    g_free(got.detail);
  }
  grade_programs_close(pool);
  if (level != GRADE_SANDBOX_NONE) check_datagrams(level);
  check_nothing_is_left(level);
  _exit(0);
}

static void test_level(gconstpointer data) {
  static const char *const names[] = {"full", "rlimit", "none"};
  const GradeSandbox level = GPOINTER_TO_INT(data);
  g_autoptr(GError) error = NULL;
  g_autofree char *messages = NULL;
  int status;
  char *arguments[] = {"/proc/self/exe", "--poor-machine", (char *)names[level], NULL};
  g_assert_true(g_spawn_sync(NULL, arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &messages, &status, &error));
  g_test_message("%s", messages);
  if (g_spawn_check_wait_status(status, &error)) {
    g_assert_cmpint(level, !=, GRADE_SANDBOX_FULL);
    g_autofree char *said = g_strdup_printf("level %s", names[level]);
    g_assert_nonnull(strstr(messages, said));
  } else if (error->code == 77) {
    g_test_skip("no user namespace can be made here");
  } else {
    g_assert_cmpint(level, ==, GRADE_SANDBOX_FULL);
    g_assert_cmpint(error->code, ==, 2);
    g_assert_nonnull(strstr(messages, "namespaces"));
    g_assert_nonnull(strstr(messages, "Remedy"));
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "--poor-machine")) {
    enter_poor_machine();
    if (!strcmp(argv[2], "none")) forbid_filters();
    check_level(!strcmp(argv[2], "full")     ? GRADE_SANDBOX_FULL
                : !strcmp(argv[2], "rlimit") ? GRADE_SANDBOX_RLIMIT
                                             : GRADE_SANDBOX_NONE);
  }
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/program-levels/full-is-refused", GINT_TO_POINTER(GRADE_SANDBOX_FULL), test_level);
  g_test_add_data_func("/program-levels/rlimit", GINT_TO_POINTER(GRADE_SANDBOX_RLIMIT), test_level);
  g_test_add_data_func("/program-levels/none", GINT_TO_POINTER(GRADE_SANDBOX_NONE), test_level);
  return g_test_run();
}
