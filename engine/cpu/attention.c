/* Decisions, rotations, the cache's rule and attention, a task for each run and KV head: its tokens in order. */
#include "engine/cpu/attention.h"

#include <math.h>
#include <string.h>

typedef struct {
  DmsNetwork *network;
  const DmsCpuLayer *weights;
  int layer;
  DmsRun *runs;
  const int *first_row;
} Attention;

void dms_attention_prepare(DmsNetwork *network, const DmsRun *runs, int n_runs) {
  gsize longest = 0, dim = (gsize)network->shape.dim;
  for (int i = 0; i < n_runs; i++) longest = MAX(longest, (gsize)(runs[i].cache->position + runs[i].n));
  longest = (longest + DMS_PAGE_ITEMS - 1) / DMS_PAGE_ITEMS * DMS_PAGE_ITEMS;
  gsize floats = MAX(DMS_SHARED_HEADS * longest + dim * (network->shape.group + 2), (gsize)network->config->hidden);
  if (floats <= network->scratch_floats) return;
  network->scratch_floats = 2 * floats;
  for (int i = 0; i < dms_threads_count(network->threads); i++) {
    g_aligned_free(network->scratch[i]);
    network->scratch[i] = g_aligned_alloc(network->scratch_floats, sizeof(float), 64);
  }
}

/* ---- Decisions ---- */

/* The adapter's logits of one row, for all KV heads. */
static void alpha_row(void *context, int row, int worker) {
  const Attention *task = context;
  DmsNetwork *network = task->network;
  const DmsCpuLayer *weights = task->weights;
  int hidden = network->config->hidden, heads = network->rule.per_layer ? 1 : network->config->kv_heads;
  float *normed = network->scratch[worker], *alpha = network->alpha + (gsize)row * network->config->kv_heads;
  network->kernels->rms_norm(network->stream + (gsize)row * hidden, weights->alpha_norm, network->config->norm_eps,
                             hidden, normed);
  for (int i = 0; i < heads; i++) {
    alpha[i] = network->kernels->dot(normed, weights->alpha + (gsize)i * hidden, hidden);
    if (weights->alpha_bias) alpha[i] += weights->alpha_bias[i];
  }
}

/* The first query of the head's group after its norm: [dim] into `out`. */
static void normed_query(const Attention *task, const float *queries, int head, float *out) {
  const DmsNetwork *network = task->network;
  int dim = network->shape.dim;
  const float *query = queries + (gsize)head * dim;
  if (task->weights->q_norm)
    network->kernels->rms_norm(query, task->weights->q_norm, network->config->norm_eps, dim, out);
  else
    memcpy(out, query, dim * sizeof *out);
}

/* Whether the token of `row` decides to evict. `first` is its first query of this KV head after the norm; `spare` [dim]. */
static int decide(const Attention *task, int row, int position, int kv_head, const float *first, float *spare) {
  const DmsNetwork *network = task->network;
  const DmsRule *rule = &network->rule;
  if (network->sinks >= 0) return position >= network->sinks;
  float source = 0;
  switch (rule->source) {
  case DMS_SOURCE_NONE:
    return 0;
  case DMS_SOURCE_ADAPTER:
    source = network->alpha[(gsize)row * network->config->kv_heads + (rule->per_layer ? 0 : kv_head)];
    break;
  case DMS_SOURCE_BORROWED_Q:
    if (rule->per_layer && kv_head > 0) {
      normed_query(task, network->qkv + (gsize)row * task->weights->qkv.outputs, 0, spare);
      first = spare;
    }
    source = first[network->shape.dim - 1];
  }
  return source * rule->scale - rule->offset > 0;
}

/* ---- Attention ---- */

/* The flag of token `position` as its decision stands, for the observer: the token before's under the shifted rule. */
static void observe(const Attention *task, DmsRun *run, int kv_head, int position, int decision, int length) {
  const DmsNetwork *network = task->network;
  gsize row = ((gsize)task->layer * network->config->kv_heads + kv_head) * run->observed;
  int subject = position - network->eviction.shift;
  if (run->flags && subject >= 0) run->flags[row + subject] = (uint8_t)decision;
  if (run->live) run->live[row + position] = length;
}

static void attend_run(void *context, int i, int worker) {
  const Attention *task = context;
  DmsNetwork *network = task->network;
  const DmsConfig *config = network->config;
  const DmsHeadShape *shape = &network->shape;
  const DmsKernels *kernels = network->kernels;
  int kv_head = i % config->kv_heads, r = i / config->kv_heads, dim = shape->dim, group = shape->group;
  DmsRun *run = &task->runs[r];
  DmsHeadList *list = &run->cache->lists[task->layer * config->kv_heads + kv_head];
  gboolean borrowed = network->rule.source == DMS_SOURCE_BORROWED_Q;
  float scale = (float)(1.44269504088896341 / sqrt(dim));
  float *queries = network->scratch[worker], *key = queries + (gsize)group * dim, *spare = key + dim,
        *scores = spare + dim;
  uint64_t reads = 0;

  for (int t = 0; t < run->n; t++) {
    int row = task->first_row[r] + t, position = run->cache->position + t;
    const float *qkv = network->qkv + (gsize)row * task->weights->qkv.outputs;
    const float *raw_key = qkv + (gsize)(config->heads + kv_head) * dim,
                *value = raw_key + (gsize)config->kv_heads * dim;
    const float *angles = network->angles + (gsize)row * dim;

    for (int head = 0; head < group; head++)
      normed_query(task, qkv, kv_head * group + head, queries + (gsize)head * dim);
    int decision = decide(task, row, position, kv_head, queries, spare);
    if (borrowed) queries[dim - 1] = 0;
    for (int head = 0; head < group; head++) {
      float *query = queries + (gsize)head * dim;
      kernels->rotate(query, angles, dim);
      for (int d = 0; d < dim; d++) query[d] *= scale;
    }
    if (borrowed && network->rule.rezero) queries[dim - 1] = 0;
    if (task->weights->k_norm)
      kernels->rms_norm(raw_key, task->weights->k_norm, config->norm_eps, dim, key);
    else
      memcpy(key, raw_key, dim * sizeof *key);
    kernels->rotate(key, angles, dim);

    int place = dms_list_insert(list, position, decision, &network->eviction);
    char *page = network->pool.base + list->pages[place / DMS_PAGE_ITEMS] * network->pool.page_bytes;
    kernels->store_item(shape, page, place % DMS_PAGE_ITEMS, key, value);
    DmsItems items = {network->pool.base, list->pages, list->length};
    kernels->attend(shape, &items, queries, scores,
                    network->mixed + ((gsize)row * config->heads + (gsize)kv_head * group) * dim);
    reads += (uint64_t)list->length;
    if (run->observed) observe(task, run, kv_head, position, decision, list->length);
  }
  __atomic_fetch_add(&run->reads, reads, __ATOMIC_RELAXED);
}

void dms_attention(DmsNetwork *network, int layer, DmsRun *runs, const int *first_row, int n_runs, int n_rows) {
  Attention task = {network, &network->weights.layers[layer], layer, runs, first_row};
  if (network->rule.source == DMS_SOURCE_ADAPTER) dms_threads_run(network->threads, n_rows, alpha_row, &task);
  dms_threads_run(network->threads, n_runs * network->config->kv_heads, attend_run, &task);
}
