/* Decisions, rotations, the cache's rule and attention, a task for each run and KV head: its tokens in order. */
#include "engine/cpu/attention.h"

#include <math.h>
#include <string.h>

typedef struct {
  const DmsPass *pass;
  const DmsCpuLayer *weights;
  int layer;
  int heads_each; /* KV heads of a task */
} Attention;

gsize dms_attention_score_floats(const DmsRun *runs, int n_runs) {
  gsize longest = 0;
  for (int i = 0; i < n_runs; i++) longest = MAX(longest, (gsize)(runs[i].cache->position + runs[i].n));
  return DMS_SHARED_HEADS * ((longest + DMS_PAGE_ITEMS - 1) / DMS_PAGE_ITEMS * DMS_PAGE_ITEMS);
}

gsize dms_attention_floats(const DmsNetwork *network, const DmsRun *runs, int n_runs) {
  gsize token = (gsize)network->shape.dim * (network->shape.group + 2);
  return MAX(dms_attention_score_floats(runs, n_runs) + token, (gsize)network->config->hidden);
}

/* ---- Decisions ---- */

/* The adapter's logits of one row, for all KV heads. */
static void alpha_row(const DmsPass *pass, const void *argument, int row, int worker) {
  const DmsNetwork *network = pass->network;
  const DmsCpuLayer *weights = argument;
  int hidden = network->config->hidden, heads = network->rule.per_layer ? 1 : network->config->kv_heads;
  float *normed = network->scratch[worker], *alpha = pass->space->alpha + (gsize)row * network->config->kv_heads;
  network->kernels->rms_norm(pass->space->stream + (gsize)row * hidden, weights->alpha_norm, network->config->norm_eps,
                             hidden, normed);
  for (int i = 0; i < heads; i++) {
    alpha[i] = network->kernels->dot(normed, weights->alpha + (gsize)i * hidden, hidden);
    if (weights->alpha_bias) alpha[i] += weights->alpha_bias[i];
  }
}

/* One query head of a row after its norm: [dim] into `out`. */
static void normed_query(const Attention *task, const float *queries, int head, float *out) {
  const DmsNetwork *network = task->pass->network;
  int dim = network->shape.dim;
  const float *query = queries + (gsize)head * dim;
  if (task->weights->q_norm)
    network->kernels->rms_norm(query, task->weights->q_norm, network->config->norm_eps, dim, out);
  else
    memcpy(out, query, dim * sizeof *out);
}

/* Whether the token of `row` decides to evict. `first` is its first query of this KV head after the norm; `spare`
 * [dim]. */
static int decide(const Attention *task, int row, int position, int kv_head, const float *first, float *spare) {
  const DmsNetwork *network = task->pass->network;
  const DmsRule *rule = &network->rule;
  if (network->sinks >= 0) return position >= network->sinks;
  float source = 0;
  switch (rule->source) {
  case DMS_SOURCE_NONE:
    return 0;
  case DMS_SOURCE_ADAPTER:
    source = task->pass->space->alpha[(gsize)row * network->config->kv_heads + (rule->per_layer ? 0 : kv_head)];
    break;
  case DMS_SOURCE_BORROWED_Q:
    if (rule->per_layer && kv_head > 0) {
      normed_query(task, task->pass->space->qkv + (gsize)row * task->weights->qkv.outputs, 0, spare);
      first = spare;
    }
    source = first[network->shape.dim - 1];
  }
  return source * rule->scale - rule->offset > 0;
}

/* ---- Attention ---- */

/* The flag of token `position` as its decision stands, for the observer: the token before's under the shifted rule. */
static void observe(const Attention *task, DmsRun *run, int kv_head, int position, int decision, int length) {
  const DmsNetwork *network = task->pass->network;
  gsize row = ((gsize)task->layer * network->config->kv_heads + kv_head) * run->observed;
  int subject = position - network->eviction.shift;
  if (run->flags && subject >= 0) run->flags[row + subject] = (uint8_t)decision;
  if (run->live) run->live[row + position] = length;
}

/* Where one worker prepares a token. */
typedef struct {
  float *queries, *key, *spare; /* [group, dim], [dim], [dim] */
  float *scores;
} Scratch;

/* Asks for the beginning of a list's keys: by the time that the queries are ready they are there. */
static void fetch_keys(const DmsNetwork *network, const DmsHeadList *list) {
  enum { ROWS = 32, LINE = 64, LINE_ITEMS = LINE / sizeof(float) };
  if (list->length == 0) return;
  const char *row = network->pool.base + list->pages[0] * network->pool.page_bytes;
  for (int d = 0; d < MIN(network->shape.dim, ROWS); d++, row += DMS_PAGE_ITEMS * sizeof(float))
    for (int item = 0; item < MIN(list->length, DMS_PAGE_ITEMS); item += LINE_ITEMS)
      __builtin_prefetch(row + item * sizeof(float));
}

/* Norms and rotations: the row's queries of one KV head, scaled, and its key into `scratch`. Returns the token's
 * decision. */
static int prepare_token(const Attention *task, int row, int position, int kv_head, const Scratch *scratch) {
  const DmsNetwork *network = task->pass->network;
  const DmsKernels *kernels = network->kernels;
  const float *qkv = task->pass->space->qkv + (gsize)row * task->weights->qkv.outputs;
  const float *angles = task->pass->space->angles + (gsize)row * network->shape.dim;
  int dim = network->shape.dim, group = network->shape.group;
  gboolean borrowed = network->rule.source == DMS_SOURCE_BORROWED_Q;
  float scale = (float)(1.44269504088896341 / sqrt(dim)), *last = &scratch->queries[dim - 1];

  for (int head = 0; head < group; head++)
    normed_query(task, qkv, kv_head * group + head, scratch->queries + (gsize)head * dim);
  int decision = decide(task, row, position, kv_head, scratch->queries, scratch->spare);
  if (borrowed) *last = 0;
  for (int head = 0; head < group; head++) {
    float *query = scratch->queries + (gsize)head * dim;
    kernels->rotate(query, angles, dim);
    for (int d = 0; d < dim; d++) query[d] *= scale;
  }
  if (borrowed && network->rule.rezero) *last = 0;

  const float *key = qkv + (gsize)(network->config->heads + kv_head) * dim;
  if (task->weights->k_norm)
    kernels->rms_norm(key, task->weights->k_norm, network->config->norm_eps, dim, scratch->key);
  else
    memcpy(scratch->key, key, dim * sizeof *key);
  kernels->rotate(scratch->key, angles, dim);
  return decision;
}

/* The run's tokens through one KV head's list. */
static void attend_head(const Attention *task, int r, int kv_head, const Scratch *scratch) {
  const DmsNetwork *network = task->pass->network;
  const DmsConfig *config = network->config;
  const DmsHeadShape *shape = &network->shape;
  DmsRun *run = &task->pass->runs[r];
  DmsHeadList *list = &run->cache->lists[task->layer * config->kv_heads + kv_head];
  uint64_t reads = 0;
  fetch_keys(network, list);
  for (int t = 0; t < run->n; t++) {
    int row = task->pass->first_row[r] + t, position = run->cache->position + t;
    int decision = prepare_token(task, row, position, kv_head, scratch);
    int place = dms_list_insert(list, position, decision, &network->eviction);
    char *page = network->pool.base + list->pages[place / DMS_PAGE_ITEMS] * network->pool.page_bytes;
    const float *values = task->pass->space->qkv + (gsize)row * task->weights->qkv.outputs +
                          (gsize)(config->heads + config->kv_heads + kv_head) * shape->dim;
    network->kernels->store_item(shape, page, place % DMS_PAGE_ITEMS, scratch->key, values);
    DmsItems items = {network->pool.base, list->pages, list->length};
    network->kernels->attend(shape, &items, scratch->queries, scratch->scores,
                             task->pass->space->mixed +
                                 ((gsize)row * config->heads + (gsize)kv_head * shape->group) * shape->dim);
    reads += (uint64_t)list->length;
    if (run->observed) observe(task, run, kv_head, position, decision, list->length);
  }
  __atomic_fetch_add(&run->reads, reads, __ATOMIC_RELAXED);
}

/* Task i: some KV heads of one run. */
static void attend_run(void *context, int i, int worker) {
  const Attention *task = context;
  const DmsNetwork *network = task->pass->network;
  int tasks_each = network->config->kv_heads / task->heads_each, dim = network->shape.dim;
  float *memory = network->scratch[worker];
  Scratch scratch = {.scores = memory, .queries = memory + task->pass->score_floats};
  scratch.key = scratch.queries + (gsize)network->shape.group * dim, scratch.spare = scratch.key + dim;
  for (int h = 0; h < task->heads_each; h++)
    attend_head(task, i / tasks_each, i % tasks_each * task->heads_each + h, &scratch);
}

void dms_attention(const DmsPass *pass, int layer) {
  const DmsNetwork *network = pass->network;
  int kv_heads = network->config->kv_heads, busy = 8 * dms_threads_count(network->threads);
  Attention task = {pass, &network->weights.layers[layer], layer, pass->n_runs >= busy ? kv_heads : 1};
  if (network->rule.source == DMS_SOURCE_ADAPTER) dms_pass_rows(pass, pass->n_rows, alpha_row, task.weights);
  dms_pass_loop(pass, pass->n_runs * kv_heads / task.heads_each, attend_run, &task);
}
