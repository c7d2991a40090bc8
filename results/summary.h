/* A summary without its derived part, for those who derive. */
#ifndef HYPERSCALE_RESULTS_SUMMARY_H
#define HYPERSCALE_RESULTS_SUMMARY_H

#include "results/results.h"

/* Run, tasks and methods; no points, frontiers and margins yet. `run` NULL: the newest. */
ResultsSummary *results_summary_begin(ResultsStore *store, const char *run, GError **error);
/* The id of a run by name, NULL: the newest; RESULTS_ERROR_MISSING lists those there are. */
gboolean results_run_find(ResultsStore *store, const char *run, gint64 *id, GError **error);

#endif
