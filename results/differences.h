/* What keeps two sides of a comparison from being alike. */
#ifndef HYPERSCALE_RESULTS_DIFFERENCES_H
#define HYPERSCALE_RESULTS_DIFFERENCES_H

#include "results/results.h"

/* One side, read. */
typedef struct {
  ResultsStore *store;
  ResultsSummary *summary; /* without points */
} ResultsReadSide;

const ResultsTaskInfo *results_find_task(const ResultsSummary *summary, const char *name);

/* Appends (ResultsDifference) what differs between the runs, between a task that both have, between two methods. Texts
 * go to `strings`. */
void results_run_differences(const ResultsReadSide *a, const ResultsReadSide *b, GStringChunk *strings,
                             GArray *differences);
gboolean results_task_differences(const ResultsReadSide *a, const ResultsReadSide *b, const char *task,
                                  GStringChunk *strings, GArray *differences, GError **error);
void results_method_differences(const ResultsMethodInfo *a, const ResultsMethodInfo *b, GStringChunk *strings,
                                GArray *differences);

#endif
