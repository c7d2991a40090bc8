/* Programs that one way to run them finds right and the other wrong: found in the store and shown by the report. */
#include <string.h>

#include "reports/report.h"
#include "tests/unit/results_synthetic.h"

enum { THREADS = 5 };

static void collect(const ResultsSplit *split, gpointer user_data) {
  g_string_append_printf(user_data, "%s %s %s %g %d: %s, %s, %s\n", split->task, split->problem_id, split->method,
                         split->cr, split->thread, split->official, split->real, split->detail);
}

static gboolean add_grade(const ResultsThread *thread, gpointer user_data) {
  g_array_append_val((GArray *)user_data, *thread);
  return TRUE;
}

/* Two methods, one problem of five threads: of one and the other kind of split, agreement, and two ways not judged. */
static Synthetic fill(const char *path) {
  static const ResultsGrade grades[THREADS] = {
      {.outcome = "wrong", .official = "wrong", .real = "correct", .detail = "<b>NameError</b>"},
      {.outcome = "correct", .official = "correct", .real = "wrong"},
      {.outcome = "correct", .official = "correct", .real = "correct"},
      {.outcome = "wrong", .official = "wrong", .real = "ungraded"},
      {.outcome = "wrong"}};
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(ResultsThread));
  Synthetic synthetic = synthetic_run(path, "run");
  gint64 task = synthetic_task(&synthetic, "livecodebench", "pass", 1, THREADS, 12);
  gint64 problem = synthetic_problem(&synthetic, task, "p1");
  for (int m = 0; m < 2; m++) {
    gint64 method = synthetic_method(&synthetic, m ? "dms" : "vanilla", m ? 4 : 1);
    for (int i = 0; i < THREADS; i++) synthetic_keyed_thread(&synthetic, method, problem, i, NULL, 6, 12, NULL, NULL);
  }
  results_threads(synthetic.store, synthetic.run, NULL, NULL, add_grade, threads, &error);
  synthetic_check(&error);
  for (guint i = 0; i < threads->len; i++) {
    const ResultsThread *thread = &g_array_index(threads, ResultsThread, i);
    ResultsGrade grade = grades[thread->thread];
    grade.grader = "grader-1";
    results_grade_add(synthetic.store, thread->generation, thread->problem, &grade, &error);
    synthetic_check(&error);
  }
  return synthetic;
}

static void test_splits(void) {
  g_autoptr(GError) error = NULL;
  scratch_make();
  g_autofree char *path = synthetic_path();
  Synthetic synthetic = fill(path);
  g_autoptr(GString) found = g_string_new(NULL);
  g_assert_true(results_splits(synthetic.store, synthetic.run, collect, found, &error));
  g_assert_cmpstr(found->str, ==,
                  "livecodebench p1 vanilla 1 0: wrong, correct, <b>NameError</b>\n"
                  "livecodebench p1 vanilla 1 1: correct, wrong, (null)\n"
                  "livecodebench p1 dms 4 0: wrong, correct, <b>NameError</b>\n"
                  "livecodebench p1 dms 4 1: correct, wrong, (null)\n");
  const int lengths[] = {12}, threads[] = {1};
  const ResultsGrid grid = {.lengths = lengths, .n_lengths = 1, .threads = threads, .n_threads = 1, .bootstrap = 10};
  results_derive(synthetic.store, synthetic.run, &grid, &error);
  synthetic_check(&error);
  ResultsSummary *summary = results_summary(synthetic.store, "run", &error);
  synthetic_check(&error);
  ReportOptions options = {.format = "html"};
  g_autoptr(GString) html = g_string_new(NULL);
  g_assert_true(report_write(summary, synthetic.store, &options, html, &error));
  g_assert_nonnull(strstr(html->str, "id=\"splits\""));
  g_assert_nonnull(strstr(html->str, "<a href=\"#splits\">"));
  g_assert_nonnull(strstr(html->str, "&lt;b&gt;NameError"));
  g_assert_null(strstr(html->str, "<b>NameError"));
  results_summary_free(summary);
  results_close(synthetic.store);
  scratch_remove();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/results-splits/store-and-page", test_splits);
  return g_test_run();
}
