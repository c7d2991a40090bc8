/* Steps: a CUDA graph for each batch bucket, launched without waiting; orders and results go through mailboxes. */
#include "engine/cuda/device.h"

#include <string.h>

/* A mailbox is written to again when its step has been collected. */
G_STATIC_ASSERT(DMS_CUDA_MAILBOXES > DMS_CUDA_LATENCY + 1);

/* Few enough that each can have its graph, dense enough that padding costs little. */
int dms_cuda_bucket(int rows) {
  static const int small[] = {1, 2, 4, 8};
  for (gsize i = 0; i < G_N_ELEMENTS(small); i++)
    if (rows <= small[i]) return small[i];
  int step = rows <= 64 ? 8 : rows <= 256 ? 16 : 64;
  return (rows + step - 1) / step * step;
}

static cudaGraphExec_t capture(DmsBackend *b, int bucket, GError **error) {
  cudaGraph_t graph = NULL;
  cudaGraphExec_t executable = NULL;
  if (!dms_cuda_step_prepare(b, bucket, error)) return NULL;
  if (!dms_cuda_check(cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal), "recording a step", error))
    return NULL;
  gboolean queued = dms_cuda_step_queue(b, bucket, error);
  cudaError_t status = cudaStreamEndCapture(b->stream, &graph);
  if (queued && dms_cuda_check(status, "recording a step", error) &&
      !dms_cuda_check(cudaGraphInstantiate(&executable, graph, 0), "preparing a step's graph", error))
    executable = NULL;
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();
  return executable;
}

static cudaGraphExec_t graph_of(DmsBackend *b, int bucket, GError **error) {
  cudaGraphExec_t graph = g_hash_table_lookup(b->graphs, GINT_TO_POINTER(bucket));
  if (graph) return graph;
  graph = capture(b, bucket, error);
  if (graph) g_hash_table_insert(b->graphs, GINT_TO_POINTER(bucket), graph);
  return graph;
}

gboolean dms_cuda_step(DmsBackend *b, const DmsStepEntry *entries, int n, GError **error) {
  g_assert(n >= 1 && n <= b->max_rows && b->issued - b->collected <= DMS_CUDA_LATENCY);
  int bucket = dms_cuda_bucket(n);
  DmsCudaFlight *flight = &b->flight[b->issued % DMS_CUDA_MAILBOXES];
  DmsStepEntry *order = b->rows.mailbox[b->issued % DMS_CUDA_MAILBOXES].entries;
  memcpy(order, entries, n * sizeof *entries);
  for (int i = n; i < bucket; i++) order[i] = (DmsStepEntry){.slot = -1, .forced = -1};
  cudaGraphExec_t graph = b->profile ? NULL : graph_of(b, bucket, error);
  if (!graph && !b->profile) return FALSE;
  if (graph)
    TRY(cudaGraphLaunch(graph, b->stream), "launching a step");
  else if (!dms_cuda_step_queue(b, bucket, error))
    return FALSE;
  TRY(cudaEventRecord(flight->done, b->stream), "ending a step");
  flight->n = n;
  b->issued++;
  return TRUE;
}

gboolean dms_cuda_collect(DmsBackend *b, DmsStepResult *results, int *n, GError **error) {
  *n = 0;
  if (b->collected == b->issued) return TRUE;
  const DmsCudaFlight *flight = &b->flight[b->collected % DMS_CUDA_MAILBOXES];
  const DmsCudaMailbox *mailbox = &b->rows.mailbox[b->collected % DMS_CUDA_MAILBOXES];
  TRY(cudaEventSynchronize(flight->done), "running a step");
  memcpy(results, mailbox->results, flight->n * sizeof *results);
  *n = flight->n;
  b->free_pages = *mailbox->free_pages;
  b->collected++;
  return TRUE;
}
