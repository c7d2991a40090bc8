/* Pure arithmetic: a small generator, quantiles, intervals, tests. No state, no store. */
#ifndef HYPERSCALE_RESULTS_STATISTICS_H
#define HYPERSCALE_RESULTS_STATISTICS_H

#include <glib.h>
#include <stdint.h>

/* SplitMix64. The state for something named: FNV-1a over `seed` (its eight bytes, lowest first) and the text. */
uint64_t results_random_state(uint64_t seed, const char *name);
uint64_t results_random_next(uint64_t *state);
uint32_t results_random_below(uint64_t *state, uint32_t n); /* in [0, n) */
/* The first `k` of order[0..n) become a uniformly random subset; `order` must hold a permutation. */
void results_random_subset(uint64_t *state, int *order, int n, int k);

double results_log_choose(int n, int k);
double results_normal_cdf(double z);
/* Of Student's t with `df` >= 1 degrees of freedom, 0 < p < 1. */
double results_t_quantile(double p, int df);
/* Of sorted[0..n), linear between order statistics (R's type 7). */
double results_quantile(const double *sorted, guint n, double p);
/* How many bootstrap standard errors of a mean over `problems` problems reach 95 %: Student's t, and what the
 * bootstrap's spread lacks for few problems. NAN below two. */
double results_bootstrap_reach(guint problems);

/* Standard error and two 95 % intervals of a statistic, by bootstrap. */
typedef struct {
  double se;
  /* For means: percentiles, at levels that `reach` widens (Hesterberg 2015, "expanded percentile"). */
  double low, high;
  /* For what is the best of several means: half the width of `observed` +- reach x se. Resampling adds to the lead of
   * the luckiest once more, which shifts percentiles but not the standard error. */
  double reach;
} ResultsInterval;
/* From the n resampled values, which are sorted here; NAN among them are resamples in which the statistic is not
 * defined. All NAN when fewer than half are defined or `reach` (results_bootstrap_reach()) is NAN. */
ResultsInterval results_bootstrap_interval(double *value, guint n, double reach);
/* If n problems are all alike, a share of problems that are not above this would have shown in 95 % of such samples. */
double results_unseen(guint n);
/* 95 % interval of a difference of accuracies that all problems have alike: those that were not seen may differ by
 * anything from -1 to 1. */
void results_alike_interval(double difference, guint problems, double *low, double *high);
/* 95 % interval of a difference of accuracies: reach to either side or, where all resamples are one, as above; then
 * TRUE. NAN where `found` is. */
gboolean results_difference_interval(double difference, const ResultsInterval *found, guint problems, double *low,
                                     double *high);
/* Two-sided exact McNemar (sign) test: `more` and `less` of the problems differ this way and that way. */
double results_mcnemar(int more, int less);

#endif
