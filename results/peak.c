/* Only a few moments can be the peak of any subset. At a step that all of the threads survive, and after which none of
 * them holds less, no sum is larger than at the next step; what is left are the steps at which a thread ends, is cut,
 * or shrinks. */
#include "results/peak.h"

#include <math.h>
#include <string.h>

#include "results/statistics.h"

#define MOST_COUNTED 12 /* threads whose every subset is counted: 2^12 sums at each moment */
#define SAMPLED_SUBSETS 512

static GArray *find_moments(const uint64_t *const *trace, const int *length, int n, const int *lengths, int n_lengths) {
  int end = 0;
  for (int i = 0; i < n; i++) end = MAX(end, length[i]);
  end = MIN(end, lengths[n_lengths - 1]);
  g_autofree guint8 *mark = g_malloc0((gsize)end + 1);
  for (int i = 0; i < n; i++) {
    int last = MIN(length[i], end) - 1;
    for (int t = 0; t < last; t++) mark[t] |= trace[i][t + 1] < trace[i][t];
    if (last >= 0) mark[last] = 1;
  }
  for (int l = 0; l < n_lengths; l++)
    if (lengths[l] <= end) mark[lengths[l] - 1] = 1;
  GArray *moments = g_array_new(FALSE, FALSE, sizeof(int));
  for (int t = 0; t < end; t++)
    if (mark[t]) g_array_append_val(moments, t);
  return moments;
}

/* What each thread holds at the moments, 0 after its end: held[moment * n + i]. */
static double *read_moments(const uint64_t *const *trace, const int *length, int n, const GArray *moments) {
  gsize size = moments->len * (gsize)n;
  double *held = g_new0(double, size + 1);
  for (guint m = 0; m < moments->len; m++) {
    int t = g_array_index(moments, int, m);
    for (int i = 0; i < n; i++) held[m * (guint)n + (guint)i] = t < length[i] ? (double)trace[i][t] : 0;
  }
  return held;
}

/* Largest sum so far of each subset of the n threads, by its bits. */
static void raise_peaks(const double *held, int n, double *sum, double *largest) {
  sum[0] = 0;
  for (guint set = 1; set < 1u << n; set++) {
    sum[set] = sum[set & (set - 1)] + held[__builtin_ctz(set)];
    largest[set] = MAX(largest[set], sum[set]);
  }
}

static void average_counted(const double *largest, int n, guint allowed, const int *threads, int n_threads,
                            double *peak) {
  double total[MOST_COUNTED + 1] = {0};
  int count[MOST_COUNTED + 1] = {0};
  for (guint set = 1; set < 1u << n; set++)
    if ((set & ~allowed) == 0) {
      total[__builtin_popcount(set)] += largest[set];
      count[__builtin_popcount(set)]++;
    }
  for (int w = 0; w < n_threads; w++)
    peak[w] = threads[w] <= n && count[threads[w]] ? total[threads[w]] / count[threads[w]] : NAN;
}

static void count_peaks(const double *held, const GArray *moments, int n, const int *lengths, int n_lengths,
                        const int *threads, int n_threads, const gboolean *mask, double *peak) {
  g_autofree double *sum = g_new(double, (gsize)1 << n), *largest = g_new0(double, (gsize)1 << n);
  guint m = 0;
  for (int l = 0; l < n_lengths; l++) {
    for (; m < moments->len && g_array_index(moments, int, m) < lengths[l]; m++)
      raise_peaks(held + m * (guint)n, n, sum, largest);
    guint allowed = 0;
    for (int i = 0; i < n; i++) allowed |= (guint)(mask[l * n + i] != 0) << i;
    average_counted(largest, n, allowed, threads, n_threads, peak + l * n_threads);
  }
}

/* Subsets of W threads and the largest sum so far of each. */
typedef struct {
  int tries, w;
  int *member;     /* [tries, w] */
  double *largest; /* [tries] */
} Sample;

static Sample sample_new(const gboolean *mask, int n, int w, uint64_t *state) {
  g_autofree int *allowed = g_new(int, (gsize)n);
  int n_allowed = 0;
  for (int i = 0; i < n; i++)
    if (mask[i]) allowed[n_allowed++] = i;
  Sample sample = {.tries = n_allowed < w ? 0 : n_allowed == w ? 1 : SAMPLED_SUBSETS, .w = w};
  sample.member = g_new(int, (gsize)(sample.tries * w) + 1);
  sample.largest = g_new0(double, (gsize)sample.tries + 1);
  for (int try = 0; try < sample.tries; try++) {
    results_random_subset(state, allowed, n_allowed, w);
    memcpy(sample.member + try * w, allowed, (gsize)w * sizeof *allowed);
  }
  return sample;
}

static void sample_raise(Sample *sample, const double *held) {
  for (int try = 0; try < sample->tries; try++) {
    const int *member = sample->member + try * sample->w;
    double sum = 0;
    for (int i = 0; i < sample->w; i++) sum += held[member[i]];
    sample->largest[try] = MAX(sample->largest[try], sum);
  }
}

static void sample_average(const Sample *sample, double *peak, double *variance) {
  double total = 0, square = 0;
  for (int try = 0; try < sample->tries; try++) {
    total += sample->largest[try];
    square += pow(sample->largest[try], 2);
  }
  *peak = total / sample->tries; /* NAN where there is no subset */
  *variance = sample->tries > 1 ? MAX(0, square / sample->tries - *peak * *peak) / (sample->tries - 1) : 0;
}

static void sample_clear(Sample *sample) {
  g_free(sample->member);
  g_free(sample->largest);
}

static void sample_peaks(const double *held, const GArray *moments, int n, const int *lengths, int n_lengths,
                         const int *threads, int n_threads, const gboolean *mask, uint64_t *state, double *peak,
                         double *variance) {
  for (int w = 0; w < n_threads; w++) {
    Sample sample = {0};
    guint m = 0;
    for (int l = 0; l < n_lengths; l++) {
      if (l == 0 || memcmp(mask + l * n, mask + (l - 1) * n, (gsize)n * sizeof *mask) != 0) {
        sample_clear(&sample);
        sample = sample_new(mask + l * n, n, threads[w], state);
        m = 0;
      }
      for (; m < moments->len && g_array_index(moments, int, m) < lengths[l]; m++)
        sample_raise(&sample, held + m * (guint)n);
      sample_average(&sample, &peak[l * n_threads + w], &variance[l * n_threads + w]);
    }
    sample_clear(&sample);
  }
}

void results_peaks(const uint64_t *const *trace, const int *length, int n, const int *lengths, int n_lengths,
                   const int *threads, int n_threads, const gboolean *mask, uint64_t state, double *peak,
                   double *variance) {
  g_autoptr(GArray) moments = find_moments(trace, length, n, lengths, n_lengths);
  g_autofree double *held = read_moments(trace, length, n, moments);
  if (n > MOST_COUNTED)
    return sample_peaks(held, moments, n, lengths, n_lengths, threads, n_threads, mask, &state, peak, variance);
  for (int cell = 0; cell < n_lengths * n_threads; cell++) variance[cell] = 0;
  count_peaks(held, moments, n, lengths, n_lengths, threads, n_threads, mask, peak);
}
