/* What a device must do: hold the weights and the KV cache, run prompts and steps. Internal to engine/; engine.c
 * drives one of these.
 *
 * A *slot* is a place for one sequence: its cache, its position, the logits of its last position and how many KV
 * items that position attended to. A backend owns kernels and KV memory; it never decides what is sampled or when a
 * sequence starts or stops.
 *
 *   prefill   prompt tokens -> the slot's cache and the logits of the last prompt position
 *   fork      one slot's state -> another slot, with a sampler (the W threads of a prompt; frozen pages are shared);
 *             onto itself it only gives the slot a sampler: the last thread of a prompt takes the prompt's own slot
 *   step      for each entry: sample a token from the slot's logits (or take the forced one), report it with the
 *             slot's live count, then run the token through the model: its keys and values enter the cache by the
 *             overwrite-or-append rule
 *   collect   the results of the oldest step not yet collected
 *
 * A step may return before it is done; at most `latency` + 1 steps are ever outstanding. Memory: step() that finds
 * no page for a sequence leaves that sequence as it was and reports DMS_TOKEN_STALLED; the engine then preempts
 * another one and replays it later by forced tokens, which gives the same cache because it is the same computation.
 * A step issued before that report was collected must not run ahead: an entry whose `index` is not the number of
 * tokens that its slot has taken since its fork leaves the slot as it was and reports DMS_TOKEN_STALLED too. So
 * does a slot whose logits gave no token: it reports DMS_TOKEN_INVALID and does not move. */
#ifndef DMS_BACKEND_H
#define DMS_BACKEND_H

#include "engine/model/model.h"
#include "engine/sampling.h"

enum { DMS_TOKEN_STALLED = -1 }; /* no KV memory: the sequence did not move */

typedef struct DmsBackend DmsBackend; /* each backend's own */

typedef struct {
  const DmsModel *model; /* outlives the backend */
  DmsRule rule;          /* what the policy does to this model; DMS_SOURCE_NONE: nothing is evicted by decision */
  int window_sinks;      /* >= 0: fixed window of rule.window tokens, every token from this position on is flagged */
  DmsPrecision precision;
  int device_index, cpu_threads;
  int max_sequences; /* slots 0 .. max_sequences - 1 */
  gsize kv_bytes; /* 0: what is free */
} DmsBackendOptions;

typedef struct {
  int slot;
  const int32_t *ids; /* [length] */
  int length;
} DmsPrefill;

typedef struct {
  int32_t slot;
  int32_t index;  /* number of this token in the completion, from 0: the sampler's step */
  int32_t forced; /* token to take instead of sampling, or -1 */
  int32_t last;   /* 1: nothing follows this token, so it need not run through the model */
} DmsStepEntry;

typedef struct {
  int32_t slot;
  int32_t token; /* id, DMS_TOKEN_STALLED or DMS_TOKEN_INVALID */
  uint64_t live; /* KV items attended to by the position whose logits gave the token, summed over layers and KV heads */
} DmsStepResult;

typedef struct {
  gsize bytes_total, bytes_used; /* KV memory, whole pages */
  gsize page_bytes;              /* K and V of page_items tokens of one (sequence, layer, KV head) */
  int page_items;
} DmsMemory;

/* Kernels of one step that do the same work, for measurements. */
typedef struct {
  const char *name;
  int launches;
  double seconds; /* of all of them, the gaps to the next kernel included */
} DmsKernelTime;

/* Decode attention alone: one layer whose (sequence, KV head) lists have the lengths given. */
typedef struct {
  DmsPrecision precision; /* bf16, or fp8 for keys and values */
  int head_dim, group, batch, kv_heads;
  const int32_t *lengths; /* [batch][kv_heads] items */
} DmsAttentionCase;

typedef struct {
  const char *name;
  int latency; /* steps by which results may lag: 0 on the CPU */
  gboolean (*check)(int device_index, GError **error); /* dms_device_check() */
  DmsBackend *(*open)(const DmsBackendOptions *options, GError **error);
  void (*close)(DmsBackend *backend);
  /* Runs the prompts into their empty slots. `reads` [n]: KV items attended by all positions of each. DMS_ERROR_MEMORY
   * when pages run out: then none of these slots holds anything. */
  gboolean (*prefill)(DmsBackend *backend, const DmsPrefill *prompts, int n, uint64_t *reads, GError **error);
  gboolean (*fork)(DmsBackend *backend, int from, int to, const DmsSampler *sampler, GError **error);
  gboolean (*step)(DmsBackend *backend, const DmsStepEntry *entries, int n, GError **error);
  /* One result for each entry of that step, in their order; `results` has room for max_sequences. FALSE: the device has
   * failed. */
  gboolean (*collect)(DmsBackend *backend, DmsStepResult *results, int *n, GError **error);
  void (*release)(DmsBackend *backend, int slot); /* its pages are free again once outstanding steps are done */
  void (*memory)(DmsBackend *backend, DmsMemory *memory);
  void (*describe)(DmsBackend *backend, char *text, gsize size); /* the device, for people */
  /* dms_engine_forward(); uses no slot. */
  gboolean (*forward)(DmsBackend *backend, const int32_t *ids, int n, float *logits, uint8_t *flags, int32_t *live,
                      GError **error);

  /* For `bench` alone; a backend leaves NULL what it does not offer.
   * fill: an empty slot becomes what `position` tokens would have left of which live[layers * kv_heads] items are
   * kept, with made-up keys and values; with random weights a share `rate` of the tokens to come is flagged. */
  gboolean (*fill)(DmsBackend *backend, int slot, int position, const int32_t *live, double rate, GError **error);
  /* A step, with its kernels timed one by one: DmsKernelTime into `kernels`. */
  gboolean (*profile)(DmsBackend *backend, const DmsStepEntry *entries, int n, GArray *kernels, GError **error);
  /* What the device reaches when it does nothing else: bytes read, and bf16 multiplications and additions, a second. */
  gboolean (*rates)(int device_index, double *read_bytes, double *matrix_flops, GError **error);
  /* Seconds of a layer's attention, the dealing out of its work included. */
  gboolean (*attention)(int device_index, const DmsAttentionCase *shape, double *seconds, GError **error);
} DmsBackendOps;

extern const DmsBackendOps dms_backend_cpu;
/* Never NULL: check() and open() say what this build or this machine lacks. Its other functions are there once open()
 * has succeeded, but for rates() and attention(), which can be called at once. */
const DmsBackendOps *dms_backend_cuda(void);

#endif
