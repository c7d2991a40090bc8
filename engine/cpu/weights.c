/* From the model's files to panels: one pass that only adds up sizes, one that hands out the memory, then all panels
 * in parallel. */
#include "engine/cpu/weights.h"

#include "engine/cpu/memory.h"

#include <string.h>

/* ---- Where everything goes ---- */

/* A matrix to pack: the tensors whose rows are its outputs, one after the other, or paired: gate and up. */
typedef struct {
  DmsMatrix *matrix;
  float *bias;
  const DmsTensor *parts[3], *biases[3];
  int n_parts;
  gboolean paired;
} Packing;

typedef struct {
  const DmsTensor *tensor;
  float *to;
} Vector;

typedef struct {
  char *base; /* NULL: sizes only */
  gsize used;
  GArray *packings, *vectors;
} Layout;

static void *place(Layout *layout, gsize bytes) {
  void *at = layout->base ? layout->base + layout->used : NULL;
  layout->used += (bytes + 63) / 64 * 64;
  return at;
}

static float *place_vector(Layout *layout, const DmsTensor *tensor) {
  if (!tensor) return NULL;
  Vector vector = {tensor,
                   place(layout, (gsize)tensor->shape[0] * (tensor->rank == 2 ? tensor->shape[1] : 1) * sizeof(float))};
  if (layout->base) g_array_append_val(layout->vectors, vector);
  return vector.to;
}

static void place_matrix(Layout *layout, Packing packing) {
  DmsMatrix *matrix = packing.matrix;
  *matrix = (DmsMatrix){.inputs = (int)packing.parts[0]->shape[1], .bf16 = TRUE};
  gboolean biased = FALSE;
  for (int i = 0; i < packing.n_parts; i++) {
    matrix->outputs += (int)packing.parts[i]->shape[0];
    matrix->bf16 &= packing.parts[i]->dtype == DMS_DTYPE_BF16;
    biased |= packing.biases[i] != NULL;
  }
  int width = packing.paired ? DMS_PANEL / 2 : DMS_PANEL,
      outputs = packing.paired ? matrix->outputs / 2 : matrix->outputs;
  matrix->panels = (outputs + width - 1) / width;
  matrix->weights = place(layout, (gsize)matrix->panels * DMS_PANEL * matrix->inputs * (matrix->bf16 ? 2 : 4));
  if (biased) matrix->bias = packing.bias = place(layout, (gsize)matrix->panels * DMS_PANEL * sizeof(float));
  if (layout->base) g_array_append_val(layout->packings, packing);
}

static void place_model(Layout *layout, DmsCpuWeights *weights, const DmsModel *model) {
  place_matrix(layout, (Packing){&weights->embed, .parts = {model->embed}, .n_parts = 1});
  if (model->head == model->embed)
    weights->head = weights->embed;
  else
    place_matrix(layout, (Packing){&weights->head, .parts = {model->head}, .n_parts = 1});
  weights->norm = place_vector(layout, model->norm);
  for (int i = 0; i < model->config.layers; i++) {
    const DmsLayer *from = &model->layer[i];
    DmsCpuLayer *to = &weights->layers[i];
    place_matrix(layout, (Packing){&to->qkv, .parts = {from->q, from->k, from->v},
                                   .biases = {from->q_bias, from->k_bias, from->v_bias}, .n_parts = 3});
    place_matrix(layout, (Packing){&to->o, .parts = {from->o}, .biases = {from->o_bias}, .n_parts = 1});
    place_matrix(layout, (Packing){&to->gate_up, .parts = {from->gate, from->up},
                                   .biases = {from->gate_bias, from->up_bias}, .n_parts = 2, .paired = TRUE});
    place_matrix(layout, (Packing){&to->down, .parts = {from->down}, .biases = {from->down_bias}, .n_parts = 1});
    to->input_norm = place_vector(layout, from->input_norm);
    to->post_norm = place_vector(layout, from->post_norm);
    to->q_norm = place_vector(layout, from->q_norm);
    to->k_norm = place_vector(layout, from->k_norm);
    to->alpha = place_vector(layout, from->alpha);
    to->alpha_norm = place_vector(layout, from->alpha_norm);
    to->alpha_bias = place_vector(layout, from->alpha_bias);
  }
}

/* ---- Packing ---- */

typedef struct {
  const DmsModel *model;
  const Packing *packing;
  GMutex lock;
  GError *error; /* of the first panel that failed */
} PackJob;

/* Reads outputs [first, first + n) of the stacked tensors, as bf16 or f32 rows. */
static gboolean read_outputs(const DmsModel *model, const Packing *packing, gint64 first, gint64 n, void *rows,
                             GError **error) {
  gboolean bf16 = packing->matrix->bf16;
  gsize row_bytes = (gsize)packing->matrix->inputs * (bf16 ? 2 : 4);
  char *to = rows;
  for (int i = 0; i < packing->n_parts && n > 0; i++) {
    const DmsTensor *part = packing->parts[i];
    gint64 count = CLAMP(part->shape[0] - first, 0, n);
    if (count > 0 && !(bf16 ? dms_model_read_bf16(model, part, first, count, (uint16_t *)to, error)
                            : dms_model_read_f32(model, part, first, count, (float *)to, error)))
      return FALSE;
    first = MAX(first - part->shape[0], 0), n -= count, to += count * row_bytes;
  }
  return TRUE;
}

/* Reads the 16 outputs of one half of a panel; rows that the matrix does not have stay zero. */
static gboolean read_half(const PackJob *job, int panel, int half, void *rows, GError **error) {
  const Packing *packing = job->packing;
  enum { HALF = DMS_PANEL / 2 };
  if (!packing->paired) {
    gint64 first = (gint64)panel * DMS_PANEL + half * HALF;
    return read_outputs(job->model, packing, first, CLAMP(packing->matrix->outputs - first, 0, HALF), rows, error);
  }
  Packing one = {packing->matrix, .parts = {packing->parts[half]}, .n_parts = 1};
  gint64 first = (gint64)panel * HALF;
  return read_outputs(job->model, &one, first, CLAMP(packing->parts[half]->shape[0] - first, 0, HALF), rows, error);
}

static void pack_panel(void *context, int panel, int worker) {
  PackJob *job = context;
  const DmsMatrix *matrix = job->packing->matrix;
  gsize inputs = (gsize)matrix->inputs, element = matrix->bf16 ? 2 : 4;
  enum { HALF = DMS_PANEL / 2 };
  g_autofree void *rows = g_malloc0(DMS_PANEL * inputs * element);
  g_autoptr(GError) error = NULL;
  for (int half = 0; half < 2 && !error; half++)
    read_half(job, panel, half, (char *)rows + half * HALF * inputs * element, &error);
  if (error) {
    g_mutex_lock(&job->lock);
    if (!job->error) job->error = g_steal_pointer(&error);
    g_mutex_unlock(&job->lock);
    return;
  }
  if (matrix->bf16) {
    const uint16_t *from = rows;
    uint32_t *to = (uint32_t *)matrix->weights + panel * inputs * HALF;
    for (gsize k = 0; k < inputs; k++)
      for (gsize j = 0; j < HALF; j++)
        to[k * HALF + j] = from[j * inputs + k] | (uint32_t)from[(HALF + j) * inputs + k] << 16;
  } else {
    const float *from = rows;
    float *to = (float *)matrix->weights + panel * inputs * DMS_PANEL;
    for (gsize k = 0; k < inputs; k++)
      for (gsize j = 0; j < DMS_PANEL; j++) to[k * DMS_PANEL + j] = from[j * inputs + k];
  }
}

/* A bias lies as the outputs of its matrix do. */
static gboolean pack_bias(const DmsModel *model, const Packing *packing, GError **error) {
  enum { HALF = DMS_PANEL / 2 };
  float *to = packing->bias;
  for (int i = 0; i < packing->n_parts; i++) {
    gint64 n = packing->parts[i]->shape[0];
    g_autofree float *bias = g_new0(float, n);
    if (packing->biases[i] && !dms_model_read_f32(model, packing->biases[i], 0, 1, bias, error)) return FALSE;
    if (packing->paired)
      for (gint64 j = 0; j < n; j++) to[j / HALF * DMS_PANEL + i * HALF + j % HALF] = bias[j];
    else
      memcpy(to, bias, n * sizeof *to), to += n;
  }
  return TRUE;
}

static gboolean load_all(const DmsModel *model, const Layout *layout, DmsThreads *threads, GError **error) {
  for (guint i = 0; i < layout->vectors->len; i++) {
    const Vector *vector = &g_array_index(layout->vectors, Vector, i);
    gint64 rows = vector->tensor->rank == 2 ? vector->tensor->shape[0] : 1;
    if (!dms_model_read_f32(model, vector->tensor, 0, rows, vector->to, error)) return FALSE;
  }
  for (guint i = 0; i < layout->packings->len; i++) {
    const Packing *packing = &g_array_index(layout->packings, Packing, i);
    PackJob job = {.model = model, .packing = packing};
    dms_threads_run(threads, packing->matrix->panels, pack_panel, &job);
    if (job.error) {
      g_propagate_error(error, job.error);
      return FALSE;
    }
    if (packing->bias && !pack_bias(model, packing, error)) return FALSE;
  }
  return TRUE;
}

gboolean dms_cpu_weights_load(DmsCpuWeights *weights, const DmsModel *model, DmsThreads *threads, GError **error) {
  *weights = (DmsCpuWeights){.layers = g_new0(DmsCpuLayer, model->config.layers)};
  g_autoptr(GArray) packings = g_array_new(FALSE, FALSE, sizeof(Packing));
  g_autoptr(GArray) vectors = g_array_new(FALSE, FALSE, sizeof(Vector));
  Layout layout = {.packings = packings, .vectors = vectors};
  place_model(&layout, weights, model);
  gsize bytes = layout.used, available = dms_memory_available();
  gboolean loaded = FALSE;
  if (bytes > available) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY,
                "%s: the weights need %.1f GB of memory and %.1f GB are free: free some, or take a smaller model",
                model->dir, bytes / 1e9, available / 1e9);
  } else if ((weights->memory = dms_memory_map(bytes, "the weights", error))) {
    weights->bytes = bytes;
    layout.base = weights->memory, layout.used = 0;
    place_model(&layout, weights, model);
    loaded = load_all(model, &layout, threads, error);
  }
  if (!loaded) dms_cpu_weights_clear(weights);
  return loaded;
}

void dms_cpu_weights_clear(DmsCpuWeights *weights) {
  dms_memory_unmap(weights->memory, weights->bytes);
  g_free(weights->layers);
  *weights = (DmsCpuWeights){0};
}

void dms_cpu_embed(const DmsMatrix *embed, int id, float *out) {
  int panel = id / DMS_PANEL, j = id % DMS_PANEL;
  gsize inputs = (gsize)embed->inputs;
  if (!embed->bf16) {
    const float *from = (const float *)embed->weights + panel * inputs * DMS_PANEL + j;
    for (gsize k = 0; k < inputs; k++) out[k] = from[k * DMS_PANEL];
    return;
  }
  const uint16_t *from =
      (const uint16_t *)embed->weights + panel * inputs * DMS_PANEL + j % (DMS_PANEL / 2) * 2 + j / (DMS_PANEL / 2);
  for (gsize k = 0; k < inputs; k++) {
    uint32_t bits = (uint32_t)from[k * DMS_PANEL] << 16;
    memcpy(&out[k], &bits, sizeof bits);
  }
}
