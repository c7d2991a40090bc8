/* Rows of a run apart from the occasion that brings them, for adding and for merging stores. To be called between
 * results_db_enter() and results_db_leave(). */
#ifndef HYPERSCALE_RESULTS_RUN_H
#define HYPERSCALE_RESULTS_RUN_H

#include "results/results.h"

/* The run of this name, plan and seed, made if it is not there. `created` NULL: now. */
gboolean results_run_find_or_add(ResultsStore *store, const ResultsRun *run, const char *created, gint64 *id,
                                 GError **error);
/* Takes away what was derived from a run that has changed since. */
gboolean results_forget_derived(ResultsStore *store, gint64 run, GError **error);

#endif
