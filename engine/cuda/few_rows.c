/* Steps of a few sequences: the layers of layers.c with gemv.cu's products. A row's normalised form is never stored:
 * `normed` holds the residual stream times the next norm's weight, `squares` the sums that its root mean square comes
 * from. */
#include "engine/cuda/layers.h"

/* Each CTA reads all of x: where rows are deep that is worth it for one of them only (measured on an H200). */
enum { DEEP = 2048 };

gboolean dms_cuda_few_rows(const DmsBackend *b, int n) {
  return b->own_products && n <= (b->config->hidden > DEEP ? 1 : DMS_CUDA_GEMV_ROWS);
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
