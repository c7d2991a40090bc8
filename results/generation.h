/* Generations and grades apart from the run that brought them, for adding and for merging stores. To be called between
 * results_db_enter() and results_db_leave(). */
#ifndef HYPERSCALE_RESULTS_GENERATION_H
#define HYPERSCALE_RESULTS_GENERATION_H

#include "results/results.h"

gboolean results_finish_parse(const char *name, ResultsFinish *finish);
/* Keeps the longer of what is stored under `key` and `generation`; RESULTS_ERROR_CONFLICT when neither begins with the
 * other. */
gboolean results_generation_merge(ResultsStore *store, const char *key, const ResultsGeneration *generation, gint64 *id,
                                  gboolean *changed, GError **error);
/* Says which generation a thread of a method is. */
gboolean results_thread_link(ResultsStore *store, gint64 method, gint64 problem, int thread, gint64 generation,
                             GError **error);
/* Keeps the first verdict unless it is `ungraded`. `*changed` tells whether the store has learnt something, `*same`
 * whether it now says what `grade` says. */
gboolean results_grade_merge(ResultsStore *store, gint64 generation, const char *generation_key,
                             const char *fingerprint, const ResultsGrade *grade, gboolean *changed, gboolean *same,
                             GError **error);

#endif
