/* A store of a million threads: what does a report of it take? usage: bench_store [THREADS] [FILE]
 *
 * Four methods, three tasks, eight threads a problem, 16 layers and heads together, threads of 64 to 1200 tokens whose
 * traces grow by random steps as DMS caches do. FILE is kept and used again; without it the store is made anew in the
 * folder for temporary files. */
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports/report.h"
#include "results/statistics.h"
#include "results/trace.h"
#include "tests/unit/results_synthetic.h"

enum { METHODS = 4, TASKS = 3, THREADS = 8, SHAPES = 512, LONGEST = 1200 };

static const int lengths[] = {64, 128, 192, 256, 384, 512, 800}, widths[] = {1, 2, 4, 8};
static const ResultsGrid grid = {.lengths = lengths, .n_lengths = 7, .threads = widths, .n_threads = 4, .seed = 1};

/* A thread's tokens, trace and text, made once for many threads. */
typedef struct {
  int n_tokens;
  gint64 live_sum, live_max;
  GBytes *live, *tokens;
  char *text;
} Shape;

static Shape make_shape(uint64_t *state, int cr) {
  uint64_t live[LONGEST], held = 16 * 60;
  int32_t tokens[LONGEST];
  Shape shape = {.n_tokens = 64 + (int)results_random_below(state, LONGEST - 64)};
  for (int s = 0; s < shape.n_tokens; s++) {
    for (int head = 0; head < 16; head++) held += results_random_below(state, (uint32_t)cr) == 0;
    live[s] = held;
    shape.live_sum += (gint64)held;
    tokens[s] = (int32_t)results_random_below(state, 500);
  }
  shape.live_max = (gint64)held;
  shape.live = results_live_encode(live, shape.n_tokens);
  shape.tokens = results_tokens_encode(tokens, shape.n_tokens);
  shape.text = g_malloc((gsize)shape.n_tokens * 3 + 1);
  for (int i = 0; i < shape.n_tokens * 3; i++) shape.text[i] = (char)('a' + results_random_below(state, 26));
  shape.text[shape.n_tokens * 3] = 0;
  return shape;
}

/* Rows as results_generation_add() and results_grade_add() write them, without hashing and packing the same bytes a
 * million times. */
static void write_thread(const Synthetic *synthetic, gint64 method, gint64 problem, const char *name, int number,
                         const Shape *shape, const char *outcome, const char *answer) {
  static gint64 id;
  g_autoptr(GError) error = NULL;
  char key[65], grade_key[65];
  g_snprintf(key, sizeof key, "%064" G_GINT64_MODIFIER "x", ++id);
  g_snprintf(grade_key, sizeof grade_key, "%064" G_GINT64_MODIFIER "x", id);
  gboolean stopped = shape->n_tokens <= 800;
  gboolean ok =
      results_db_run(synthetic->store, &error,
                     "INSERT INTO generation VALUES (?, ?, ?, 1200, ?, ?, ?, 5000, 0.01, 1.5, 0.02, 'cpu f32', NULL)",
                     "isnsii", id, key, shape->n_tokens, stopped ? "stop" : "length", shape->live_sum,
                     shape->live_max) &&
      results_db_run(synthetic->store, &error, "INSERT INTO trace VALUES (?, ?)", "ib", id,
                     g_bytes_get_data(shape->live, NULL), g_bytes_get_size(shape->live)) &&
      results_db_run(synthetic->store, &error, "INSERT INTO completion VALUES (?, ?, ?)", "ibs", id,
                     g_bytes_get_data(shape->tokens, NULL), g_bytes_get_size(shape->tokens), shape->text) &&
      results_db_run(synthetic->store, &error, "INSERT INTO thread VALUES (?, ?, ?, ?)", "iini", method, problem,
                     number, id) &&
      results_db_run(synthetic->store, &error,
                     "INSERT INTO grade (generation, fingerprint, grader, outcome, answer, rule, key) VALUES (?, ?, "
                     "'grader-1', ?, ?, 'boxed', ?)",
                     "issss", id, name, outcome, answer, grade_key);
  if (!ok) synthetic_check(&error);
}

static void write_store(const char *path, gint64 threads) {
  static const char *const tasks[TASKS] = {"aime24", "gpqa", "livecodebench"}, *const answers[] = {"7", "8", "9", "10"};
  int problems = (int)((threads + METHODS * TASKS * THREADS - 1) / (METHODS * TASKS * THREADS));
  uint64_t state = 1;
  Synthetic synthetic = synthetic_run(path, "million");
  Shape *shapes[METHODS];
  for (int m = 0; m < METHODS; m++) {
    shapes[m] = g_new(Shape, SHAPES);
    for (int i = 0; i < SHAPES; i++) shapes[m][i] = make_shape(&state, 1 << m);
  }
  synthetic_begin(&synthetic);
  for (int t = 0; t < TASKS; t++) {
    gint64 task = synthetic_task(&synthetic, tasks[t], t == 2 ? "pass" : "maj", problems, THREADS, 800);
    for (int p = 0; p < problems; p++) {
      char name[32];
      g_snprintf(name, sizeof name, "problem-%06d", p);
      gint64 problem = synthetic_problem(&synthetic, task, name);
      uint32_t chance = results_random_below(&state, 100);
      for (int m = 0; m < METHODS; m++) {
        gint64 method = synthetic_method(&synthetic, m ? "dms" : "vanilla", 1 << m);
        for (int i = 0; i < THREADS; i++) {
          gboolean correct = results_random_below(&state, 100) < chance;
          write_thread(&synthetic, method, problem, name, i, &shapes[m][results_random_below(&state, SHAPES)],
                       correct ? "correct" : "wrong", correct ? "6" : answers[results_random_below(&state, 4)]);
        }
      }
    }
  }
  synthetic_commit(&synthetic);
  results_close(synthetic.store);
}

/* ---- Measuring --------------------------------------------------------------------------------------------------- */

static gboolean count_thread(const ResultsThread *thread, gpointer user_data) {
  *(gint64 *)user_data += (gint64)thread->text_length;
  return TRUE;
}

static void do_derive(const char *path, const char *what) {
  g_autoptr(GError) error = NULL;
  ResultsStore *store = synthetic_open(path, RESULTS_WRITE);
  results_derive(store, 1, &grid, &error);
  synthetic_check(&error);
  results_close(store);
}

/* As `hyperscale report` does; "text" is the terminal's. */
static void do_report(const char *path, const char *format) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GString) out = g_string_new(NULL);
  ResultsStore *store = synthetic_open(path, RESULTS_READ);
  ResultsSummary *summary = results_summary(store, NULL, &error);
  synthetic_check(&error);
  ReportOptions options = {.format = format, .paper = TRUE, .texts = TRUE};
  if (g_str_equal(format, "text"))
    report_terminal(summary, 80, FALSE, out);
  else
    report_write(summary, store, &options, out, &error);
  synthetic_check(&error);
  results_summary_free(summary);
  results_close(store);
}

static void do_export(const char *path, const char *what) {
  g_autoptr(GError) error = NULL;
  g_autofree char *copy = g_strconcat(path, ".export", NULL);
  ResultsStore *store = synthetic_open(path, RESULTS_READ);
  results_export_sqlite(store, copy, &error);
  synthetic_check(&error);
  results_close(store);
  unlink(copy);
}

static void do_compare(const char *path, const char *what) {
  g_autoptr(GError) error = NULL;
  ResultsStore *store = synthetic_open(path, RESULTS_READ);
  ResultsSide a = {store, NULL, "dms"}, b = {store, NULL, "vanilla"};
  ResultsComparison *comparison = results_compare(&a, &b, &(ResultsGrid){0}, FALSE, &error);
  synthetic_check(&error);
  results_comparison_free(comparison);
  results_close(store);
}

static void do_walk(const char *path, const char *what) {
  g_autoptr(GError) error = NULL;
  gint64 bytes = 0;
  ResultsStore *store = synthetic_open(path, RESULTS_READ);
  results_threads(store, 1, NULL, NULL, count_thread, &bytes, &error);
  synthetic_check(&error);
  results_close(store);
}

static void measure(const char *what, void (*func)(const char *, const char *), const char *path) {
  gint64 start = g_get_monotonic_time();
  pid_t pid = fork();
  if (pid == 0) {
    func(path, what);
    _exit(0);
  }
  int status;
  struct rusage used;
  if (pid < 0 || wait4(pid, &status, 0, &used) != pid || status != 0) g_error("%s failed", what);
  g_print("  %-44s %7.2f s  %5ld MB  (%.2f s of processors)\n", what, (double)(g_get_monotonic_time() - start) / 1e6,
          used.ru_maxrss / 1024,
          (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
              (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv) {
  gint64 threads = argc > 1 ? g_ascii_strtoll(argv[1], NULL, 10) : 1000000, start = g_get_monotonic_time();
  if (argc <= 2) scratch_make();
  g_autofree char *path = argc > 2 ? g_strdup(argv[2]) : synthetic_path();
  struct stat found;
  if (stat(path, &found) != 0) write_store(path, threads);
  if (stat(path, &found) != 0) g_error("%s is not there", path);
  g_print("store: %" G_GINT64_FORMAT " threads, %.2f GB, made in %.0f s\n", threads, (double)found.st_size / 1e9,
          (double)(g_get_monotonic_time() - start) / 1e6);
  measure("derive (28 budgets, 2000 resamples)", do_derive, path);
  static const char *const formats[] = {
      "text", "html", "svg", "pdf", "md", "tex", "csv", "json", "vega-lite", "lm-eval", "every-eval-ever"};
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++) measure(formats[i], do_report, path);
  measure("compare dms with vanilla at 28 budgets", do_compare, path);
  measure("export without texts", do_export, path);
  measure("every thread with its text", do_walk, path);
  if (scratch) scratch_remove();
  return 0;
}
