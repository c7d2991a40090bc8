/* The sampler against a slow one that sorts, and against the probabilities that it should draw with. */
#include "engine/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>

/* ---- A slow reference ---- */

typedef struct {
  uint64_t weight;
  int32_t id;
} Entry;

static int heavier_first(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  return (x->id > y->id) - (x->id < y->id);
}

static int32_t sample_slowly(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab) {
  g_autofree Entry *entries = g_new(Entry, vocab);
  float max = -INFINITY, scale = dms_weight_scale(sampler->temperature);
  for (int i = 0; i < vocab; i++) {
    if (isnan(logits[i])) return DMS_TOKEN_INVALID;
    max = fmaxf(max, logits[i]);
  }
  if (isinf(max)) return DMS_TOKEN_INVALID;
  for (int i = 0; i < vocab && sampler->temperature == 0; i++)
    if (logits[i] == max) return i;
  for (int i = 0; i < vocab; i++) entries[i] = (Entry){dms_weight(dms_weight_exponent(logits[i], max, scale)), i};
  qsort(entries, (size_t)vocab, sizeof *entries, heavier_first);
  int kept = sampler->top_k > 0 ? MIN(sampler->top_k, vocab) : vocab;
  uint64_t total = 0, sum = 0, target;
  for (int i = 0; i < kept; i++) total += entries[i].weight;
  target = dms_nucleus_target(total, sampler->top_p);
  int n = 0;
  while (sum < target) sum += entries[n++].weight;
  qsort(entries, (size_t)n, sizeof *entries, by_id);
  uint64_t draw = dms_draw(dms_philox(sampler->key, sampler->thread, step), sum), running = 0;
  for (int i = 0; i < n; i++)
    if ((running += entries[i].weight) > draw) return entries[i].id;
  g_assert_not_reached();
}

/* ---- The parts ---- */

/* Philox 4x32-10: counter 0 and key 0 as in Random123's known answers, the other from an independent implementation. */
static void test_philox(void) {
  g_assert_cmphex(dms_philox(0, 0, 0), ==, G_GUINT64_CONSTANT(0xe169c58d6627e8d5));
  g_assert_cmphex(dms_philox(G_GUINT64_CONSTANT(0x0123456789abcdef), 5, 7), ==, G_GUINT64_CONSTANT(0xa4d4b6c491b7d2e0));
}

/* SHA-256 of the seed and the NUL-terminated strings. */
static void test_seed_key(void) {
  g_assert_cmpuint(dms_seed_key(42, "aime", "p1"), ==, G_GUINT64_CONSTANT(10502834747153176090));
  g_assert_cmpuint(dms_seed_key(1, "ab", ""), !=, dms_seed_key(1, "a", "b"));
  g_assert_cmpuint(dms_seed_key(1, "", "ab"), !=, dms_seed_key(1, "a", "b"));
}

static void test_weight(void) {
  double worst = 0;
  g_assert_cmpuint(dms_weight(0), ==, (uint64_t)1 << 40);
  g_assert_cmpuint(dms_weight(-1), ==, (uint64_t)1 << 39);
  g_assert_cmpuint(dms_weight(-41), ==, 0);
  g_assert_cmpuint(dms_weight(-INFINITY), ==, 0);
  g_assert_cmpuint(dms_weight(NAN), ==, 0);
  for (int i = 0; i < 1 << 20; i++) {
    float x = -41.0f * (float)i / (1 << 20);
    double exact = exp2(40 + (double)x), got = (double)dms_weight(x);
    worst = fmax(worst, (fabs(got - exact) - 0.5) / exact); /* half a unit is the rounding to an integer */
  }
  g_test_message("relative error of a weight %.1e", worst);
  g_assert_cmpfloat(worst, <, 2e-7);
}

static void test_nucleus_target(void) {
  g_assert_cmpuint(dms_nucleus_target(1000, 1), ==, 1000);
  g_assert_cmpuint(dms_nucleus_target(1000, 0.5f), ==, 500);
  g_assert_cmpuint(dms_nucleus_target(1001, 0.5f), ==, 501);
  g_assert_cmpuint(dms_nucleus_target(1000, 1e-6f), ==, 1);
  g_assert_cmpuint(dms_draw(UINT64_MAX, 1000), ==, 999);
  g_assert_cmpuint(dms_draw(0, 1000), ==, 0);
}

/* ---- Whole ---- */

/* Logits of several kinds: peaked, flat, many ties, some infinitely unlikely. */
static void fill(GRand *random, int kind, float *logits, int vocab) {
  for (int i = 0; i < vocab; i++) {
    double x = g_rand_double_range(random, -1, 1);
    switch (kind) {
    case 0:
      logits[i] = (float)(20 * x * x * x);
      break;
    case 1:
      logits[i] = (float)(0.01 * x);
      break;
    case 2:
      logits[i] = (float)g_rand_int_range(random, -3, 4);
      break;
    case 3:
      logits[i] = 1.5f;
      break;
    default:
      logits[i] = x < 0 ? -INFINITY : (float)(300 * x);
    }
  }
  if (kind == 4) logits[vocab - 1] = 0;
}

static void test_against_sorting(void) {
  static const int vocabs[] = {1, 2, 15, 16, 33, 640, 5003};
  static const float temperatures[] = {0, 1e-30f, 0.1f, 0.6f, 1, 5}, top_ps[] = {1, 0.95f, 0.5f, 1e-7f};
  static const int top_ks[] = {0, 1, 7, 40, 100000};
  g_autoptr(GRand) random = g_rand_new_with_seed(11);
  g_autofree uint64_t *scratch = g_new(uint64_t, 2 * 5003);
  g_autofree float *logits = g_new(float, 5003);
  uint32_t step = 0;
  for (gsize v = 0; v < G_N_ELEMENTS(vocabs); v++)
    for (int kind = 0; kind < 5; kind++) {
      fill(random, kind, logits, vocabs[v]);
      for (gsize t = 0; t < G_N_ELEMENTS(temperatures); t++)
        for (gsize p = 0; p < G_N_ELEMENTS(top_ps); p++)
          for (gsize k = 0; k < G_N_ELEMENTS(top_ks); k++, step++) {
            DmsSampler sampler = {temperatures[t], top_ps[p], top_ks[k], step % 8, 99};
            int32_t want = sample_slowly(&sampler, step, logits, vocabs[v]);
            for (const DmsKernels *const *set = dms_cpu_kernels_all(); *set; set++)
              g_assert_cmpint((*set)->sample(&sampler, step, logits, vocabs[v], scratch), ==, want);
          }
    }
}

static void test_not_numbers(void) {
  float logits[40] = {0};
  uint64_t scratch[80];
  DmsSampler sampler = {0.6f, 0.95f, 0, 0, 1}, greedy = {0, 1, 0, 0, 1};
  static const float bad[] = {NAN, INFINITY};
  for (gsize b = 0; b < G_N_ELEMENTS(bad); b++)
    for (int i = 0; i < 40; i++) {
      logits[i] = bad[b];
      g_assert_cmpint(dms_sample(&sampler, 0, logits, 40, scratch), ==, DMS_TOKEN_INVALID);
      g_assert_cmpint(dms_sample(&greedy, 0, logits, 40, scratch), ==, DMS_TOKEN_INVALID);
      logits[i] = 0;
    }
  for (int i = 0; i < 40; i++) logits[i] = -INFINITY;
  g_assert_cmpint(dms_sample(&sampler, 0, logits, 40, scratch), ==, DMS_TOKEN_INVALID);
  logits[17] = -3;
  g_assert_cmpint(dms_sample(&sampler, 0, logits, 40, scratch), ==, 17);
  g_assert_cmpint(dms_sample(&greedy, 0, logits, 40, scratch), ==, 17);
}

/* Pearson's statistic of the draws over steps and threads against softmax, cut to the nucleus. */
static void test_frequencies(void) {
  enum { VOCAB = 24, DRAWS = 200000 };
  static const struct {
    DmsSampler sampler;
    int kept;
  } cases[] = {{{1, 1, 0, 0, 5}, VOCAB}, {{0.5f, 1, 0, 0, 6}, VOCAB}, {{1, 1, 6, 0, 7}, 6}, {{2, 0.5f, 0, 0, 8}, 0}};
  float logits[VOCAB];
  uint64_t scratch[2 * VOCAB];
  for (int i = 0; i < VOCAB; i++) logits[i] = (float)((i * 7) % VOCAB) / 6; /* all different */
  for (gsize c = 0; c < G_N_ELEMENTS(cases); c++) {
    DmsSampler sampler = cases[c].sampler;
    double p[VOCAB], sum = 0, kept = 0, statistic = 0;
    int counts[VOCAB] = {0}, n = 0;
    for (int i = 0; i < VOCAB; i++) sum += p[i] = exp(logits[i] / (double)sampler.temperature);
    gboolean in[VOCAB] = {FALSE};
    while (cases[c].kept ? n < cases[c].kept : kept < (double)sampler.top_p * sum) {
      int best = -1;
      for (int i = 0; i < VOCAB; i++)
        if (!in[i] && (best < 0 || p[i] > p[best])) best = i;
      in[best] = TRUE, kept += p[best], n++;
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
      sampler.thread = i % 16;
      counts[dms_sample(&sampler, i / 16, logits, VOCAB, scratch)]++;
    }
    for (int i = 0; i < VOCAB; i++) {
      double expected = in[i] ? DRAWS * p[i] / kept : 0;
      if (!in[i]) g_assert_cmpint(counts[i], ==, 0);
      if (in[i]) statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    g_test_message("%d kept: chi-square %.1f", n, statistic);
    g_assert_cmpfloat(statistic, <, n + 4 * sqrt(2.0 * n)); /* mean n - 1, deviation sqrt(2 (n - 1)) */
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sampling/philox", test_philox);
  g_test_add_func("/sampling/seed-key", test_seed_key);
  g_test_add_func("/sampling/weight", test_weight);
  g_test_add_func("/sampling/nucleus-target", test_nucleus_target);
  g_test_add_func("/sampling/against-sorting", test_against_sorting);
  g_test_add_func("/sampling/not-numbers", test_not_numbers);
  g_test_add_func("/sampling/frequencies", test_frequencies);
  return g_test_run();
}
