/* Sampling that gives equal tokens for equal logits on every backend.
 *
 * Float sums depend on their order; so a probability is turned into an integer weight first, and from then on every
 * sum is exact and order-free: on one core, on vector units or across a GPU block. C and CUDA compile the same
 * inline functions below.
 *
 *   weight(i) = round(2^40 * exp2((logit[i] - max) * log2(e) / temperature)), 0 below 2^-40 of the most likely token
 *   kept      = all, cut to the top_k heaviest, then to the smallest set whose weight reaches ceil(top_p * total of
 *               what top_k left); heavier first, the lower id first among equals (Hugging Face's order: temperature,
 *               top-k, top-p)
 *   token     = the first kept id, in id order, at which the running sum of kept weights exceeds floor(u * sum / 2^64),
 *               u = 64 bits of Philox 4x32-10 with key = seed path and counter = (step, thread)
 *
 * Temperature 0 is the largest logit, the lowest id among equals. A NaN or an infinite maximum is no token:
 * DMS_TOKEN_INVALID. */
#ifndef DMS_SAMPLING_H
#define DMS_SAMPLING_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define DMS_INLINE static __host__ __device__ __forceinline__
#else
#define DMS_INLINE static inline
#endif

/* A sequence's sampler: what is the same for all its steps. */
typedef struct {
  float temperature, top_p;
  int32_t top_k;
  uint32_t thread;
  uint64_t key; /* dms_seed_key() */
} DmsSampler;

enum { DMS_TOKEN_INVALID = -2 }; /* the logits were not numbers */

/* Philox 4x32-10 (Salmon et al., SC 2011): 64 random bits for one thread's step. */
DMS_INLINE uint64_t dms_philox(uint64_t key, uint32_t thread, uint32_t step) {
  uint32_t c0 = step, c1 = 0, c2 = thread, c3 = 0, k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1, c3 = (uint32_t)p0, c0 = n0, c2 = n2;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return (uint64_t)c1 << 32 | c0;
}

/* round(2^40 * 2^x) for x <= 0, by fused multiply-adds only, so that every IEEE machine gets the same integer: as the
 * product of what is returned and `factor`. Without branches and in 32 bits, for vectors' sake. */
DMS_INLINE uint32_t dms_weight_factors(float x, uint32_t *factor) {
  const float whole = 12582912.0f; /* 1.5 * 2^23: floats of its size are whole numbers, so adding it rounds */
  const float one = 33554432.0f;   /* 2^25 */
  uint32_t bits, whole_bits;
  x = x > -41.0f ? x : -42.0f;                               /* whose weight is 0 */
  float shifted = x + whole, n = shifted - whole, f = x - n; /* 2^x = 2^n * 2^f, f in [-1/2, 1/2], both exact */
  float p = one * 1.535336188319500e-4f; /* minimax polynomial of 2^f there, relative error below 1e-7, times 2^25 */
  p = fmaf(p, f, one * 1.339887440266574e-3f);
  p = fmaf(p, f, one * 9.618437357674640e-3f);
  p = fmaf(p, f, one * 5.550332471162809e-2f);
  p = fmaf(p, f, one * 2.402264791363012e-1f);
  p = fmaf(p, f, one * 6.931472028550421e-1f);
  p = fmaf(p, f, one);
  memcpy(&bits, &shifted, sizeof bits), memcpy(&whole_bits, &whole, sizeof whole_bits);
  int32_t up = (int32_t)(bits - whole_bits) + 16; /* half of p times 2^up is the weight */
  uint32_t left = up > 0 ? up : 0, right = left - (uint32_t)up, twice = (uint32_t)p; /* p is even, of at most 26 bits */
  *factor = 1u << left;
  return ((twice >> right) + 1) >> 1; /* rounds as p / 2 / 2^right + 1/2 does, downwards */
}
DMS_INLINE uint64_t dms_weight(float x) {
  uint32_t factor, weight = dms_weight_factors(x, &factor);
  return (uint64_t)weight * factor;
}

/* The exponent that dms_weight() takes. `scale` is dms_weight_scale(temperature), the same on every backend. */
DMS_INLINE float dms_weight_exponent(float logit, float max, float scale) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(logit - max, scale); /* not to be fused with what it is added to */
#else
  return (logit - max) * scale;
#endif
}
DMS_INLINE float dms_weight_scale(float temperature) {
  return fminf(1.44269504088896341f / temperature, 3.0e38f);
}

/* The smallest kept sum that satisfies top_p, at least 1. */
DMS_INLINE uint64_t dms_nucleus_target(uint64_t total, float top_p) {
  if (!(top_p < 1.0f)) return total;
  double exact = (double)top_p * (double)total;
  uint64_t target = (uint64_t)exact;
  if ((double)target < exact) target++;
  return target < 1 ? 1 : target > total ? total : target;
}

/* floor(random * sum / 2^64): where the draw falls, in [0, sum). */
DMS_INLINE uint64_t dms_draw(uint64_t random, uint64_t sum) {
#ifdef __CUDA_ARCH__
  return __umul64hi(random, sum);
#else
  return (uint64_t)(((unsigned __int128)random * sum) >> 64);
#endif
}

#ifndef __CUDACC__
/* The token for step `step` from `logits` [vocab], or DMS_TOKEN_INVALID. `scratch` [2 * vocab]. */
int32_t dms_sample(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab, uint64_t *scratch);
/* The generator's key of a seed path: the first 8 bytes, little endian, of SHA-256 over the seed and the two
 * strings. */
uint64_t dms_seed_key(uint64_t seed, const char *task, const char *problem);
#endif

#endif
