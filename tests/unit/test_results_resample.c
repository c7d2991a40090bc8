/* The bootstrap's sums against the same sums written plainly, to the last bit. */
#include "results/resample.h"
#include "results/statistics.h"

#include <string.h>

typedef struct {
  const ResultsSample *sample;
  gint wrong;   /* atomic */
  guint8 *seen; /* [n_resamples] */
} Check;

static void sum_plainly(const ResultsSample *sample, guint resample, double *sum) {
  g_autofree char *name = g_strdup_printf("%s/%u", sample->task, resample);
  g_autofree guint *times = g_new0(guint, sample->n_problems);
  uint64_t state = results_random_state(sample->seed, name);
  for (guint i = 0; i < sample->n_problems; i++) times[results_random_below(&state, sample->n_problems)]++;
  memset(sum, 0, sample->size * sizeof *sum);
  for (guint p = 0; p < sample->n_problems; p++)
    for (gsize i = 0; i < sample->size; i++) sum[i] += times[p] * sample->value[p * sample->size + i];
}

static void check_block(const double *sums, guint first, guint n, gpointer data) {
  Check *check = data;
  gsize size = check->sample->size;
  g_autofree double *plain = g_new(double, size);
  for (guint b = 0; b < n; b++) {
    sum_plainly(check->sample, first + b, plain);
    if (memcmp(plain, sums + b * size, size * sizeof *plain) != 0) g_atomic_int_inc(&check->wrong);
    check->seen[first + b]++;
  }
}

/* Sizes below, at and above those of a vector, a strip, a pack and a block. */
static void test_sums(void) {
  static const struct {
    guint problems, resamples;
    gsize size;
  } cases[] = {{1, 1, 1}, {2, 3, 7}, {30, 200, 56}, {128, 128, 32}, {129, 130, 33}, {300, 257, 101}};
  for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
    gsize n = cases[c].problems * cases[c].size;
    g_autofree double *value = g_new(double, n);
    g_autofree guint8 *seen = g_new0(guint8, cases[c].resamples);
    uint64_t state = c + 1;
    for (gsize i = 0; i < n; i++) value[i] = (double)results_random_next(&state) / 1e15 / (double)(1 + i % 13);
    ResultsSample sample = {value, cases[c].size, cases[c].problems, "task", c, cases[c].resamples};
    Check check = {.sample = &sample, .seen = seen};
    results_resample(&sample, check_block, &check);
    g_assert_cmpint(check.wrong, ==, 0);
    for (guint b = 0; b < cases[c].resamples; b++) g_assert_cmpuint(seen[b], ==, 1);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/results/resample", test_sums);
  return g_test_run();
}
