/* Writes to the store, committed together about once a second: a crash loses at most what that second brought. */
#ifndef HYPERSCALE_BATCH_H
#define HYPERSCALE_BATCH_H

#include "results/results.h"

typedef struct {
  ResultsStore *store;
  gboolean open;
  gint64 since; /* monotonic microseconds */
} Batch;

/* To be called before each write: begins a transaction where none is open. */
gboolean batch_write(Batch *batch, GError **error);
/* Commits if the open transaction is a second old, or `now`. */
gboolean batch_commit(Batch *batch, gboolean now, GError **error);

#endif
