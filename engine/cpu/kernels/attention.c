/* Softmax attention of one KV head's group of queries over its list of items.
 *
 * Three passes: scores of all items, their exponentials, the weighted sum of the values. Keys lie [dim][16 tokens], so that a score needs no
 * sum across lanes; the queries of a group share each load. The order of every sum depends on the list alone. */
#include "engine/cpu/kernels/lanes.h"

enum {
  HEADS = DMS_SHARED_HEADS,
  BLOCKS = DMS_WIDTH == 16 ? 4 : 2, /* key blocks at a time */
  PAGE_BLOCKS = DMS_PAGE_ITEMS / DMS_KEY_BLOCK,
};

/* Scores of `blocks` key blocks for `heads` queries. */
DMS_UNROLLED void score_blocks(int heads, int blocks, const float *keys, int dim, const float *queries, float *scores,
                               gsize stride) {
  DmsVector sums[HEADS * BLOCKS * DMS_PARTS];
#pragma GCC unroll 32
  for (int i = 0; i < heads * blocks * DMS_PARTS; i++) sums[i] = (DmsVector){0};
  for (int d = 0; d < dim; d++) {
#pragma GCC unroll 16
    for (int i = 0; i < blocks * DMS_PARTS; i++) {
      DmsVector key = dms_load(keys + (i / DMS_PARTS * dim + d) * DMS_KEY_BLOCK + i % DMS_PARTS * DMS_WIDTH);
#pragma GCC unroll 4
      for (int head = 0; head < heads; head++) {
        DmsVector *sum = &sums[head * blocks * DMS_PARTS + i];
        *sum = dms_fma(dms_splat(queries[head * dim + d]), key, *sum);
      }
    }
  }
#pragma GCC unroll 4
  for (int head = 0; head < heads; head++)
#pragma GCC unroll 16
    for (int i = 0; i < blocks * DMS_PARTS; i++)
      dms_store(scores + head * stride + i * DMS_WIDTH, sums[head * blocks * DMS_PARTS + i]);
}

/* Scores of all items; those of the last block's empty places are noise. */
DMS_UNROLLED void score_items(int heads, const DmsHeadShape *shape, const DmsItems *items, const float *queries,
                              float *scores, gsize stride) {
  int n_blocks = (items->length + DMS_KEY_BLOCK - 1) / DMS_KEY_BLOCK, dim = shape->dim;
  for (int page = 0; page * PAGE_BLOCKS < n_blocks; page++) {
    const float *keys = (const float *)(items->base + items->pages[page] * shape->page_bytes);
    int end = MIN(PAGE_BLOCKS, n_blocks - page * PAGE_BLOCKS), block = 0;
    float *to = scores + page * DMS_PAGE_ITEMS;
    for (; block + BLOCKS <= end; block += BLOCKS)
      score_blocks(heads, BLOCKS, keys + block * dim * DMS_KEY_BLOCK, dim, queries, to + block * DMS_KEY_BLOCK, stride);
    for (; block < end; block++)
      score_blocks(heads, 1, keys + block * dim * DMS_KEY_BLOCK, dim, queries, to + block * DMS_KEY_BLOCK, stride);
  }
}

/* Scores to weights e^(score - largest), in place; returns their sum. Queries were scaled by log2(e). */
static float weigh(float *scores, int length) {
  int end = (length + DMS_LANES - 1) / DMS_LANES * DMS_LANES;
  /* The empty places get 2^-126 of the largest weight, 1 or more: nothing, in f32. */
  for (int i = length; i < end; i++) scores[i] = -INFINITY;
  DmsVector largest[DMS_PARTS], sums[DMS_PARTS] = {0};
  for (int p = 0; p < DMS_PARTS; p++) largest[p] = dms_splat(-INFINITY);
  for (int i = 0; i < end; i += DMS_LANES)
    for (int p = 0; p < DMS_PARTS; p++) largest[p] = dms_max(largest[p], dms_load(scores + i + p * DMS_WIDTH));
  float max = dms_max_lanes(largest);
  for (int i = 0; i < end; i += DMS_LANES)
    for (int p = 0; p < DMS_PARTS; p++) {
      DmsVector score = dms_load(scores + i + p * DMS_WIDTH), weight = dms_exp2(score - max);
      dms_store(scores + i + p * DMS_WIDTH, weight);
      sums[p] += weight;
    }
  return dms_sum_lanes(sums);
}

/* out[head][2 vectors of dims] += weights * values, even and odd items apart. `values`: [item][DMS_VALUE_BLOCK] of one page. */
DMS_UNROLLED void add_values(int heads, const float *values, int n, const float *weights, gsize stride, float *out,
                             gsize out_stride) {
  DmsVector sums[HEADS * 2 * 2];
#pragma GCC unroll 16
  for (int i = 0; i < heads * 4; i++)
    sums[i] = dms_load(out + i / 4 * out_stride + i / 2 % 2 * DMS_VALUE_BLOCK + i % 2 * DMS_WIDTH);
  for (int item = 0; item < n; item += 2) {
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
      if (item + odd == n) break;
      const float *value = values + (item + odd) * DMS_VALUE_BLOCK;
      DmsVector low = dms_load(value), high = dms_load(value + DMS_WIDTH);
#pragma GCC unroll 4
      for (int head = 0; head < heads; head++) {
        DmsVector weight = dms_splat(weights[head * stride + item + odd]);
        sums[head * 4 + odd * 2] = dms_fma(weight, low, sums[head * 4 + odd * 2]);
        sums[head * 4 + odd * 2 + 1] = dms_fma(weight, high, sums[head * 4 + odd * 2 + 1]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < heads * 4; i++)
    dms_store(out + i / 4 * out_stride + i / 2 % 2 * DMS_VALUE_BLOCK + i % 2 * DMS_WIDTH, sums[i]);
}

/* Attention of `heads` queries of the group. `scores` [heads, stride]. */
DMS_UNROLLED void attend_heads(int heads, const DmsHeadShape *shape, const DmsItems *items, const float *queries,
                               float *scores, gsize stride, float *out) {
  float total[HEADS];
  score_items(heads, shape, items, queries, scores, stride);
  for (int head = 0; head < heads; head++) total[head] = weigh(scores + head * stride, items->length);
  for (int block = 0; block < shape->value_dim / DMS_VALUE_BLOCK; block++) {
    _Alignas(64) float sums[HEADS][2][DMS_VALUE_BLOCK] = {0}; /* even and odd items */
    for (int first = 0; first < items->length; first += DMS_PAGE_ITEMS) {
      const float *values = (const float *)(items->base + items->pages[first / DMS_PAGE_ITEMS] * shape->page_bytes) +
                            DMS_PAGE_ITEMS * shape->dim + block * DMS_PAGE_ITEMS * DMS_VALUE_BLOCK;
      for (int d = 0; d < DMS_VALUE_BLOCK; d += 2 * DMS_WIDTH)
        add_values(heads, values + d, MIN(DMS_PAGE_ITEMS, items->length - first), scores + first, stride,
                   &sums[0][0][d], 2 * DMS_VALUE_BLOCK);
    }
    int start = block * DMS_VALUE_BLOCK, n = MIN(DMS_VALUE_BLOCK, shape->dim - start);
    for (int head = 0; head < heads; head++)
      for (int d = 0; d < n; d++)
        out[head * shape->dim + start + d] = (sums[head][0][d] + sums[head][1][d]) / total[head];
  }
}

void DMS_KERNEL(dms_attend)(const DmsHeadShape *shape, const DmsItems *items, const float *queries, float *scratch,
                            float *out) {
  gsize stride = (items->length + DMS_PAGE_ITEMS - 1) / DMS_PAGE_ITEMS * (gsize)DMS_PAGE_ITEMS;
  for (int head = 0; head < shape->group; head += HEADS) {
    const float *q = queries + head * shape->dim;
    float *to = out + head * shape->dim;
    switch (MIN(HEADS, shape->group - head)) {
    case 1:
      attend_heads(1, shape, items, q, scratch, stride, to);
      break;
    case 2:
      attend_heads(2, shape, items, q, scratch, stride, to);
      break;
    case 3:
      attend_heads(3, shape, items, q, scratch, stride, to);
      break;
    default:
      attend_heads(4, shape, items, q, scratch, stride, to);
    }
  }
}
