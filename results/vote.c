/* A vote of W threads depends on how often each answer is drawn. Drawing v correct ones wins, with ties shared, if no
 * other answer is drawn more than v times: summed over v, the draws of the other answers are a product of polynomials
 * in two variables, one counting the threads drawn and one the answers that tie. That is exact and yields every W at
 * once; only where it would be long (hundreds of threads), or where ties go by the order of threads, are subsets listed
 * or sampled. */
#include "results/vote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/statistics.h"

#define MOST_TERMS 2e7     /* of the polynomial product; more is sampled */
#define MOST_WAYS 700.0    /* logarithm of the ways to draw: e^709 is the largest double */
#define MOST_SUBSETS 20000 /* that are listed one by one; more are sampled */
#define SAMPLED_SUBSETS 4096

struct ResultsVoter {
  ResultsVoteRule rule;
  const int *threads;
  int n_threads;
  GHashTable *known; /* counts of answers -> ResultsVote[n_threads] */
};

ResultsVoter *results_voter_new(ResultsVoteRule rule, const int *threads, int n_threads) {
  ResultsVoter *voter = g_new(ResultsVoter, 1);
  *voter = (ResultsVoter){.rule = rule, .threads = threads, .n_threads = n_threads};
  voter->known = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, g_free);
  return voter;
}

void results_voter_free(ResultsVoter *voter) {
  g_hash_table_destroy(voter->known);
  g_free(voter);
}

/* How often each answer was given, the wrong ones in descending order: all that a vote without an order depends on. */
typedef struct {
  int n, correct, n_wrong;
  int wrong[]; /* [n_wrong] */
} Counts;

static int descending(const void *a, const void *b) {
  return *(const int *)b - *(const int *)a;
}

static Counts *count_answers(const int *group, int n, gsize *size) {
  int largest = 0;
  for (int i = 0; i < n; i++) largest = MAX(largest, group[i]);
  Counts *counts = g_malloc0(sizeof *counts + (gsize)largest * sizeof *counts->wrong);
  counts->n = n;
  counts->n_wrong = largest;
  for (int i = 0; i < n; i++) {
    if (group[i] == 0) counts->correct++;
    if (group[i] > 0) counts->wrong[group[i] - 1]++;
  }
  qsort(counts->wrong, (gsize)counts->n_wrong, sizeof *counts->wrong, descending);
  while (counts->n_wrong > 0 && counts->wrong[counts->n_wrong - 1] == 0) counts->n_wrong--;
  *size = sizeof *counts + (gsize)counts->n_wrong * sizeof *counts->wrong;
  return counts;
}

/* ---- Counting every subset --------------------------------------------------------------------------------------- */

/* row[j], j = 0 .. most: ways to draw j of `count` threads, without replacement (subsets of the threads) or with it
 * (fresh samples from their distribution); in both cases without regard to order, so that the ways to draw several
 * answers multiply. */
static void fill_ways(double *row, int count, int most, gboolean replace) {
  row[0] = 1;
  for (int j = 1; j <= most; j++) row[j] = row[j - 1] * (replace ? count : MAX(0, count - j + 1)) / j;
}

/* For every number of draws W = 1 .. most: mean[W] of the vote's outcome and square[W] of its square. In the round of v
 * the correct answer is drawn v times and no other more often: product[r][d] are the ways to draw d of the others so
 * that r of their answers come up v times as well. Answer by answer it is multiplied in place, from the far end. */
static void count_draws(const Counts *counts, int most, gboolean replace, double *mean, double *square) {
  int silent = counts->n - counts->correct, width = most + 1;
  for (int i = 0; i < counts->n_wrong; i++) silent -= counts->wrong[i];
  g_autofree double *row = g_new(double, (gsize)width), *correct = g_new(double, (gsize)width);
  gsize size = (gsize)width * (gsize)width;
  g_autofree double *product = g_new(double, size); /* [ties][drawn] */
  fill_ways(correct, counts->correct, most, replace);
  for (int w = 0; w <= most; w++) mean[w] = square[w] = 0;
  for (int v = 1; v <= most && correct[v] > 0; v++) {
    int left = most - v, ties = 0;
    fill_ways(product, silent, left, replace);
    for (int i = 0; i < counts->n_wrong; i++) {
      int largest = MIN(v, replace ? left : MIN(left, counts->wrong[i]));
      fill_ways(row, counts->wrong[i], largest, replace);
      gboolean may_tie = largest == v && (ties + 1) * v <= left;
      if (may_tie) memset(product + (gsize)++ties * (gsize)width, 0, (gsize)width * sizeof *product);
      for (int r = ties; r >= 0; r--) {
        double *tied = product + (gsize)r * (gsize)width;
        for (int drawn = left; drawn >= 0; drawn--) {
          double sum = r > 0 && largest == v && drawn >= v ? tied[drawn - v - width] * row[v] : 0;
          for (int j = 0; j <= MIN(drawn, MIN(largest, v - 1)); j++) sum += tied[drawn - j] * row[j];
          tied[drawn] = sum;
        }
      }
    }
    for (int r = 0; r <= ties; r++)
      for (int drawn = r * v; drawn <= left; drawn++) {
        double term = correct[v] * product[r * width + drawn] / (r + 1);
        mean[v + drawn] += term;
        square[v + drawn] += term / (r + 1);
      }
  }
  fill_ways(row, counts->n, most, replace);
  for (int w = 1; w <= most; w++) {
    mean[w] = MIN(1, mean[w] / row[w]);
    square[w] = MIN(1, square[w] / row[w]);
  }
}

/* ---- Subset by subset -------------------------------------------------------------------------------------------- */

/* The vote of the threads member[0..n). `seen` [answers] is zeroed and left so. */
static double hold_vote(const int *group, const int *member, int n, gboolean first, int *seen) {
  int most = 0, tied = 0, winner = -1;
  for (int i = 0; i < n; i++)
    if (group[member[i]] >= 0 && ++seen[group[member[i]]] > most) most = seen[group[member[i]]];
  for (int i = 0; i < n; i++) {
    int answer = group[member[i]];
    if (answer < 0) continue;
    if (seen[answer] == most) {
      if (winner < 0) winner = answer;
      winner = answer == 0 && !first ? 0 : winner;
      tied++;
    }
    seen[answer] = 0;
  }
  return winner == 0 ? (first ? 1.0 : 1.0 / tied) : 0;
}

/* The next subset of k of n in lexicographic order; FALSE after the last. */
static gboolean next_subset(int *member, int n, int k) {
  int i = k - 1;
  while (i >= 0 && member[i] == n - k + i) i--;
  if (i < 0) return FALSE;
  for (int next = ++member[i]; ++i < k;) member[i] = ++next;
  return TRUE;
}

static int ascending(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b;
}

/* Mean and variance of the vote of W threads over all subsets, over a sample of them, or over samples drawn with
 * replacement. */
typedef enum { LIST, SAMPLE, REPLACE } Trial;

static void try_votes(const int *group, int n, int w, gboolean first, Trial trial, uint64_t *state, double *mean,
                      double *variance) {
  int answers = 1, tried = 0;
  for (int i = 0; i < n; i++) answers = MAX(answers, group[i] + 1);
  g_autofree int *seen = g_new0(int, (gsize)answers), *order = g_new(int, (gsize)n), *member = g_new(int, (gsize)w);
  for (int i = 0; i < n; i++) order[i] = i;
  memcpy(member, order, (gsize)w * sizeof *member);
  double sum = 0, square = 0;
  do {
    if (trial == SAMPLE) {
      results_random_subset(state, order, n, w);
      memcpy(member, order, (gsize)w * sizeof *member);
      qsort(member, (gsize)w, sizeof *member, ascending);
    }
    for (int i = 0; trial == REPLACE && i < w; i++) member[i] = (int)results_random_below(state, (uint32_t)n);
    double outcome = hold_vote(group, member, w, first, seen);
    sum += outcome;
    square += outcome * outcome;
    tried++;
  } while (trial == LIST ? next_subset(member, n, w) : tried < SAMPLED_SUBSETS);
  *mean = sum / tried;
  *variance = MAX(0, square / tried - *mean * *mean);
}

/* ---- One problem ------------------------------------------------------------------------------------------------- */

/* The variance over threads of a mean over subsets of w of the n, from that of one vote of w fresh samples. Samples
 * drawn from the n threads vary less than new threads would, hence n - 1: NAN where there is one thread. */
static double over_threads(double fresh, int w, int n) {
  return n > 1 ? fresh * w / (n - 1) : NAN;
}

static void pass(const ResultsVoter *voter, const Counts *counts, ResultsVote *vote) {
  double share = (double)counts->correct / counts->n;
  for (int i = 0; i < voter->n_threads && voter->threads[i] <= counts->n; i++) {
    double none = 1, single;
    int w = voter->threads[i];
    for (int drawn = 0; drawn < w; drawn++)
      none *= (double)MAX(0, counts->n - counts->correct - drawn) / (counts->n - drawn);
    single = pow(1 - share, w);
    vote[i] = (ResultsVote){.accuracy = 1 - none, .variance = over_threads(single * (1 - single), w, counts->n)};
  }
}

/* Mean and variance of the vote of W fresh samples from the threads' distribution, for every W up to `most`. With ties
 * by order the mean is the same, for fresh samples have no order of their own, and the outcome is 0 or 1. */
static void count_fresh_votes(const Counts *counts, int most, gboolean first, double *variance) {
  g_autofree double *mean = g_new(double, (gsize)most + 1);
  count_draws(counts, most, TRUE, mean, variance);
  for (int w = 1; w <= most; w++) variance[w] = MAX(0, (first ? mean[w] : variance[w]) - mean[w] * mean[w]);
}

static void maj_counted(const ResultsVoter *voter, const Counts *counts, int most, ResultsVote *vote) {
  gsize width = (gsize)most + 1;
  g_autofree double *mean = g_new(double, width), *square = g_new(double, width), *fresh = g_new(double, width);
  count_draws(counts, most, FALSE, mean, square);
  count_fresh_votes(counts, most, FALSE, fresh);
  for (int i = 0; i < voter->n_threads && voter->threads[i] <= most; i++) {
    int w = voter->threads[i];
    vote[i] = (ResultsVote){.accuracy = mean[w], .variance = over_threads(fresh[w], w, counts->n)};
  }
}

static void maj_tried(const ResultsVoter *voter, const int *group, const Counts *counts, int most, gboolean countable,
                      uint64_t state, ResultsVote *vote) {
  gboolean first = voter->rule == RESULTS_MAJ_FIRST;
  g_autofree double *fresh = g_new(double, (gsize)most + 1);
  if (countable) count_fresh_votes(counts, most, first, fresh);
  for (int i = 0; i < voter->n_threads && voter->threads[i] <= most; i++) {
    int w = voter->threads[i];
    gboolean list = results_log_choose(counts->n, w) < log(MOST_SUBSETS);
    double mean, variance, ignored;
    try_votes(group, counts->n, w, first, list ? LIST : SAMPLE, &state, &mean, &variance);
    if (!countable) try_votes(group, counts->n, w, first, REPLACE, &state, &ignored, &fresh[w]);
    vote[i] = (ResultsVote){.accuracy = mean,
                            .variance = over_threads(fresh[w], w, counts->n),
                            .subset_variance = list ? 0 : variance / (SAMPLED_SUBSETS - 1)};
  }
}

void results_vote(ResultsVoter *voter, const int *group, int n, uint64_t state, ResultsVote *vote) {
  gsize size;
  int most = 0;
  for (int i = 0; i < voter->n_threads && voter->threads[i] <= n; i++) most = voter->threads[i];
  if (most == 0) return;
  g_autofree Counts *counts = count_answers(group, n, &size);
  gboolean countable = (counts->n_wrong + 1) * pow(most, 3) / 6 <= MOST_TERMS &&
                       most * (1 + log((double)n / most)) < MOST_WAYS; /* above n^most / most!, by Stirling */
  if (voter->rule == RESULTS_MAJ_FIRST || (voter->rule == RESULTS_MAJ_MEAN && !countable))
    return maj_tried(voter, group, counts, most, countable, state, vote);
  g_autoptr(GBytes) key = g_bytes_new(counts, size);
  ResultsVote *known = g_hash_table_lookup(voter->known, key);
  if (!known) {
    known = g_new0(ResultsVote, (gsize)voter->n_threads);
    if (voter->rule == RESULTS_PASS)
      pass(voter, counts, known);
    else
      maj_counted(voter, counts, most, known);
    g_hash_table_insert(voter->known, g_bytes_ref(key), known);
  }
  memcpy(vote, known, (gsize)voter->n_threads * sizeof *vote);
}
