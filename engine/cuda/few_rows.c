/* Steps of one sequence: single_row.cu's kernel, where it takes the model, else the layers of layers.c with gemv.cu's
 * products; and with those, steps of a few sequences where there is no kernel for batches. For gemv.cu a row's
 * normalised form is never stored: `normed` holds the residual stream times the next norm's weight, `squares` the sums
 * that its root mean square comes from. */
#include "engine/cuda/layers.h"

/* Each CTA reads all of x: where rows are deep that is worth it for one of them only, and from two on the kernel for
 * batches is better, where there is one (measured on an H200). */
enum { DEEP = 2048 };

gboolean dms_cuda_few_rows(const DmsBackend *b, int n) {
  return b->own_products && n <= (b->arrivals || b->config->hidden > DEEP ? 1 : DMS_CUDA_GEMV_ROWS);
}

static DmsCudaGemv product_of(const DmsBackend *b, const DmsCudaLinear *linear, const void *x, int n,
                              DmsCudaGemvEnd end, void *out) {
  return (DmsCudaGemv){.weight = linear->weight,
                       .bias = linear->bias,
                       .x = x,
                       .eps = b->config->norm_eps,
                       .n_squares = b->config->hidden / DMS_CUDA_SQUARES,
                       .rows = n,
                       .n = linear->n,
                       .k = linear->k,
                       .end = end,
                       .out = out};
}

/* A product of the normalised residual stream. */
static gboolean from_stream(DmsBackend *b, const DmsCudaLinear *linear, int n, DmsCudaGemvEnd end, void *out,
                            const char *name, GError **error) {
  DmsCudaGemv gemv = product_of(b, linear, b->normed, n, end, out);
  gemv.squares = b->squares;
  dms_cuda_mark(b, name);
  TRY(dms_cuda_gemv(b->stream, &gemv), name);
  return TRUE;
}

/* A product that is added to the residual stream, which `norm` is the next to read. */
static gboolean to_stream(DmsBackend *b, const DmsCudaLinear *linear, const void *x, int n, const float *norm,
                          const char *name, GError **error) {
  DmsCudaGemv gemv = product_of(b, linear, x, n, DMS_CUDA_GEMV_ADD, b->x);
  gemv.next_norm = norm, gemv.next = b->normed, gemv.next_squares = b->squares;
  dms_cuda_mark(b, name);
  TRY(dms_cuda_gemv(b->stream, &gemv), name);
  return TRUE;
}

gboolean dms_cuda_few_embed(DmsBackend *b, int n, GError **error) {
  int hidden = b->config->hidden;
  TRY(dms_cuda_embed_next(b->stream, b->weights.embed, b->rows.tokens, n, hidden, b->x, b->weights.layer[0].input_norm,
                          b->normed, b->squares, hidden / DMS_CUDA_SQUARES),
      "the embedding");
  return TRUE;
}

gboolean dms_cuda_few_layer_in(DmsBackend *b, int layer, int first, int n, GError **error) {
  return from_stream(b, &b->weights.layer[layer].qkv, n, DMS_CUDA_GEMV_STORE, b->qkv, "qkv product", error) &&
         dms_cuda_layer_decide(b, layer, first, n, error);
}

gboolean dms_cuda_few_layer_out(DmsBackend *b, int layer, int first, int n, GError **error) {
  const DmsCudaWeights *w = &b->weights;
  const DmsCudaLayer *l = &w->layer[layer];
  const float *next = layer + 1 < b->config->layers ? w->layer[layer + 1].input_norm : w->norm;
  return to_stream(b, &l->o, b->attended, n, l->post_norm, "output product", error) &&
         from_stream(b, &l->gate_up, n, DMS_CUDA_GEMV_SWIGLU, b->activated, "gate-up product", error) &&
         to_stream(b, &l->down, b->activated, n, next, "down product", error);
}

gboolean dms_cuda_few_head(DmsBackend *b, int n, GError **error) {
  return from_stream(b, &b->weights.head, n, DMS_CUDA_GEMV_LOGITS, b->logits, "head product", error);
}

/* ---- One row ---- */

static DmsCudaSingleRow step_of(DmsBackend *b) {
  const DmsCudaWeights *w = &b->weights;
  const DmsCudaLayer *l = &w->layer[0];
  DmsCudaRows rows = b->rows;
  rows.rows = 1;
  return (DmsCudaSingleRow){.layers = b->config->layers,
                            .layer_bytes = w->layer_bytes,
                            .qkv = l->qkv,
                            .output = l->o,
                            .gate_up = l->gate_up,
                            .down = l->down,
                            .head = w->head,
                            .input_norm = l->input_norm,
                            .post_norm = l->post_norm,
                            .norm = w->norm,
                            .rope = dms_cuda_layer_rope(b, 0),
                            .cache = b->cache,
                            .rows = rows,
                            .x = b->x,
                            .logits = b->logits,
                            .exchange = b->exchange};
}

gboolean dms_cuda_single_row_prepare(DmsBackend *b, GError **error) {
  DmsCudaSingleRow step = step_of(b);
  gsize bytes;
  TRY(dms_cuda_single_row_plan(&step, &bytes), "planning a step of one row");
  return !bytes || dms_cuda_allocate(b, bytes, "work buffers", &b->exchange, error);
}

gboolean dms_cuda_single_row_queue(DmsBackend *b, GError **error) {
  DmsCudaSingleRow step = step_of(b);
  dms_cuda_mark(b, "layers and head");
  TRY(dms_cuda_single_row(b->stream, &step), "the layers");
  return TRUE;
}
