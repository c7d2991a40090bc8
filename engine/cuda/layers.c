/* The kernels of the model in order, and a whole step of a batch bucket. */
#include "engine/cuda/layers.h"

static void *row_of(const DmsBackend *b, void *buffer, int row, int width) {
  return (char *)buffer + (gsize)row * width * b->element;
}

DmsCudaRope dms_cuda_layer_rope(DmsBackend *b, int layer) {
  const DmsCudaLayer *l = &b->weights.layer[layer];
  return (DmsCudaRope){.heads = b->heads,
                       .rule = b->rule,
                       .qkv = b->qkv,
                       .q_norm = l->q_norm,
                       .k_norm = l->k_norm,
                       .eps = b->config->norm_eps,
                       .rope = b->rope,
                       .logits = b->decisions,
                       .layer = layer};
}

gboolean dms_cuda_layer_decide(DmsBackend *b, int layer, int first, int n, GError **error) {
  const DmsConfig *c = b->config;
  const DmsCudaLayer *l = &b->weights.layer[layer];
  if (b->rule.decision != DMS_CUDA_LOGITS) return TRUE;
  dms_cuda_mark(b, "decision");
  int width = b->rule.per_layer ? 1 : c->kv_heads;
  float *out = b->decisions + (gsize)first * width;
  if (b->rule.borrowed) {
    DmsCudaRope rope = dms_cuda_layer_rope(b, layer);
    rope.qkv = row_of(b, b->qkv, first, b->heads.stride);
    TRY(dms_cuda_borrowed_logits(b->stream, &rope, n, out), "the eviction decisions");
  } else {
    TRY(dms_cuda_adapter(b->stream, b->x + (gsize)first * c->hidden, l->adapter, l->adapter_bias, c->norm_eps, n,
                         c->hidden, width, out),
        "the eviction decisions");
  }
  return TRUE;
}

/* out = normalised x times the weight, by cuBLAS. */
static gboolean normed_product(DmsBackend *b, const float *x, const float *norm, const DmsCudaLinear *linear, int n,
                               DmsGemmEnd end, void *out, const char *name, GError **error) {
  const DmsConfig *c = b->config;
  dms_cuda_mark(b, "norm");
  TRY(dms_cuda_rms_norm(b->stream, b->type, x, norm, c->norm_eps, n, c->hidden, b->normed), "a norm");
  dms_cuda_mark(b, name);
  return dms_gemm_run(b->gemm, linear, b->normed, n, end, out, error);
}

gboolean dms_cuda_layer_in(DmsBackend *b, int layer, int first, int n, GError **error) {
  const DmsCudaLayer *l = &b->weights.layer[layer];
  return normed_product(b, b->x + (gsize)first * b->config->hidden, l->input_norm, &l->qkv, n, DMS_GEMM_STORE,
                        row_of(b, b->qkv, first, b->heads.stride), "qkv product", error) &&
         dms_cuda_layer_decide(b, layer, first, n, error);
}

gboolean dms_cuda_layer_out(DmsBackend *b, int layer, int first, int n, GError **error) {
  const DmsConfig *c = b->config;
  const DmsCudaLayer *l = &b->weights.layer[layer];
  float *x = b->x + (gsize)first * c->hidden;
  dms_cuda_mark(b, "output product");
  if (!dms_gemm_run(b->gemm, &l->o, row_of(b, b->attended, first, c->heads * c->head_dim), n, DMS_GEMM_ADD, x, error) ||
      !normed_product(b, x, l->post_norm, &l->gate_up, n, DMS_GEMM_STORE, b->gate_up, "gate-up product", error))
    return FALSE;
  dms_cuda_mark(b, "swiglu");
  TRY(dms_cuda_swiglu(b->stream, b->type, b->gate_up, n, c->intermediate, b->activated), "SwiGLU");
  dms_cuda_mark(b, "down product");
  return dms_gemm_run(b->gemm, &l->down, b->activated, n, DMS_GEMM_ADD, x, error);
}

gboolean dms_cuda_head(DmsBackend *b, const float *x, int n, float *logits, GError **error) {
  return normed_product(b, x, b->weights.norm, &b->weights.head, n, DMS_GEMM_FLOAT, logits, "head product", error);
}

static gboolean is_single_row(const DmsBackend *b, int bucket) {
  return bucket == 1 && b->exchange;
}

gboolean dms_cuda_step_prepare(DmsBackend *b, int bucket, GError **error) {
  const DmsCudaWeights *w = &b->weights;
  const DmsCudaLayer *l = &w->layer[0];
  int layers = b->config->layers;
  gsize distance = w->layer_bytes;
  if (is_single_row(b, bucket) || dms_cuda_few_rows(b, bucket)) return TRUE;
  if (dms_cuda_batch_rows(b, bucket))
    return dms_gemm_choose(b->gemm, &w->head, b->normed, bucket, DMS_GEMM_FLOAT, b->logits, 1, 0, error);
  return dms_gemm_choose(b->gemm, &l->qkv, b->normed, bucket, DMS_GEMM_STORE, b->qkv, layers, distance, error) &&
         dms_gemm_choose(b->gemm, &l->o, b->attended, bucket, DMS_GEMM_ADD, b->x, layers, distance, error) &&
         dms_gemm_choose(b->gemm, &l->gate_up, b->normed, bucket, DMS_GEMM_STORE, b->gate_up, layers, distance,
                         error) &&
         dms_gemm_choose(b->gemm, &l->down, b->activated, bucket, DMS_GEMM_ADD, b->x, layers, distance, error) &&
         dms_gemm_choose(b->gemm, &w->head, b->normed, bucket, DMS_GEMM_FLOAT, b->logits, 1, 0, error);
}

/* qkv -> attended. */
static gboolean attend(DmsBackend *b, const DmsCudaRows *rows, int layer, GError **error) {
  DmsCudaRope rope = dms_cuda_layer_rope(b, layer);
  dms_cuda_mark(b, "attention");
  TRY(dms_cuda_decode_attention(b->stream, &rope, &b->cache, rows, b->attended, b->scratch), "attention");
  return TRUE;
}

/* The tokens of a batch to logits. */
static gboolean queue_batch(DmsBackend *b, const DmsCudaRows *rows, GError **error) {
  int n = rows->rows;
  if (!dms_cuda_batch_begin(b, n, error)) return FALSE;
  for (int layer = 0; layer < b->config->layers; layer++)
    if (!dms_cuda_layer_decide(b, layer, 0, n, error) || !attend(b, rows, layer, error) ||
        !dms_cuda_batch_layer_out(b, layer, n, error))
      return FALSE;
  return dms_cuda_head(b, b->x, n, b->logits, error);
}

/* The embedded rows to logits, kernel by kernel. */
static gboolean queue_layers(DmsBackend *b, const DmsCudaRows *rows, gboolean few, GError **error) {
  int n = rows->rows;
  for (int layer = 0; layer < b->config->layers; layer++) {
    if (!(few ? dms_cuda_few_layer_in : dms_cuda_layer_in)(b, layer, 0, n, error) || !attend(b, rows, layer, error))
      return FALSE;
    if (!(few ? dms_cuda_few_layer_out : dms_cuda_layer_out)(b, layer, 0, n, error)) return FALSE;
  }
  return few ? dms_cuda_few_head(b, n, error) : dms_cuda_head(b, b->x, n, b->logits, error);
}

gboolean dms_cuda_step_queue(DmsBackend *b, int bucket, GError **error) {
  const DmsConfig *c = b->config;
  DmsCudaRows rows = b->rows;
  rows.rows = bucket;
  gboolean single = is_single_row(b, bucket), few = !single && dms_cuda_few_rows(b, bucket);
  gboolean batch = !single && !few && dms_cuda_batch_rows(b, bucket);
  dms_cuda_mark(b, "plan");
  TRY(dms_cuda_plan_step(b->stream, &b->cache, &b->samplers, &rows), "planning the step");
  if (rows.parts && !single) TRY(dms_cuda_plan_shares(b->stream, &b->cache, &rows), "planning attention");
  dms_cuda_mark(b, "embedding");
  if (few && !dms_cuda_few_embed(b, bucket, error)) return FALSE;
  if (!few && !batch)
    TRY(dms_cuda_embed(b->stream, b->type, b->weights.embed, rows.tokens, bucket, c->hidden, b->x), "the embedding");
  if (!(single  ? dms_cuda_single_row_queue(b, error)
        : batch ? queue_batch(b, &rows, error)
                : queue_layers(b, &rows, few, error)))
    return FALSE;
  dms_cuda_mark(b, "sampling");
  TRY(dms_cuda_sample(b->stream, &b->samplers, rows.slots, bucket, b->logits, c->vocab), "sampling");
  return TRUE;
}
