/* One token from one row of logits: what sampling.h defines, without sorting the vocabulary. */
#include "engine/cpu/kernels/lanes.h"

/* The largest logit, and whether any is NaN. */
static float largest_logit(const float *logits, int vocab, gboolean *nan) {
  DmsVector largest[DMS_PARTS];
  DmsInts unordered[DMS_PARTS] = {0};
  for (int p = 0; p < DMS_PARTS; p++) largest[p] = dms_splat(-INFINITY);
  int i = 0;
  for (; i + DMS_LANES <= vocab; i += DMS_LANES)
    for (int p = 0; p < DMS_PARTS; p++) {
      DmsVector v = dms_load(logits + i + p * DMS_WIDTH);
      unordered[p] |= v != v;
      largest[p] = dms_max(largest[p], v);
    }
  float max = dms_max_lanes(largest);
  int32_t bad = 0;
  for (int p = 0; p < DMS_PARTS; p++)
    for (int lane = 0; lane < DMS_WIDTH; lane++) bad |= unordered[p][lane];
  for (; i < vocab; i++) {
    bad |= isnan(logits[i]);
    if (logits[i] > max) max = logits[i];
  }
  *nan = bad != 0;
  return max;
}

/* The weights that stay: all above `bound`, and of those that equal it the first `equals` in id order. */
typedef struct {
  uint64_t bound;
  int equals;
} Cut;

static void swap(uint64_t *a, uint64_t *b) {
  uint64_t t = *a;
  *a = *b, *b = t;
}

/* The smallest set of the heaviest of weights[0..n) that has at least `count` members or, when `count` is 0, at
 * least the sum `target`; both can be reached. Reorders the weights. Each round splits what is undecided around a
 * pivot and keeps the side where the cut lies. */
static Cut cut_heaviest(uint64_t *weights, int n, uint64_t count, uint64_t target) {
  uint64_t missing = count ? count : target;
  for (int first = 0;;) {
    uint64_t a = weights[first], b = weights[(first + n) / 2], c = weights[n - 1];
    uint64_t pivot = MAX(MIN(a, b), MIN(MAX(a, b), c)), above = 0, equal = 0;
    int heavier = first, lighter = n; /* [first, heavier) > pivot, [lighter, n) < pivot */
    for (int i = first; i < lighter;) {
      if (weights[i] > pivot) {
        above += count ? 1 : weights[i];
        swap(&weights[i++], &weights[heavier++]);
      } else if (weights[i] < pivot) {
        swap(&weights[i], &weights[--lighter]);
      } else {
        equal += count ? 1 : pivot;
        i++;
      }
    }
    if (above >= missing) {
      n = heavier;
    } else if (above + equal >= missing) {
      uint64_t each = count ? 1 : pivot;
      return (Cut){pivot, (int)((missing - above + each - 1) / each)};
    } else {
      missing -= above + equal, first = lighter;
    }
  }
}

/* Moves what the cut keeps to the front; returns how many, and in *sum their sum. */
static int keep(uint64_t *weights, int n, Cut cut, uint64_t *sum) {
  int kept = 0;
  *sum = 0;
  for (int i = 0; i < n; i++)
    if (weights[i] > cut.bound || (weights[i] == cut.bound && cut.equals-- > 0)) *sum += weights[kept++] = weights[i];
  return kept;
}

static int32_t first_equal(const float *logits, float max) {
  int32_t i = 0;
  while (logits[i] != max) i++;
  return i;
}

int32_t DMS_KERNEL(dms_sample)(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab,
                               uint64_t *scratch) {
  gboolean nan;
  float max = largest_logit(logits, vocab, &nan);
  if (nan || isinf(max)) return DMS_TOKEN_INVALID;
  if (sampler->temperature == 0) return first_equal(logits, max);

  uint64_t *weights = scratch, *candidates = scratch + vocab, sum = 0;
  float scale = dms_weight_scale(sampler->temperature);
  for (int i = 0; i < vocab; i++) weights[i] = dms_weight(dms_weight_exponent(logits[i], max, scale));
  for (int i = 0; i < vocab; i++) sum += weights[i];

  Cut cut = {0, 0};
  if (sampler->top_k > 0 || sampler->top_p < 1) {
    /* Without top_k, all the weights up to `floor` together are less than what top_p may leave out. */
    uint64_t floor = sampler->top_k > 0 ? 0 : (sum - dms_nucleus_target(sum, sampler->top_p)) / (uint64_t)vocab;
    int n = 0;
    for (int i = 0; i < vocab; i++) {
      candidates[n] = weights[i];
      n += weights[i] > floor;
    }
    if (sampler->top_k > 0 && sampler->top_k < n) {
      cut = cut_heaviest(candidates, n, (uint64_t)sampler->top_k, 0);
      n = keep(candidates, n, cut, &sum);
    }
    if (sampler->top_p < 1) {
      cut = cut_heaviest(candidates, n, 0, dms_nucleus_target(sum, sampler->top_p));
      keep(candidates, n, cut, &sum);
    }
  }

  uint64_t draw = dms_draw(dms_philox(sampler->key, sampler->thread, step), sum), running = 0;
  for (int32_t i = 0; i < vocab; i++)
    if (weights[i] > cut.bound || (weights[i] == cut.bound && cut.equals-- > 0)) {
      running += weights[i];
      if (running > draw) return i;
    }
  return DMS_TOKEN_INVALID; /* not reached: draw < sum */
}
