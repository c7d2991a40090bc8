/* What a sandbox costs and how fast programs are graded.
 *
 *   bench_sandbox [workers]
 *
 * First the smallest program, so that nearly all of the time is the sandbox's: alone, and with ten tests. Then, where
 * ../shared/data is, 1,000 answers of real models to LiveCodeBench. Those that run into the time limit of 6 s, or
 * nearly do, cost that whatever the sandbox does: so the rate is given with and without them. */
#include "tests/unit/program_rows.h"
#include <sys/resource.h>

/* Processor time of this process and of all that it has waited for: what counts on a machine that others use too. */
static double processor_seconds(void) {
  double seconds = 0;
  for (int who = 0; who < 2; who++) {
    struct rusage usage;
    getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage);
    seconds += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }
  return seconds;
}

static GradePrograms *open_pool(int workers, gboolean both, const char *mode) {
  g_autoptr(GError) error = NULL;
  const GradeProgramOptions options = {.workers = workers, .both = both, .mode = mode};
  GradePrograms *pool = grade_programs_open(&options, &error);
  if (!pool) g_error("%s", error->message);
  return pool;
}

static void ignore(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  if (verdict->outcome != GRADE_CORRECT) g_error("%s", verdict->detail);
}

static void bench_start(int workers, const char *mode, gsize n_tests) {
  enum { N = 300 };
  GradeTest tests[10];
  for (gsize i = 0; i < n_tests; i++) tests[i] = (GradeTest){"1\n", 2, "1\n", 2};
  const double busy = processor_seconds();
  GradePrograms *pool = open_pool(workers, FALSE, mode);
  const gint64 start = g_get_monotonic_time();
  for (int i = 0; i < N; i++) {
    g_autofree char *text = g_strdup_printf("```\nprint(input()) # %d\n```", i); /* equal programs would run once */
    grade_programs_submit(pool, &(GradeProgram){text, strlen(text), tests, n_tests, NULL, NULL}, ignore, NULL);
  }
  grade_programs_drain(pool);
  const double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
  grade_programs_close(pool);
  g_print("%-8s %2" G_GSIZE_FORMAT " tests: %6.2f ms a program on one core, %.2f ms of processor time\n", mode, n_tests,
          seconds * 1e3 * workers / N, (processor_seconds() - busy) * 1e3 / N);
}

static void grade_and_print(int workers, const char *mode, const char *which, ProgramRow *rows, gsize n) {
  const double busy = processor_seconds();
  GradePrograms *pool = open_pool(workers, FALSE, mode);
  const double seconds = program_rows_grade(rows, n, pool);
  grade_programs_close(pool);
  const double used = processor_seconds() - busy;
  g_print("%-8s %" G_GSIZE_FORMAT " real programs%s: %.1f a second a core, %.1f a second of processor time (%.1f s)\n",
          mode, n, which, (double)n / seconds / workers, (double)n / used, used);
}

static gboolean reached_time_limit(const ProgramRow *row) {
  json_t *reference = json_object_get(row->row, "local_lcb");
  return (row->verdict.detail && strstr(row->verdict.detail, "time limit")) ||
         json_integer_value(json_array_get(reference, json_array_size(reference) - 1)) == -3;
}

static void bench_rows(int workers, const char *mode) {
  gsize n, kept = 0;
  ProgramRow *rows = program_rows(2, 1000, &n);
  if (!rows) return;
  grade_and_print(workers, mode, "", rows, n);
  for (gsize i = 0; i < n; i++) {
    if (reached_time_limit(&rows[i])) continue;
    rows[kept] = rows[i];
    rows[kept].program.tag = &rows[kept];
    kept++;
  }
  grade_and_print(workers, mode, " that reach no time limit, here or in the reference", rows, kept);
}

int main(int argc, char **argv) {
  const int workers = argc > 1 ? atoi(argv[1]) : (int)g_get_num_processors();
  for (int real = 0; real < 2; real++) {
    const char *mode = real ? "real" : "official";
    bench_start(workers, mode, 1);
    bench_start(workers, mode, 10);
    bench_rows(workers, mode);
  }
  return 0;
}
