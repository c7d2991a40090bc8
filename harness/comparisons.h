/* The comparisons that a page shows of a run. */
#ifndef HYPERSCALE_HARNESS_COMPARISONS_H
#define HYPERSCALE_HARNESS_COMPARISONS_H

#include "results/results.h"

/* Every method against every one that the run names before it, at the budgets of the summary's points: an array of
 * ResultsComparison that owns them. All threads are read again for each, so it stays empty where there are too many
 * for a report. NULL on failure. */
GPtrArray *comparisons_collect(ResultsStore *store, const ResultsSummary *summary, GError **error);

#endif
