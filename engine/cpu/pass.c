/* The layers, as seven loops each. */
#include "engine/cpu/pass.h"

#include "engine/cpu/attention.h"

#include <math.h>

/* ---- Rows ---- */

/* The token's embedding, and the angles of its position. */
static void begin_row(const DmsPass *pass, const void *argument, int row, int worker) {
  const DmsNetwork *network = pass->network;
  const DmsRun *run = &pass->runs[pass->run_of[row]];
  int token = row - pass->first_row[pass->run_of[row]], dim = network->shape.dim;
  float *angles = pass->space->angles + (gsize)row * dim, position = (float)(run->cache->position + token);
  dms_cpu_embed(&network->weights.embed, run->ids[token], pass->space->stream + (gsize)row * network->config->hidden);
  for (int i = 0; i < dim / 2; i++) {
    float angle = position * network->frequencies[i];
    angles[i] = cosf(angle), angles[dim / 2 + i] = sinf(angle);
  }
}

typedef struct {
  const float *weight;
  const int *rows; /* row i of `normed` is of rows[i] of `stream`; NULL: of row i */
} Norm;

static void norm_row(const DmsPass *pass, const void *argument, int i, int worker) {
  const Norm *norm = argument;
  const DmsConfig *config = pass->network->config;
  int row = norm->rows ? norm->rows[i] : i;
  pass->network->kernels->rms_norm(pass->space->stream + (gsize)row * config->hidden, norm->weight, config->norm_eps,
                                   config->hidden, pass->space->normed + (gsize)i * config->hidden);
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
static void multiply(const DmsPass *pass, DmsProduct product, int rows) {
  const DmsNetwork *network = pass->network;
  int panels = product.matrix->panels, panels_each = dms_product_panels(rows), rows_each = rows;
  if (pass->worker != DMS_SHARED) {
    panels_each = panels;
  } else {
    int wanted = 4 * dms_threads_count(network->threads), groups = (panels + panels_each - 1) / panels_each;
    int cuts = CLAMP((wanted + groups - 1) / groups, 1, (rows + DMS_TILE_ROWS - 1) / DMS_TILE_ROWS);
    rows_each = ((rows + cuts - 1) / cuts + DMS_TILE_ROWS - 1) / DMS_TILE_ROWS * DMS_TILE_ROWS;
  }
  ProductTask task = {network->kernels, product,     rows,
                      rows_each,        panels_each, (panels + panels_each - 1) / panels_each};
  dms_pass_loop(pass, task.panel_groups * ((rows + rows_each - 1) / rows_each), product_part, &task);
}

/* ---- The layers ---- */

static void run_layer(const DmsPass *pass, int l) {
  const DmsWorkspace *space = pass->space;
  const DmsCpuLayer *layer = &pass->network->weights.layers[l];
  int n = pass->n_rows;

  dms_pass_rows(pass, n, norm_row, &(Norm){layer->input_norm, NULL});
  multiply(pass, product_of(&layer->qkv, space->normed, space->qkv, DMS_PRODUCT_STORE), n);
  dms_attention(pass, l);
  multiply(pass, product_of(&layer->o, space->mixed, space->stream, DMS_PRODUCT_ADD), n);

  dms_pass_rows(pass, n, norm_row, &(Norm){layer->post_norm, NULL});
  multiply(pass, product_of(&layer->gate_up, space->normed, space->activation, DMS_PRODUCT_SWIGLU), n);
  multiply(pass, product_of(&layer->down, space->activation, space->stream, DMS_PRODUCT_ADD), n);
}

/* The logits that the runs want, written where they want them. */
static void run_head(const DmsPass *pass) {
  const DmsNetwork *network = pass->network;
  int rows[DMS_CPU_ROWS], n = 0;
  float *to[DMS_CPU_ROWS];
  for (int r = 0; r < pass->n_runs; r++) {
    const DmsRun *run = &pass->runs[r];
    for (int i = 0; i < run->n_logits; i++) {
      rows[n] = pass->first_row[r] + run->n - run->n_logits + i;
      to[n++] = run->logits + (gsize)i * network->config->vocab;
    }
  }
  if (n == 0) return;
  dms_pass_rows(pass, n, norm_row, &(Norm){network->weights.norm, rows});
  DmsProduct product = product_of(&network->weights.head, pass->space->normed, NULL, DMS_PRODUCT_STORE);
  product.out_rows = to;
  multiply(pass, product, n);
}

void dms_pass_run(DmsNetwork *network, const DmsWorkspace *space, DmsRun *runs, int n_runs, int worker) {
  DmsPass pass = {.network = network, .space = space, .runs = runs, .n_runs = n_runs, .worker = worker};
  for (int r = 0; r < n_runs; r++) {
    g_assert(pass.n_rows + runs[r].n <= space->rows);
    pass.first_row[r] = pass.n_rows;
    for (int i = 0; i < runs[r].n; i++) pass.run_of[pass.n_rows++] = r;
  }
  pass.score_floats = dms_attention_score_floats(runs, n_runs);
  dms_pass_rows(&pass, pass.n_rows, begin_row, NULL);
  for (int l = 0; l < network->config->layers; l++) run_layer(&pass, l);
  run_head(&pass);
  for (int r = 0; r < n_runs; r++) {
    DmsSequenceCache *cache = runs[r].cache;
    cache->position += runs[r].n, cache->live = 0;
    for (int i = 0; i < cache->n_lists; i++) cache->live += (uint64_t)cache->lists[i].length;
  }
}
