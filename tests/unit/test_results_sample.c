/* Which threads are shown to a person: the problems on which methods differ most, and some of the others. */
#include "tests/unit/results_synthetic.h"

enum { PROBLEMS = 12, THREADS = 3 };

/* Of three threads `a` solves two everywhere; `b` none of p4, one of p9, all of p10, and two elsewhere. */
static int solved(int method, int problem) {
  if (method == 0) return 2;
  return problem == 4 ? 0 : problem == 9 ? 1 : problem == 10 ? 3 : 2;
}

static char *shown(const Synthetic *synthetic, int problems, int threads) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) sample = results_sample(synthetic->store, synthetic->run, problems, threads, &error);
  synthetic_check(&error);
  GString *names = g_string_new(NULL);
  for (guint i = 0; i < sample->len; i++) {
    const ResultsThreadName *name = &g_array_index(sample, ResultsThreadName, i);
    g_string_append_printf(names, "%s%s/%d/%d", i ? " " : "", name->problem_id, (int)name->method, name->thread);
  }
  return g_string_free(names, FALSE);
}

static void test_sample(void) {
  scratch_make();
  g_autofree char *path = synthetic_path();
  Synthetic synthetic = synthetic_run(path, "sample");
  gint64 task = synthetic_task(&synthetic, "aime24", "maj", PROBLEMS, THREADS, 8);
  gint64 method[2] = {synthetic_method(&synthetic, "a", 1), synthetic_method(&synthetic, "b", 4)};
  for (int p = 0; p < PROBLEMS; p++) {
    g_autofree char *name = g_strdup_printf("p%d", p);
    gint64 problem = synthetic_problem(&synthetic, task, name);
    for (int m = 0; m < 2; m++)
      for (int i = 0; i < THREADS; i++)
        synthetic_keyed_thread(&synthetic, method[m], problem, i, NULL, 4, 8, i < solved(m, p) ? "correct" : "wrong",
                               "1");
  }
  g_autofree char *two = shown(&synthetic, 2, 1), *none = shown(&synthetic, 0, 2),
                  *all = shown(&synthetic, 99, THREADS);
  g_assert_cmpstr(two, ==, "p0/1/0 p0/2/0 p4/1/0 p4/2/0"); /* the largest difference, and the first of the rest */
  g_assert_cmpstr(none, ==, "");
  g_auto(GStrv) every = g_strsplit(all, " ", -1);
  g_assert_cmpuint(g_strv_length(every), ==, PROBLEMS * THREADS * 2);
  g_autofree char *six = shown(&synthetic, 6, 1);
  g_assert_nonnull(strstr(six, "p4/")); /* the three differences, and three of the other nine, evenly */
  g_assert_nonnull(strstr(six, "p9/"));
  g_assert_nonnull(strstr(six, "p10/"));
  g_assert_true(strstr(six, "p0/") && strstr(six, "p3/") && strstr(six, "p7/"));
  results_close(synthetic.store);
  scratch_remove();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/results/sample", test_sample);
  return g_test_run();
}
