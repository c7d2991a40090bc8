/* Hostile programs: everything in tests/attacks is contained, gets the outcome that its head asks for, learns nothing
 * and leaves nothing.
 *
 * The head of an attack is made of comments:
 *
 *   # says: REGEX        what the verdict's detail says, of both modes; or one each:
 *   # official: REGEX
 *   # real: REGEX
 *   # answer: TEXT       the expected output, for programs that must work all the same; without it that is a secret,
 *                        and no outcome but wrong will do
 *   # function: NAME     a functional problem
 *   # machine: NAME      for this architecture only
 *
 * Run by root, the whole suite runs again as an ordinary user. */
#include "grading/grade.h"
#include "tests/unit/sandbox_skip.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *secret_file = "/tmp/hyperscale-secret";
static char *secret; /* the expected output: whoever prints it has read it somewhere */

typedef struct {
  char *name, *text, *says[2], *function, *expected;
  GradeTest test;
  GradeOutcome outcome;
  char *detail;
  guint verdicts;
} Attack;

enum { LONGEST_DETAIL = 2500 }; /* bytes: it is stored with every verdict */

static const char *const modes[] = {"official", "real"};

static char *header(const char *source, const char *key) {
  g_autofree char *start = g_strdup_printf("# %s: ", key);
  for (const char *line = source; line && *line == '#'; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
    if (g_str_has_prefix(line, start)) return g_strndup(line + strlen(start), strcspn(line, "\n") - strlen(start));
  return NULL;
}

static Attack *attack_read(const char *name) {
  g_autofree char *path = g_build_filename("tests", "attacks", name, NULL);
  g_autofree char *source = NULL;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &source, NULL, &error)) g_error("%s", error->message);
  struct utsname machine;
  uname(&machine);
  g_autofree char *wanted = header(source, "machine");
  if (wanted && strcmp(wanted, machine.machine)) return NULL;

  Attack *attack = g_new0(Attack, 1);
  attack->name = g_strdup(name);
  attack->text = g_strdup_printf("```python\n%s```\n", source);
  attack->function = header(source, "function");
  for (int mode = 0; mode < 2; mode++)
    if (!(attack->says[mode] = header(source, modes[mode]))) attack->says[mode] = header(source, "says");
  g_autofree char *answer = header(source, "answer");
  attack->expected = answer ? g_strdup(answer) : g_strdup_printf(attack->function ? "\"%s\"" : "%s", secret);
  attack->test = (GradeTest){"\"hunt\"", 6, attack->expected, strlen(attack->expected)};
  return attack;
}

static void attack_free(gpointer data) {
  Attack *attack = data;
  char *const strings[] = {attack->name,     attack->text,     attack->says[0], attack->says[1],
                           attack->function, attack->expected, attack->detail};
  for (gsize i = 0; i < G_N_ELEMENTS(strings); i++) g_free(strings[i]);
  g_free(attack);
}

static GPtrArray *read_all_attacks(void) {
  g_autoptr(GDir) folder = g_dir_open("tests/attacks", 0, NULL);
  GPtrArray *attacks = g_ptr_array_new_with_free_func(attack_free);
  for (const char *name; folder && (name = g_dir_read_name(folder));) {
    Attack *attack = attack_read(name);
    if (attack) g_ptr_array_add(attacks, attack);
  }
  return attacks;
}

static void keep(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  Attack *attack = tag;
  attack->outcome = verdict->outcome;
  g_free(attack->detail);
  attack->detail = g_strdup(verdict->detail);
  attack->verdicts++;
}

/* ---- What could be left behind ---------------------------------------------------------------------------------- */

static guint count_descriptors(void) {
  g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
  guint n = 0;
  while (g_dir_read_name(folder)) n++;
  return n;
}

static gsize resident_bytes(void) {
  g_autofree char *text = NULL;
  gulong pages = 0;
  if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL)) sscanf(text, "%*u %lu", &pages);
  return pages * (gsize)sysconf(_SC_PAGESIZE);
}

static void assert_nothing_written(void) {
  static const char *const paths[] = {"/owned",           "/dev/owned", "/dev/shm/message", "/tmp/message",
                                      "/var/tmp/message", "/tmp/sda",   "/tmp/hyperscale-9"};
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) g_assert_false(g_file_test(paths[i], G_FILE_TEST_EXISTS));
}

/* Orphans of ours would have become our children: see main(). */
static void assert_no_process(void) {
  g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint(errno, ==, ECHILD);
}

/* ---- The suite -------------------------------------------------------------------------------------------------- */

static void run_suite(int mode) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) attacks = read_all_attacks();
  g_assert_cmpuint(attacks->len, >=, 40);
  const guint descriptors = count_descriptors();
  const GradeProgramOptions options = {
      .cpu_seconds = 0.5, .memory_bytes = (gsize)1 << 30, .output_bytes = 1 << 20, .mode = modes[mode]};
  GradePrograms *pool = grade_programs_open(&options, &error);
  if (!pool) {
    sandbox_skip(error);
    return;
  }
  g_assert_cmpstr(grade_programs_level(pool), ==, "full");
  const gsize resident = resident_bytes();
  for (guint i = 0; i < attacks->len; i++) {
    Attack *attack = attacks->pdata[i];
    const GradeProgram program = {attack->text, strlen(attack->text), &attack->test, 1, attack->function, attack};
    grade_programs_submit(pool, &program, keep, NULL);
  }
  grade_programs_drain(pool);
  g_autoptr(GString) failures = g_string_new(NULL);
  for (guint i = 0; i < attacks->len; i++) {
    const Attack *attack = attacks->pdata[i];
    const gboolean should_work = attack->says[mode] == NULL;
    const gboolean ok = attack->verdicts == 1 && attack->outcome == (should_work ? GRADE_CORRECT : GRADE_WRONG) &&
                        (should_work || g_regex_match_simple(attack->says[mode], attack->detail, G_REGEX_DOTALL, 0)) &&
                        (!attack->detail || strlen(attack->detail) <= LONGEST_DETAIL);
    if (ok) continue;
    g_string_append_printf(failures, "%s: %s: %.300s; expected %s\n", attack->name, grade_outcome_name(attack->outcome),
                           attack->detail, should_work ? "to work" : attack->says[mode]);
  }
  g_test_message("%u attacks, %s", attacks->len, modes[mode]);
  g_assert_cmpstr(failures->str, ==, "");
  g_assert_cmpuint(resident_bytes(), <, resident + ((gsize)64 << 20));
  grade_programs_close(pool);
  g_assert_cmpuint(count_descriptors(), ==, descriptors);
  assert_no_process();
  assert_nothing_written();
}

static void test_suite(gconstpointer mode) {
  run_suite(GPOINTER_TO_INT(mode));
}

static void become_ordinary(gpointer unused) {
  if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) _exit(77);
}

static void test_ordinary_user(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *output = NULL;
  int status;
  char *arguments[] = {"/proc/self/exe", NULL};
  const gboolean ran = g_spawn_sync(NULL, arguments, NULL, G_SPAWN_STDERR_TO_DEV_NULL, become_ordinary, NULL, &output,
                                    NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_true(ran);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    g_test_skip("this root cannot become an ordinary user");
    return;
  }
  g_test_message("%s", output);
  g_assert_true(g_spawn_check_wait_status(status, NULL));
}

/* ---- A grader that is killed ------------------------------------------------------------------------------------ */

static void grade_for_ever(void) {
  const GradeProgramOptions options = {.cpu_seconds = 1000};
  GradePrograms *pool = grade_programs_open(&options, NULL);
  static const GradeTest test = {"1", 1, "1", 1};
  static const char loop[] = "```\nwhile True: pass\n```", sleeper[] = "```\nimport time\ntime.sleep(1000)\n```";
  if (!pool) _exit(77);
  grade_programs_submit(pool, &(GradeProgram){loop, sizeof loop - 1, &test, 1, NULL, NULL}, keep, NULL);
  grade_programs_submit(pool, &(GradeProgram){sleeper, sizeof sleeper - 1, &test, 1, NULL, NULL}, keep, NULL);
  g_usleep(G_USEC_PER_SEC / 2);
  if (write(STDOUT_FILENO, "running", 7) < 0) _exit(1);
  grade_programs_drain(pool);
}

static void test_grader_killed(void) {
  g_autoptr(GError) error = NULL;
  char *arguments[] = {"/proc/self/exe", "--grade-for-ever", NULL};
  GPid pid;
  int output;
  char said[8] = "";
  g_assert_true(g_spawn_async_with_pipes(NULL, arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL,
                                         &output, NULL, &error));
  const gboolean running = read(output, said, sizeof said - 1) == 7;
  close(output);
  kill(pid, SIGKILL);
  int children = 0;
  const gint64 start = g_get_monotonic_time();
  for (pid_t child; (child = waitpid(-1, NULL, WNOHANG)) >= 0; children += child > 0) {
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
    g_usleep(1000);
  }
  if (!running)
    g_test_skip("no sandbox here");
  else
    g_assert_cmpint(children, >=, 2); /* the grader and a launcher at least */
  assert_no_process();
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--grade-for-ever")) grade_for_ever();
  g_test_init(&argc, &argv, NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  secret = g_strdup_printf("secret-%08x%08x%08x", g_random_int(), g_random_int(), g_random_int());
  g_setenv("HYPERSCALE_SECRET", secret, TRUE);
  const gboolean mine = g_file_set_contents(secret_file, secret, -1, NULL);
  g_test_add_data_func("/attack/official", GINT_TO_POINTER(0), test_suite);
  g_test_add_data_func("/attack/real", GINT_TO_POINTER(1), test_suite);
  g_test_add_func("/attack/grader-killed", test_grader_killed);
  if (geteuid() == 0) g_test_add_func("/attack/ordinary-user", test_ordinary_user);
  const int failed = g_test_run();
  if (mine) unlink(secret_file);
  return failed;
}
