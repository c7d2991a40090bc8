/* Softmax attention of one KV head's group of queries over its list of items.
 *
 * Three passes: scores of all items, their exponentials, the weighted sum of the values. Keys lie [dim][item], so that
 * a score needs no sum across lanes; the queries of a group share each load. The order of every sum depends on the
 * list alone. */
#include "engine/cpu/kernels/lanes.h"

enum {
  HEADS = DMS_SHARED_HEADS,
  BLOCKS = DMS_WIDTH == 16 ? 4 : 2, /* blocks of keys at a time */
  ROW = DMS_PAGE_ITEMS * 4,         /* bytes of a row of keys, and of two items of values */
  LINE = 64,                        /* bytes of a cache line */
};

/* The page of item `item`: its keys. */
static const float *keys_of(const DmsHeadShape *shape, const DmsItems *items, int item) {
  return (const float *)(items->base + items->pages[item / DMS_PAGE_ITEMS] * shape->page_bytes);
}

/* Block `block` of its values. */
static const float *values_of(const DmsHeadShape *shape, const DmsItems *items, int item, int block) {
  return keys_of(shape, items, item) + DMS_PAGE_ITEMS * (shape->dim + block * DMS_VALUE_BLOCK);
}

static int blocks_of(int items) {
  return (MIN(items, DMS_PAGE_ITEMS) + DMS_KEY_BLOCK - 1) / DMS_KEY_BLOCK;
}

/* What to fetch from memory while something else is computed: a list's pages lie scattered, so the hardware cannot
 * know which comes next. */
typedef struct {
  const void *from;
  int rows, lines; /* so many ROWs, of each so many LINEs */
} Ahead;

DMS_UNROLLED void fetch_row(const Ahead *ahead, int row) {
  if (row < ahead->rows)
    for (int line = 0; line < ahead->lines; line++)
      __builtin_prefetch((const char *)ahead->from + row * ROW + line * LINE);
}

/* `items` items of values. */
static Ahead values_ahead(const float *values, int items) {
  return (Ahead){values, (MIN(items, DMS_PAGE_ITEMS) + 1) / 2, ROW / LINE};
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
  for (; blocks > 0; blocks -= BLOCKS, keys += BLOCKS * DMS_KEY_BLOCK, scores += BLOCKS * DMS_KEY_BLOCK, ahead.rows = 0)
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
    Ahead ahead = left > DMS_PAGE_ITEMS ? (Ahead){keys_of(shape, items, first + DMS_PAGE_ITEMS), shape->dim,
                                                  blocks_of(left - DMS_PAGE_ITEMS)}
                                        : values_ahead(values_of(shape, items, 0, 0), items->length);
    score_page(heads, blocks_of(left), keys_of(shape, items, first), shape->dim, queries, scores + first, stride,
               ahead);
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

/* out[head][even, odd item][2 vectors of dims] += weights * values, for the first `n` items of one page. */
DMS_UNROLLED void add_values(int heads, const float *values, int n, const float *weights, gsize stride, float *out,
                             const Ahead *ahead) {
  DmsVector sums[HEADS * 2 * 2];
#pragma GCC unroll 16
  for (int i = 0; i < heads * 4; i++) sums[i] = dms_load(out + i / 2 * DMS_VALUE_BLOCK + i % 2 * DMS_WIDTH);
  for (int item = 0; item < n; item += 2) {
    fetch_row(ahead, item / 2);
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
  for (int i = 0; i < heads * 4; i++) dms_store(out + i / 2 * DMS_VALUE_BLOCK + i % 2 * DMS_WIDTH, sums[i]);
}

/* One block of dims of the weighted sum of all values. */
DMS_UNROLLED void mix_block(int heads, const DmsHeadShape *shape, const DmsItems *items, int block,
                            const float *weights, gsize stride, float sums[HEADS][2][DMS_VALUE_BLOCK]) {
  for (int first = 0, left = items->length; left > 0; first += DMS_PAGE_ITEMS, left -= DMS_PAGE_ITEMS) {
    Ahead ahead = {0};
    if (left > DMS_PAGE_ITEMS)
      ahead = values_ahead(values_of(shape, items, first + DMS_PAGE_ITEMS, block), left - DMS_PAGE_ITEMS);
    for (int d = 0; d < DMS_VALUE_BLOCK; d += 2 * DMS_WIDTH)
      add_values(heads, values_of(shape, items, first, block) + d, MIN(left, DMS_PAGE_ITEMS), weights + first, stride,
                 &sums[0][0][d], &ahead);
  }
}

/* Attention of `heads` queries of the group. `scores` [heads, stride]. */
DMS_UNROLLED void attend_heads(int heads, const DmsHeadShape *shape, const DmsItems *items, const float *queries,
                               float *scores, gsize stride, float *out) {
  float total[HEADS];
  score_items(heads, shape, items, queries, scores, stride);
  for (int head = 0; head < heads; head++) total[head] = weigh(scores + head * stride, items->length);
  for (int start = 0; start < shape->dim; start += DMS_VALUE_BLOCK) {
    _Alignas(64) float sums[HEADS][2][DMS_VALUE_BLOCK] = {0}; /* even and odd items */
    mix_block(heads, shape, items, start / DMS_VALUE_BLOCK, scores, stride, sums);
    for (int head = 0; head < heads; head++)
      for (int d = 0; d < MIN(DMS_VALUE_BLOCK, shape->dim - start); d++)
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
