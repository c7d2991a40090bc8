/* A model on the CPU: what it holds, and how tokens are shared out among the threads. */
#include "engine/cpu/network.h"

#include "engine/cpu/attention.h"
#include "engine/cpu/memory.h"

/* ---- Sharing out ---- */

/* Most rows of a group: three tiles of the matrix products. */
enum { GROUP_ROWS = 3 * DMS_TILE_ROWS };

static int count_rows(const DmsRun *runs, int n_runs) {
  int rows = 0;
  for (int i = 0; i < n_runs; i++) rows += runs[i].n;
  return rows;
}

/* Whether the threads should take rows each for itself, rather than share each row's work. Then they never wait for
 * each other, but each reads all weights: out of a cache that costs little, out of memory as long as its rows keep
 * the core busy meanwhile. */
static gboolean each_for_itself(const DmsNetwork *network, const DmsRun *runs, int n_runs) {
  enum { CACHED_BYTES = 16 << 20, CACHED_LEAST = 2, MEMORY_LEAST = 24 };
  int threads = dms_threads_count(network->threads),
      least = network->weights.bytes <= CACHED_BYTES ? CACHED_LEAST : MEMORY_LEAST;
  if (threads == 1 || n_runs < threads || count_rows(runs, n_runs) < least * threads) return FALSE;
  for (int i = 0; i < n_runs; i++)
    if (runs[i].n > DMS_OWN_ROWS) return FALSE;
  return TRUE;
}

typedef struct {
  DmsNetwork *network;
  DmsRun *runs;
  int *first; /* [groups + 1]: runs of each group */
} Groups;

static void run_group(void *context, int i, int worker) {
  const Groups *groups = context;
  int first = groups->first[i];
  dms_pass_run(groups->network, &groups->network->own[worker], groups->runs + first, groups->first[i + 1] - first,
               worker);
}

/* Cuts the runs into groups of about equal rows, some for each thread. */
static void run_groups(DmsNetwork *network, DmsRun *runs, int n_runs) {
  int rows = count_rows(runs, n_runs), threads = dms_threads_count(network->threads), n = 0, filled = 0;
  int rounds = (rows + GROUP_ROWS * threads - 1) / (GROUP_ROWS * threads),
      target = (rows + rounds * threads - 1) / (rounds * threads);
  g_autofree int *first = g_new(int, n_runs + 1);
  for (int r = 0; r < n_runs; r++) {
    if (r == 0 || filled >= target || filled + runs[r].n > DMS_OWN_ROWS) first[n++] = r, filled = 0;
    filled += runs[r].n;
  }
  first[n] = n_runs;
  dms_threads_run(network->threads, n, run_group, &(Groups){network, runs, first});
}

/* Memory for one attention task on each thread. */
static void make_scratch(DmsNetwork *network, const DmsRun *runs, int n_runs) {
  gsize floats = dms_attention_floats(network, runs, n_runs);
  if (floats <= network->scratch_floats) return;
  network->scratch_floats = 2 * floats;
  for (int i = 0; i < dms_threads_count(network->threads); i++) {
    g_aligned_free(network->scratch[i]);
    network->scratch[i] = g_aligned_alloc(network->scratch_floats, sizeof(float), 64);
  }
}

void dms_network_forward(DmsNetwork *network, DmsRun *runs, int n_runs) {
  make_scratch(network, runs, n_runs);
  if (each_for_itself(network, runs, n_runs)) {
    run_groups(network, runs, n_runs);
    return;
  }
  for (int first = 0, end; first < n_runs; first = end) {
    int rows = runs[first].n;
    for (end = first + 1; end < n_runs && rows + runs[end].n <= DMS_CPU_ROWS; end++) rows += runs[end].n;
    dms_pass_run(network, &network->shared, runs + first, end - first, DMS_SHARED);
  }
}

int dms_network_chunk(const DmsNetwork *network, int n) {
  return n < dms_threads_count(network->threads) ? DMS_CPU_ROWS : DMS_OWN_ROWS;
}

/* ---- Opening ---- */

static gboolean workspace_init(DmsWorkspace *space, const DmsConfig *config, int rows, GError **error) {
  gsize hidden = (gsize)config->hidden, dim = (gsize)config->head_dim;
  gsize columns[] = {hidden,
                     hidden,
                     dim * (config->heads + 2 * config->kv_heads),
                     dim * config->heads,
                     (gsize)config->intermediate,
                     dim,
                     (gsize)config->kv_heads};
  float **buffers[] = {&space->stream,     &space->normed, &space->qkv,  &space->mixed,
                       &space->activation, &space->angles, &space->alpha};
  for (gsize i = 0; i < G_N_ELEMENTS(columns); i++) space->bytes += (columns[i] * rows + 15) / 16 * 16 * sizeof(float);
  if (!(space->memory = dms_memory_map(space->bytes, "activations", error))) return FALSE;
  float *next = space->memory;
  for (gsize i = 0; i < G_N_ELEMENTS(columns); next += (columns[i++] * rows + 15) / 16 * 16) *buffers[i] = next;
  space->rows = rows;
  return TRUE;
}

static void workspace_clear(DmsWorkspace *space) {
  dms_memory_unmap(space->memory, space->bytes);
}

static gboolean allocate(DmsNetwork *network, GError **error) {
  const DmsConfig *config = network->config;
  int threads = dms_threads_count(network->threads);
  network->frequencies = g_new(float, config->head_dim / 2);
  dms_rope_frequencies(config, network->frequencies);
  network->scratch = g_new0(float *, threads);
  network->own = g_new0(DmsWorkspace, threads);
  for (int i = 0; i < threads; i++)
    if (!workspace_init(&network->own[i], config, DMS_OWN_ROWS, error)) return FALSE;
  return workspace_init(&network->shared, config, DMS_CPU_ROWS, error);
}

/* What the policy evicts, in one form: a window behind which flagged tokens leave. */
static DmsEviction eviction_of(const DmsBackendOptions *options) {
  int window = options->rule.window < options->model->config.context ? options->rule.window : -1;
  if (options->window_sinks >= 0) return (DmsEviction){window, 0};
  if (options->rule.source == DMS_SOURCE_NONE) return (DmsEviction){-1, 0};
  return (DmsEviction){window, options->rule.shift};
}

gboolean dms_network_open(DmsNetwork *network, const DmsBackendOptions *options, GError **error) {
  const DmsConfig *config = &options->model->config;
  *network = (DmsNetwork){
      .config = config,
      .rule = options->rule,
      .sinks = options->window_sinks,
      .eviction = eviction_of(options),
      .shape = dms_head_shape(config->head_dim, config->heads / config->kv_heads),
      .kernels = dms_cpu_kernels(),
      .threads = dms_threads_new(options->cpu_threads),
  };
  gsize available, bytes = options->kv_bytes, sequence = network->shape.page_bytes * config->layers * config->kv_heads;
  if (!dms_cpu_weights_load(&network->weights, options->model, network->threads, error) || !allocate(network, error))
    goto failed;
  available = dms_memory_available();
  if (bytes == 0) bytes = available / 8 * 7;
  if (bytes < sequence) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY,
                "%s: the KV memory has %" G_GSIZE_FORMAT " bytes; one sequence needs at least %" G_GSIZE_FORMAT,
                options->model->dir, bytes, sequence);
    goto failed;
  }
  if (bytes > available) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY,
                "%s: the KV memory was to have %.1f GB, and %.1f GB are free: ask for less, or for what is free (0)",
                options->model->dir, bytes / 1e9, available / 1e9);
    goto failed;
  }
  if (!dms_page_pool_init(&network->pool, network->shape.page_bytes, bytes, error)) goto failed;
  return TRUE;
failed:
  dms_network_close(network);
  return FALSE;
}

void dms_network_close(DmsNetwork *network) {
  for (int i = 0; i < dms_threads_count(network->threads); i++) {
    if (network->scratch) g_aligned_free(network->scratch[i]);
    if (network->own) workspace_clear(&network->own[i]);
  }
  workspace_clear(&network->shared);
  g_free(network->scratch);
  g_free(network->own);
  g_free(network->frequencies);
  dms_page_pool_clear(&network->pool);
  dms_cpu_weights_clear(&network->weights);
  dms_threads_free(network->threads);
  *network = (DmsNetwork){0};
}
