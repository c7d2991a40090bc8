/* Grouped commits. */
#include "harness/batch.h"

gboolean batch_write(Batch *batch, GError **error) {
  if (batch->open) return TRUE;
  if (!results_begin(batch->store, error)) return FALSE;
  batch->open = TRUE;
  batch->since = g_get_monotonic_time();
  return TRUE;
}

gboolean batch_commit(Batch *batch, gboolean now, GError **error) {
  if (!batch->open || (!now && g_get_monotonic_time() - batch->since < G_USEC_PER_SEC)) return TRUE;
  batch->open = FALSE;
  return results_commit(batch->store, error);
}
