/* Steps of a batch, up to DMS_CUDA_PRODUCT_ROWS sequences, where layer_products.cu takes the model: all that lies
 * between the attention of two layers is one kernel. As in few_rows.c a row's normalised form is never stored. */
#include "engine/cuda/layers.h"

/* Where layers are wide, borders between kernels are a small part of them, and from some rows on cuBLAS is better by
 * more than they cost (measured on an H200). */
enum { WIDE = 4096, WIDE_ROWS = 16 };

gboolean dms_cuda_batch_rows(const DmsBackend *b, int n) {
  return b->arrivals && n <= (b->config->hidden > WIDE ? WIDE_ROWS : DMS_CUDA_PRODUCT_ROWS);
}

static gsize arrivals_bytes(const DmsBackend *b) {
  return (gsize)(b->config->layers + 1) * DMS_CUDA_PRODUCT_ARRIVALS * sizeof(int32_t);
}

/* What lies behind the attention of `layer`; -1: before that of the first. */
static DmsCudaLayerProducts products_of(const DmsBackend *b, int layer, int n) {
  const DmsCudaWeights *w = &b->weights;
  gboolean last = layer + 1 == b->config->layers;
  DmsCudaLayerProducts products = {.rows = n,
                                   .next_norm = last ? w->norm : w->layer[layer + 1].input_norm,
                                   .eps = b->config->norm_eps,
                                   .attended = b->attended,
                                   .x = b->x,
                                   .normed = b->normed,
                                   .squares = b->squares,
                                   .activated = b->activated,
                                   .qkv_out = b->qkv,
                                   .arrivals = b->arrivals + (layer + 1) * DMS_CUDA_PRODUCT_ARRIVALS};
  if (!last) products.qkv = w->layer[layer + 1].qkv;
  if (layer >= 0) {
    const DmsCudaLayer *l = &w->layer[layer];
    products.output = l->o, products.gate_up = l->gate_up, products.down = l->down, products.post_norm = l->post_norm;
  }
  return products;
}

gboolean dms_cuda_batch_prepare(DmsBackend *b, GError **error) {
  int takes = b->type == DMS_CUDA_BF16 && b->config->layers > 1;
  for (int rows = DMS_CUDA_PRODUCT_ROWS; takes && rows; rows /= 2) {
    DmsCudaLayerProducts products = products_of(b, 0, rows);
    TRY(dms_cuda_layer_products_takes(&products, &takes), "planning the layers' products");
  }
  return !takes || dms_cuda_allocate(b, arrivals_bytes(b), "work buffers", &b->arrivals, error);
}

gboolean dms_cuda_batch_layer_out(DmsBackend *b, int layer, int first, int n, GError **error) {
  DmsCudaLayerProducts products = products_of(b, layer, n);
  dms_cuda_mark(b, "products");
  TRY(dms_cuda_layer_products(b->stream, &products), "the layers' products");
  return TRUE;
}

gboolean dms_cuda_batch_embed(DmsBackend *b, int n, GError **error) {
  TRY(cudaMemsetAsync(b->arrivals, 0, arrivals_bytes(b), b->stream), "beginning a step");
  TRY(dms_cuda_embed_next(b->stream, b->weights.embed, b->rows.tokens, n, b->config->hidden, b->x,
                          b->weights.layer[0].input_norm, b->normed, b->squares, DMS_CUDA_PRODUCT_SQUARES),
      "the embedding");
  return dms_cuda_batch_layer_out(b, -1, 0, n, error);
}
