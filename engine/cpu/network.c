/* The pass itself: seven parallel loops a layer. */
#include "engine/cpu/network.h"

#include "engine/cpu/attention.h"
#include "engine/cpu/memory.h"

#include <math.h>

/* ---- Rows ---- */

typedef struct {
  DmsNetwork *network;
  DmsRun *runs;
  int n_runs, n_rows;
  int run_of[DMS_CPU_ROWS], first_row[DMS_CPU_ROWS]; /* by row; by run */
} Pass;

typedef struct {
  const Pass *pass;
  const float *weight;
  const int *rows; /* row i of `normed` is of rows[i] of `stream`; NULL: of row i */
} NormTask;

static void norm_row(void *context, int i, int worker) {
  const NormTask *task = context;
  const DmsNetwork *network = task->pass->network;
  int hidden = network->config->hidden, row = task->rows ? task->rows[i] : i;
  network->kernels->rms_norm(network->stream + (gsize)row * hidden, task->weight, network->config->norm_eps, hidden,
                             network->normed + (gsize)i * hidden);
}

static void norm_rows(const Pass *pass, const float *weight, const int *rows, int n) {
  NormTask task = {pass, weight, rows};
  dms_threads_run(pass->network->threads, n, norm_row, &task);
}

static void begin_row(void *context, int row, int worker) {
  const Pass *pass = context;
  DmsNetwork *network = pass->network;
  const DmsRun *run = &pass->runs[pass->run_of[row]];
  int token = row - pass->first_row[pass->run_of[row]], half = network->config->head_dim / 2;
  dms_cpu_embed(&network->weights.embed, run->ids[token], network->stream + (gsize)row * network->config->hidden);
  float position = (float)(run->cache->position + token),
        *angles = network->angles + (gsize)row * network->config->head_dim;
  for (int i = 0; i < half; i++) {
    float angle = position * network->frequencies[i];
    angles[i] = cosf(angle), angles[half + i] = sinf(angle);
  }
}

/* ---- Matrix products ---- */

typedef struct {
  const DmsKernels *kernels;
  DmsProduct product;
  int rows, rows_each, panels_each, panel_groups;
} ProductTask;

static void product_part(void *context, int i, int worker) {
  const ProductTask *task = context;
  int first_row = i / task->panel_groups * task->rows_each, first_panel = i % task->panel_groups * task->panels_each;
  DmsProduct part = task->product;
  part.in += (gsize)first_row * part.in_stride;
  if (part.out_rows)
    part.out_rows += first_row;
  else
    part.out += (gsize)first_row * part.out_stride;
  task->kernels->product(&part, MIN(task->rows_each, task->rows - first_row), first_panel,
                         MIN(first_panel + task->panels_each, part.matrix->panels));
}

/* Rows follow each other without a gap. */
static DmsProduct product_of(const DmsMatrix *matrix, const float *in, float *out, DmsProductMode mode) {
  int outputs = mode == DMS_PRODUCT_SWIGLU ? matrix->outputs / 2 : matrix->outputs;
  return (DmsProduct){
      .matrix = matrix, .in = in, .out = out, .in_stride = matrix->inputs, .out_stride = outputs, .mode = mode};
}

/* Cuts the product by panels, and by rows too where the panels are too few for the threads. */
static void multiply(const Pass *pass, DmsProduct product, int rows) {
  const DmsNetwork *network = pass->network;
  int panels = product.matrix->panels, wanted = 4 * dms_threads_count(network->threads);
  int panels_each = dms_product_panels(rows), groups = (panels + panels_each - 1) / panels_each;
  int cuts = CLAMP((wanted + groups - 1) / groups, 1, (rows + DMS_TILE_ROWS - 1) / DMS_TILE_ROWS);
  int rows_each = ((rows + cuts - 1) / cuts + DMS_TILE_ROWS - 1) / DMS_TILE_ROWS * DMS_TILE_ROWS;
  ProductTask task = {network->kernels, product, rows, rows_each, panels_each, groups};
  dms_threads_run(network->threads, groups * ((rows + rows_each - 1) / rows_each), product_part, &task);
}

/* ---- The layers ---- */

static void run_layer(const Pass *pass, int l) {
  DmsNetwork *network = pass->network;
  const DmsCpuLayer *layer = &network->weights.layers[l];
  int n = pass->n_rows;
  float *stream = network->stream, *normed = network->normed;

  norm_rows(pass, layer->input_norm, NULL, n);
  multiply(pass, product_of(&layer->qkv, normed, network->qkv, DMS_PRODUCT_STORE), n);
  dms_attention(network, l, pass->runs, pass->first_row, pass->n_runs, n);
  multiply(pass, product_of(&layer->o, network->mixed, stream, DMS_PRODUCT_ADD), n);

  norm_rows(pass, layer->post_norm, NULL, n);
  multiply(pass, product_of(&layer->gate_up, normed, network->activation, DMS_PRODUCT_SWIGLU), n);
  multiply(pass, product_of(&layer->down, network->activation, stream, DMS_PRODUCT_ADD), n);
}

/* The logits that the runs want, written where they want them. */
static void run_head(const Pass *pass) {
  DmsNetwork *network = pass->network;
  int rows[DMS_CPU_ROWS], n = 0, vocab = network->config->vocab;
  float *to[DMS_CPU_ROWS];
  for (int r = 0; r < pass->n_runs; r++) {
    const DmsRun *run = &pass->runs[r];
    for (int i = 0; i < run->n_logits; i++) {
      rows[n] = pass->first_row[r] + run->n - run->n_logits + i;
      to[n++] = run->logits + (gsize)i * vocab;
    }
  }
  if (n == 0) return;
  norm_rows(pass, network->weights.norm, rows, n);
  DmsProduct product = product_of(&network->weights.head, network->normed, NULL, DMS_PRODUCT_STORE);
  product.out_rows = to;
  multiply(pass, product, n);
}

static void run_pass(DmsNetwork *network, DmsRun *runs, int n_runs) {
  Pass pass = {.network = network, .runs = runs, .n_runs = n_runs};
  for (int r = 0; r < n_runs; r++) {
    pass.first_row[r] = pass.n_rows;
    for (int i = 0; i < runs[r].n; i++) pass.run_of[pass.n_rows++] = r;
  }
  dms_attention_prepare(network, runs, n_runs);
  dms_threads_run(network->threads, pass.n_rows, begin_row, &pass);
  for (int l = 0; l < network->config->layers; l++) run_layer(&pass, l);
  run_head(&pass);
  for (int r = 0; r < n_runs; r++) {
    DmsSequenceCache *cache = runs[r].cache;
    cache->position += runs[r].n, cache->live = 0;
    for (int i = 0; i < cache->n_lists; i++) cache->live += (uint64_t)cache->lists[i].length;
  }
}

void dms_network_forward(DmsNetwork *network, DmsRun *runs, int n_runs) {
  for (int first = 0, end; first < n_runs; first = end) {
    int rows = runs[first].n;
    for (end = first + 1; end < n_runs && rows + runs[end].n <= DMS_CPU_ROWS; end++) rows += runs[end].n;
    g_assert(rows <= DMS_CPU_ROWS);
    run_pass(network, runs + first, end - first);
  }
}

/* ---- Opening ---- */

static gboolean allocate(DmsNetwork *network, GError **error) {
  const DmsConfig *config = network->config;
  gsize hidden = (gsize)config->hidden, mixed = (gsize)config->heads * config->head_dim;
  gsize columns[] = {hidden,
                     hidden,
                     (gsize)network->weights.layers[0].qkv.outputs,
                     mixed,
                     (gsize)config->intermediate,
                     (gsize)config->head_dim,
                     (gsize)config->kv_heads};
  float **buffers[] = {&network->stream,     &network->normed, &network->qkv,  &network->mixed,
                       &network->activation, &network->angles, &network->alpha};
  gsize floats = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(columns); i++) floats += (columns[i] * DMS_CPU_ROWS + 15) / 16 * 16;
  network->buffer_bytes = floats * sizeof(float);
  if (!(network->buffers = dms_memory_map(network->buffer_bytes, "activations", error))) return FALSE;
  float *next = network->buffers;
  for (gsize i = 0; i < G_N_ELEMENTS(columns); i++) {
    *buffers[i] = next;
    next += (columns[i] * DMS_CPU_ROWS + 15) / 16 * 16;
  }
  network->frequencies = g_new(float, config->head_dim / 2);
  dms_rope_frequencies(config, network->frequencies);
  network->scratch = g_new0(float *, dms_threads_count(network->threads));
  return TRUE;
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
  if (!dms_page_pool_init(&network->pool, network->shape.page_bytes, bytes, error)) goto failed;
  return TRUE;
failed:
  dms_network_close(network);
  return FALSE;
}

void dms_network_close(DmsNetwork *network) {
  if (network->scratch)
    for (int i = 0; i < dms_threads_count(network->threads); i++) g_aligned_free(network->scratch[i]);
  g_free(network->scratch);
  g_free(network->frequencies);
  dms_memory_unmap(network->buffers, network->buffer_bytes);
  dms_page_pool_clear(&network->pool);
  dms_cpu_weights_clear(&network->weights);
  dms_threads_free(network->threads);
  *network = (DmsNetwork){0};
}
