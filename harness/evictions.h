/* Which tokens a thread still holds, layer by layer and head by head: the pass over prompt and completion is
 * repeated, and its flags kept. */
#ifndef HYPERSCALE_EVICTIONS_H
#define HYPERSCALE_EVICTIONS_H

#include "engine/engine.h"
#include "reports/report.h"

/* The flags of the first thread of `count` problems of each task, for each method that evicts by decision. Reads the
 * models' weights; a model whose files are no longer those of the run is an error. Returns an array of
 * ReportEviction; free with evictions_free(). */
GArray *evictions_collect(ResultsStore *store, const ResultsSummary *summary, int count, DmsDevice device,
                          int device_index, GError **error);
void evictions_free(GArray *evictions);

#endif
