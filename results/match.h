/* The statistics of a comparison, from cells that hold both sides. */
#ifndef HYPERSCALE_RESULTS_MATCH_H
#define HYPERSCALE_RESULTS_MATCH_H

#include "results/estimate.h"

/* Two methods by name over one task. */
typedef struct {
  const char *task;
  const ResultsCells *cells;
  ResultsFamily family[2]; /* A and B: their slots in the cells */
  guint n_resamples;
  uint64_t seed;
  gboolean uneven; /* one side ran more threads a problem than the other */
} ResultsMatch;

/* Appends (ResultsPair) A against B at every budget: CRs of one name with their like, of two names each with each. */
void results_match_budgets(const ResultsMatch *match, GArray *pairs);
/* Appends (ResultsAlong, ResultsMargin) A's frontier against B's on every cost. */
void results_match_frontiers(const ResultsMatch *match, GArray *along, GArray *margins);

#endif
