/* Accuracy of W threads, averaged over all subsets of the n threads that there are. */
#ifndef HYPERSCALE_RESULTS_VOTE_H
#define HYPERSCALE_RESULTS_VOTE_H

#include <glib.h>
#include <stdint.h>

typedef enum {
  RESULTS_PASS,      /* any thread is correct */
  RESULTS_MAJ_MEAN,  /* the answer most voted for is correct; of tied answers, the share that is */
  RESULTS_MAJ_FIRST, /* the same; of tied answers, the one that came first in the order of threads */
} ResultsVoteRule;

/* What W threads make of one problem. */
typedef struct {
  double accuracy;
  /* Of `accuracy` over threads, the problem held fixed: W/n of a single vote's, which bounds it from above and is exact
   * at W = 1 and W = n; estimated from the n threads, with n - 1 in place of n. NAN for n = 1. */
  double variance;
  double subset_variance; /* of `accuracy` over the subsets that were sampled; 0: all were counted */
} ResultsVote;

#define RESULTS_NO_VOTE (-1)

/* Not to be shared by threads of the process. Remembers results: most problems of a run are alike. */
typedef struct ResultsVoter ResultsVoter;
/* threads [n_threads]: the W asked for, ascending; borrowed. */
ResultsVoter *results_voter_new(ResultsVoteRule rule, const int *threads, int n_threads);
void results_voter_free(ResultsVoter *voter);
/* group [n], in the order of threads: 0 correct, a number from 1 on for each wrong answer, RESULTS_NO_VOTE. Fills vote
 * [n_threads] up to the largest W <= n. `state` seeds the sampling of subsets. */
void results_vote(ResultsVoter *voter, const int *group, int n, uint64_t state, ResultsVote *vote);

#endif
