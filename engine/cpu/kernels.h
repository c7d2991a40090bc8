/* The arithmetic of a forward pass on vector units. Internal to engine/cpu.
 *
 * Each file of kernels/ is compiled once per instruction set (AVX-512, AVX2 with FMA, the machine's baseline);
 * dms_cpu_kernels() picks at run time. Every sum has one fixed order that depends on its own length alone: not on
 * the number of rows computed together, nor on the thread, nor on the vector width. So AVX2 and AVX-512 give the
 * same bits; the baseline, which has no fused multiply-add, rounds differently. All arithmetic is f32. */
#ifndef DMS_CPU_KERNELS_H
#define DMS_CPU_KERNELS_H

#include "engine/sampling.h"

#include <glib.h>

/* ---- Matrices ----
 *
 * A weight matrix [outputs, inputs] as panels of 32 outputs, the last one padded with zeros; a panel holds, for
 * input after input, the weights of its 32 outputs. bf16: 16 words of 32 bits an input, output j in the low half and
 * output 16 + j in the high half of word j, so that one shift or one mask widens 16 weights to f32. Otherwise 32
 * floats an input. */
enum { DMS_PANEL = 32, DMS_TILE_ROWS = 12 }; /* outputs of a panel; most rows that are multiplied at a time */

typedef struct {
  int outputs, inputs, panels;
  gboolean bf16;
  const void *weights; /* panels * inputs * DMS_PANEL weights, aligned to 64 bytes */
  const float *bias;   /* [panels * DMS_PANEL], NULL: none */
} DmsMatrix;

typedef enum {
  DMS_PRODUCT_STORE, /* out = product */
  DMS_PRODUCT_ADD,   /* out += product */
  DMS_PRODUCT_SWIGLU /* the first half of a panel is gate, the second half up: 16 outputs, silu(gate) * up */
} DmsProductMode;

/* Panels that `rows` rows are multiplied with at a time: several where few rows would leave the multipliers idle. */
static inline int dms_product_panels(int rows) {
  return rows == 1 ? 4 : rows <= 3 ? 2 : 1;
}

typedef struct {
  const DmsMatrix *matrix;
  const float *in; /* [rows, in_stride] */
  float *out;      /* [rows, out_stride] */
  int in_stride, out_stride;
  float *const *out_rows; /* row i goes to out_rows[i]; NULL: to row i of out */
  DmsProductMode mode;
} DmsProduct;

/* ---- KV pages ----
 *
 * A page holds the keys and then the values of DMS_PAGE_ITEMS tokens of one (sequence, layer, KV head). Keys:
 * [dim][item], so that scores need no sum across lanes. Values: blocks of 32 dims, each [item][32], the last one
 * padded. */
enum { DMS_PAGE_ITEMS = 64, DMS_KEY_BLOCK = 16, DMS_VALUE_BLOCK = 32 };
enum { DMS_SHARED_HEADS = 4 }; /* query heads that attend at a time, sharing each load */

typedef struct {
  int dim, value_dim; /* value_dim: dim rounded up to DMS_VALUE_BLOCK */
  int group;          /* query heads that share one KV head */
  gsize page_bytes;
} DmsHeadShape;

static inline DmsHeadShape dms_head_shape(int dim, int group) {
  int value_dim = (dim + DMS_VALUE_BLOCK - 1) / DMS_VALUE_BLOCK * DMS_VALUE_BLOCK;
  return (DmsHeadShape){dim, value_dim, group, sizeof(float) * DMS_PAGE_ITEMS * (gsize)(dim + value_dim)};
}

typedef struct {
  const char *base;      /* the pool */
  const uint32_t *pages; /* of the list, in order */
  int length;            /* items, at least 1 */
} DmsItems;

typedef struct {
  const char *name; /* "AVX-512" */

  /* Panels [first, end) of the product for `rows` rows. */
  void (*product)(const DmsProduct *product, int rows, int first_panel, int end_panel);
  /* out[n] = in * weight / sqrt(mean(in^2) + eps) */
  void (*rms_norm)(const float *in, const float *weight, float eps, int n, float *out);
  /* sum of a[i] * b[i] */
  float (*dot)(const float *a, const float *b, int n);
  /* Rotates pairs (i, i + dim / 2) of `x` in place. `angles`: dim / 2 cosines, dim / 2 sines. */
  void (*rotate)(float *x, const float *angles, int dim);
  /* Writes one item's key and value [dim] to place `item` of `page`. */
  void (*store_item)(const DmsHeadShape *shape, char *page, int item, const float *key, const float *value);
  /* Softmax attention of `group` queries [group, dim], scaled by log2(e) / sqrt(dim), over the items. `out` [group,
   * dim]; `scratch` [DMS_SHARED_HEADS, length rounded up to DMS_PAGE_ITEMS]. */
  void (*attend)(const DmsHeadShape *shape, const DmsItems *items, const float *queries, float *scratch, float *out);
  /* For measurements: `rounds` * DMS_PROBE_CHAINS * 16 multiply-adds; the sum of n floats, n a multiple of 64. */
  float (*probe_multiply)(int rounds);
  float (*probe_read)(const float *array, gsize n);
  /* dms_sample() of sampling.h. */
  int32_t (*sample)(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab, uint64_t *scratch);
} DmsKernels;

enum { DMS_PROBE_CHAINS = 12 };

/* The best that this machine can run. */
const DmsKernels *dms_cpu_kernels(void);
/* All that this machine can run, the best first; NULL at the end. */
const DmsKernels *const *dms_cpu_kernels_all(void);

#endif
