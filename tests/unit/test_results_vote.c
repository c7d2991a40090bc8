/* maj@W, pass@W and peaks over subsets of threads: by hand, and against listing every subset. */
#include <math.h>
#include <string.h>

#include "results/peak.h"
#include "results/statistics.h"
#include "results/vote.h"

static void assert_near(double a, double b, double tolerance) {
  if (!(fabs(a - b) <= tolerance)) g_error("%.17g is not %.17g", a, b);
}

static ResultsVote vote_one(ResultsVoteRule rule, const int *group, int n, int w) {
  ResultsVote vote;
  ResultsVoter *voter = results_voter_new(rule, &w, 1);
  results_vote(voter, group, n, 1, &vote);
  results_voter_free(voter);
  return vote;
}

#define NONE RESULTS_NO_VOTE

static void test_by_hand(void) {
  /* four threads: two correct, two wrong alike. Pairs: both correct 1/6, one of each 4/6 (a tie), both wrong 1/6 */
  const int even[] = {0, 1, 0, 1};
  assert_near(vote_one(RESULTS_MAJ_MEAN, even, 4, 1).accuracy, 0.5, 1e-15);
  assert_near(vote_one(RESULTS_MAJ_MEAN, even, 4, 2).accuracy, 1 / 6. + 4 / 6. / 2, 1e-15);
  assert_near(vote_one(RESULTS_MAJ_MEAN, even, 4, 3).accuracy, 0.5, 1e-15);
  assert_near(vote_one(RESULTS_MAJ_MEAN, even, 4, 4).accuracy, 0.5, 1e-15);
  assert_near(vote_one(RESULTS_PASS, even, 4, 2).accuracy, 5 / 6., 1e-15);
  assert_near(vote_one(RESULTS_PASS, even, 4, 3).accuracy, 1, 1e-15);
  /* of the tied pairs (0,1) (0,3) (1,2) (2,3) the correct answer is first in 0-1, 0-3, 2-3 */
  assert_near(vote_one(RESULTS_MAJ_FIRST, even, 4, 2).accuracy, 1 / 6. + 3 / 6., 1e-15);
  assert_near(vote_one(RESULTS_MAJ_FIRST, even, 4, 4).accuracy, 1, 1e-15);
  /* truncated threads cast no vote: one correct voice among silent ones is a majority */
  const int silent[] = {NONE, NONE, 0, NONE};
  assert_near(vote_one(RESULTS_MAJ_MEAN, silent, 4, 4).accuracy, 1, 1e-15);
  assert_near(vote_one(RESULTS_MAJ_MEAN, silent, 4, 2).accuracy, 0.5, 1e-15);
  const int mute[] = {NONE, NONE};
  assert_near(vote_one(RESULTS_MAJ_MEAN, mute, 2, 2).accuracy, 0, 0);
  /* wrong answers that differ split the wrong vote: 1 correct of 3 answers, all tied */
  const int split[] = {0, 1, 2};
  assert_near(vote_one(RESULTS_MAJ_MEAN, split, 3, 3).accuracy, 1 / 3., 1e-15);
  const int sure[] = {0, 0, 0, 0, 0, 0, 0};
  for (int w = 1; w <= 7; w++) g_assert_true(vote_one(RESULTS_MAJ_MEAN, sure, 7, w).accuracy == 1);
  /* one thread: p(1-p)/(n-1) over threads; all threads in one vote: the variance of a fresh vote, by n/(n-1) */
  assert_near(vote_one(RESULTS_MAJ_MEAN, even, 4, 1).variance, 0.25 / 3, 1e-15);
  assert_near(vote_one(RESULTS_PASS, even, 4, 4).variance, (1 - 1 / 16.) / 16 * 4 / 3, 1e-15);
  g_assert_true(isnan(vote_one(RESULTS_MAJ_MEAN, even, 1, 1).variance)); /* one thread does not say */
}

/* Every subset of w by its bits, or every sequence of w drawn with replacement: mean and variance of the vote. */
static void list_votes(const int *group, int n, int w, ResultsVoteRule rule, gboolean fresh, double *mean,
                       double *variance) {
  double sum = 0, square = 0, count = 0;
  int total = fresh ? (int)lround(pow(n, w)) : 1 << n;
  for (int set = 0; set < total; set++) {
    int member[16], k = 0, seen[16] = {0}, most = 0, tied = 0;
    if (!fresh && __builtin_popcount((guint)set) != w) continue;
    for (int i = 0, rest = set; fresh && i < w; i++, rest /= n) member[k++] = rest % n;
    for (int i = 0; !fresh && i < n; i++)
      if (set >> i & 1) member[k++] = i;
    for (int i = 0; i < k; i++)
      if (group[member[i]] >= 0 && ++seen[group[member[i]]] > most) most = seen[group[member[i]]];
    int first = -1;
    for (int i = k - 1; i >= 0; i--)
      if (group[member[i]] >= 0 && seen[group[member[i]]] == most) first = group[member[i]];
    for (int g = 0; most && g < 16; g++) tied += seen[g] == most;
    double outcome = rule == RESULTS_PASS        ? seen[0] > 0
                     : rule == RESULTS_MAJ_FIRST ? first == 0
                     : most && seen[0] == most   ? 1. / tied
                                                 : 0;
    sum += outcome;
    square += outcome * outcome;
    count++;
  }
  *mean = sum / count;
  *variance = square / count - *mean * *mean;
}

static void test_against_lists(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(3);
  const int threads[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (int round = 0; round < 400; round++) {
    int n = g_rand_int_range(random, 1, 10), group[9], answers = g_rand_int_range(random, 1, 5);
    for (int i = 0; i < n; i++)
      group[i] = g_rand_int_range(random, NONE, answers) * (1 + round % 2 * 2); /* with gaps, too */
    for (int i = 0; i < n; i++) group[i] = MAX(group[i], NONE);
    ResultsVoteRule rule = (ResultsVoteRule)(round % 3);
    ResultsVoter *voter = results_voter_new(rule, threads, 9);
    ResultsVote vote[9], again[9];
    results_vote(voter, group, n, 7, vote);
    results_vote(voter, group, n, 7, again); /* from memory */
    for (int w = 1; w <= n; w++) {
      double mean, variance;
      list_votes(group, n, w, rule, FALSE, &mean, &variance);
      assert_near(vote[w - 1].accuracy, mean, 1e-13);
      g_assert_cmpmem(&vote[w - 1], sizeof *vote, &again[w - 1], sizeof *vote);
      g_assert_true(vote[w - 1].subset_variance == 0);
      if (pow(n, w) > 20000) continue;
      list_votes(group, n, w, rule, TRUE, &mean, &variance);
      if (n > 1) assert_near(vote[w - 1].variance, variance * w / (n - 1), 1e-13);
    }
    results_voter_free(voter);
  }
}

/* Too many threads to list: within the stated error, the same again for the same seed, another for another. */
static void test_sampled(void) {
  const int threads[] = {1, 16, 400};
  int group[400];
  for (int i = 0; i < 400; i++) group[i] = i % 5 < 2 ? 0 : i % 5 < 4 ? 1 : i / 5 + 2;
  ResultsVoter *voter = results_voter_new(RESULTS_MAJ_MEAN, threads, 3);
  ResultsVote vote[3], same[3], other[3];
  results_vote(voter, group, 400, 1, vote);
  results_vote(voter, group, 400, 1, same);
  results_vote(voter, group, 400, 2, other);
  g_assert_cmpmem(vote, sizeof vote, same, sizeof same);
  g_assert_true(vote[1].accuracy != other[1].accuracy && vote[1].subset_variance > 0);
  assert_near(vote[1].accuracy, 0.5, 6 * sqrt(vote[1].subset_variance)); /* by symmetry */
  assert_near(vote[0].accuracy, 0.4, 1e-12);                             /* 400 subsets are listed */
  assert_near(vote[2].accuracy, 0.5, 1e-12);
  results_voter_free(voter);
  ResultsVote exact = vote_one(RESULTS_MAJ_MEAN, group, 100, 16);
  g_assert_true(exact.subset_variance == 0);
  assert_near(exact.accuracy, 0.5, 1e-9); /* single answers tie with the two frequent ones now and then */
}

/* ---- Peaks ------------------------------------------------------------------------------------------------------- */

/* So many ways to draw 300 of 2048 threads that no double holds them. */
static void test_beyond_counting(void) {
  int group[2048] = {0};
  for (ResultsVoteRule rule = RESULTS_PASS; rule <= RESULTS_MAJ_FIRST; rule++) {
    ResultsVote vote = vote_one(rule, group, G_N_ELEMENTS(group), 300);
    g_assert_true(vote.accuracy == 1 && vote.variance == 0);
  }
}

static void test_peaks_by_hand(void) {
  /* thread 0 holds 5 6 7 and ends, thread 1 holds 5 6 7 8 9: together 14 at the third step; cut at 2, 12; alone 7 and
   * 9, mean 8 */
  const uint64_t a[] = {5, 6, 7}, b[] = {5, 6, 7, 8, 9};
  const uint64_t *const trace[] = {a, b};
  const int length[] = {3, 5}, lengths[] = {2, 5}, threads[] = {1, 2, 3};
  gboolean mask[] = {TRUE, TRUE, TRUE, TRUE};
  double peak[6], variance[6];
  results_peaks(trace, length, 2, lengths, 2, threads, 3, mask, 1, peak, variance);
  assert_near(peak[0], 6, 0);
  assert_near(peak[1], 12, 0);
  assert_near(peak[3], 8, 0);
  assert_near(peak[4], 14, 0);
  g_assert_true(isnan(peak[2]) && isnan(peak[5]));
  mask[2] = FALSE; /* at L = 5 thread 0 is not known */
  results_peaks(trace, length, 2, lengths, 2, threads, 3, mask, 1, peak, variance);
  assert_near(peak[3], 9, 0);
  g_assert_true(isnan(peak[4]));
}

static double peak_of(uint64_t *const *trace, const int *length, int n, guint set, int cut) {
  double peak = 0;
  for (int t = 0; t < cut; t++) {
    double sum = 0;
    for (int i = 0; i < n; i++)
      if (set >> i & 1 && t < length[i]) sum += (double)trace[i][t];
    peak = MAX(peak, sum);
  }
  return peak;
}

static void test_peaks_against_lists(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(4);
  for (int round = 0; round < 300; round++) {
    int n = g_rand_int_range(random, 1, 6), length[5], lengths[3], threads[] = {1, 2, 3, 4, 5};
    uint64_t *trace[5];
    gboolean mask[15];
    gboolean falling = round % 2;
    for (int i = 0; i < n; i++) {
      length[i] = g_rand_int_range(random, 0, 30);
      trace[i] = g_new(uint64_t, length[i] + 1);
      uint64_t held = 20;
      for (int t = 0; t < length[i]; t++) {
        held += (uint64_t)g_rand_int_range(random, falling ? -4 : 0, 5);
        trace[i][t] = held;
      }
    }
    for (int l = 0; l < 3; l++) lengths[l] = (l ? lengths[l - 1] : 0) + g_rand_int_range(random, 1, 14);
    for (int i = 0; i < 3 * n; i++) mask[i] = g_rand_int_range(random, 0, 8) > 0;
    double peak[15], variance[15];
    results_peaks((const uint64_t *const *)trace, length, n, lengths, 3, threads, 5, mask, 1, peak, variance);
    for (int l = 0; l < 3; l++)
      for (int w = 1; w <= 5; w++) {
        double sum = 0;
        int count = 0;
        for (guint set = 1; set < 1u << n; set++) {
          gboolean allowed = __builtin_popcount(set) == w;
          for (int i = 0; i < n; i++) allowed &= !(set >> i & 1) || mask[l * n + i];
          if (allowed) sum += peak_of(trace, length, n, set, lengths[l]), count++;
        }
        if (count)
          assert_near(peak[l * 5 + w - 1], sum / count, 1e-9);
        else
          g_assert_true(isnan(peak[l * 5 + w - 1]));
      }
    for (int i = 0; i < n; i++) g_free(trace[i]);
  }
}

/* Many threads: subsets are sampled, within the stated error; one thread or all of them leave nothing to sample. */
static void test_peaks_sampled(void) {
  enum { N = 20 };
  uint64_t *trace[N];
  int length[N], lengths[] = {50, 400}, threads[] = {1, 4, N};
  gboolean mask[2 * N];
  for (int i = 0; i < N; i++) {
    length[i] = 10 + i * 17;
    trace[i] = g_new(uint64_t, length[i]);
    for (int t = 0; t < length[i]; t++) trace[i][t] = (uint64_t)(t + 1);
  }
  for (int i = 0; i < 2 * N; i++) mask[i] = TRUE;
  double peak[6], variance[6], wanted = 0, sets = 0;
  results_peaks((const uint64_t *const *)trace, length, N, lengths, 2, threads, 3, mask, 5, peak, variance);
  for (guint set = 1; set < 1u << N; set++)
    if (__builtin_popcount(set) == 4) {
      double best = 0; /* traces only rise: the peak is where one of the four ends */
      for (int i = 0; i < N; i++)
        if (set >> i & 1) best = MAX(best, (double)length[i] * __builtin_popcount(set >> i));
      wanted += best;
      sets++;
    }
  assert_near(peak[4], wanted / sets, 5 * sqrt(variance[4]));
  g_assert_true(variance[4] > 0 && sqrt(variance[4]) < peak[4] / 20);
  assert_near(peak[5], peak_of(trace, length, N, (1u << N) - 1, 400), 0);
  g_assert_true(variance[5] == 0);
  for (int i = 0; i < N; i++) g_free(trace[i]);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/results/vote/by-hand", test_by_hand);
  g_test_add_func("/results/vote/against-lists", test_against_lists);
  g_test_add_func("/results/vote/sampled", test_sampled);
  g_test_add_func("/results/vote/beyond-counting", test_beyond_counting);
  g_test_add_func("/results/peak/by-hand", test_peaks_by_hand);
  g_test_add_func("/results/peak/against-lists", test_peaks_against_lists);
  g_test_add_func("/results/peak/sampled", test_peaks_sampled);
  return g_test_run();
}
