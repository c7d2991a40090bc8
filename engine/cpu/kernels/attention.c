/* Softmax attention of one KV head's group of queries over its list of items.
 *
 * Three passes: scores of all items, their exponentials, the weighted sum of the values. Keys lie [dim][16 tokens],
 * so that a score needs no sum across lanes; the queries of a group share each load. The order of every sum depends
 * on the list alone. */
#include "engine/cpu/kernels/lanes.h"

static const char *page_of(const DmsHeadShape *shape, const DmsItems *items, int item) {
  return items->base + items->pages[item / DMS_PAGE_ITEMS] * shape->page_bytes;
}

/* Where the values begin. */
static gsize page_values(const DmsHeadShape *shape) {
  return (gsize)shape->dim * DMS_PAGE_ITEMS * sizeof(float);
}

enum {
  HEADS = DMS_SHARED_HEADS,
  BLOCKS = DMS_WIDTH == 16 ? 4 : 2, /* blocks of 16 tokens at a time */
  LINE = 64,                        /* bytes of a cache line */
};

/* What to fetch from memory while something else is computed: the lists' pages lie scattered, so the hardware cannot
 * know. */
typedef struct {
  const char *rows;  /* of DMS_PAGE_ITEMS floats */
  int n_rows, lines; /* of each row so many cache lines */
} Ahead;

DMS_UNROLLED void fetch_row(const Ahead *ahead, int row) {
  if (row < ahead->n_rows)
    for (int line = 0; line < ahead->lines; line++)
      __builtin_prefetch(ahead->rows + row * (DMS_PAGE_ITEMS * sizeof(float)) + line * LINE);
}

static int blocks_of(int items) {
  return (items + DMS_KEY_BLOCK - 1) / DMS_KEY_BLOCK;
}

/* Scores of `blocks` blocks of a page for `heads` queries. */
DMS_UNROLLED void score_blocks(int heads, int blocks, const float *keys, int dim, const float *queries, float *scores,
                               gsize stride, const Ahead *ahead) {
  DmsVector sums[HEADS * BLOCKS * DMS_PARTS];
#pragma GCC unroll 32
  for (int i = 0; i < heads * blocks * DMS_PARTS; i++) sums[i] = (DmsVector){0};
  for (int d = 0; d < dim; d++, keys += DMS_PAGE_ITEMS) {
    fetch_row(ahead, d);
#pragma GCC unroll 16
    for (int i = 0; i < blocks * DMS_PARTS; i++) {
      DmsVector key = dms_load(keys + i * DMS_WIDTH);
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

/* Scores of one page's first `blocks` blocks. */
DMS_UNROLLED void score_page(int heads, int blocks, const float *keys, int dim, const float *queries, float *scores,
                             gsize stride, Ahead ahead) {
  for (; blocks > 0;
       blocks -= BLOCKS, keys += BLOCKS * DMS_KEY_BLOCK, scores += BLOCKS * DMS_KEY_BLOCK, ahead.n_rows = 0)
    switch (MIN(blocks, BLOCKS)) {
    case 1:
      score_blocks(heads, 1, keys, dim, queries, scores, stride, &ahead);
      break;
    case 2:
      score_blocks(heads, 2, keys, dim, queries, scores, stride, &ahead);
      break;
#if DMS_WIDTH == 16
    case 3:
      score_blocks(heads, 3, keys, dim, queries, scores, stride, &ahead);
      break;
    case 4:
      score_blocks(heads, 4, keys, dim, queries, scores, stride, &ahead);
      break;
#endif
    }
}

/* Scores of all items; those of the last block's empty places are noise. */
DMS_UNROLLED void score_items(int heads, const DmsHeadShape *shape, const DmsItems *items, const float *queries,
                              float *scores, gsize stride) {
  for (int first = 0, left = items->length; left > 0; first += DMS_PAGE_ITEMS, left -= DMS_PAGE_ITEMS) {
    const char *keys = page_of(shape, items, first);
    Ahead ahead = {page_of(shape, items, 0) + page_values(shape), MIN(items->length / 2, shape->dim),
                   DMS_PAGE_ITEMS * 4 / LINE};
    if (left > DMS_PAGE_ITEMS)
      ahead =
          (Ahead){page_of(shape, items, first + DMS_PAGE_ITEMS), shape->dim, MIN(blocks_of(left - DMS_PAGE_ITEMS), 4)};
    score_page(heads, MIN(blocks_of(left), DMS_PAGE_ITEMS / DMS_KEY_BLOCK), (const float *)keys, shape->dim, queries,
               scores + first, stride, ahead);
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

/* out[head][2 vectors of dims] += weights * values, even and odd items apart. `values`: [item][DMS_VALUE_BLOCK] of
 * one page. */
DMS_UNROLLED void add_values(int heads, const float *values, int n, const float *weights, gsize stride, float *out,
                             gsize out_stride, const float *next, int ahead) {
  DmsVector sums[HEADS * 2 * 2];
#pragma GCC unroll 16
  for (int i = 0; i < heads * 4; i++)
    sums[i] = dms_load(out + i / 4 * out_stride + i / 2 % 2 * DMS_VALUE_BLOCK + i % 2 * DMS_WIDTH);
  for (int item = 0; item < n; item += 2) {
    if (item < ahead) {
      const char *line = (const char *)(next + item * DMS_VALUE_BLOCK);
      __builtin_prefetch(line);
      __builtin_prefetch(line + 64);
      __builtin_prefetch(line + 128);
      __builtin_prefetch(line + 192);
    }
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
      const float *next = values;
      int ahead = 0;
      if (first + DMS_PAGE_ITEMS < items->length) {
        next = (const float *)(items->base + items->pages[first / DMS_PAGE_ITEMS + 1] * shape->page_bytes) +
               DMS_PAGE_ITEMS * shape->dim + block * DMS_PAGE_ITEMS * DMS_VALUE_BLOCK;
        ahead = MIN(DMS_PAGE_ITEMS, items->length - first - DMS_PAGE_ITEMS);
      }
      for (int d = 0; d < DMS_VALUE_BLOCK; d += 2 * DMS_WIDTH)
        add_values(heads, values + d, MIN(DMS_PAGE_ITEMS, items->length - first), scores + first, stride,
                   &sums[0][0][d], 2 * DMS_VALUE_BLOCK, next, ahead);
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
