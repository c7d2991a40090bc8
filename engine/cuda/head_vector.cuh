/* A query, key or value of one head, held by a warp: what is done to it between the qkv product and the cache. */
#pragma once

#include "engine/cuda/element.cuh"

enum { kPairs = DMS_CUDA_MAX_HEAD_DIM / 64 }; /* rotated pairs a lane at most */

/* A warp's head vector: lane l holds the pairs (i, i + dim / 2) of i = l, l + 32, ... */
template <typename T> struct HeadVector {
  float low[kPairs], high[kPairs];

  __device__ void load(const T *from, int half) {
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      int i = threadIdx.x % 32 + 32 * p;
      low[p] = i < half ? to_float(from[i]) : 0, high[p] = i < half ? to_float(from[i + half]) : 0;
    }
  }
  __device__ void norm(const float *weight, float eps, int half) {
    float sum = 0;
#pragma unroll
    for (int p = 0; p < kPairs; p++) sum += low[p] * low[p] + high[p] * high[p];
    float factor = rsqrtf(warp_sum(sum) / (2 * half) + eps);
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      int i = threadIdx.x % 32 + 32 * p;
      if (i < half) low[p] *= factor * weight[i], high[p] *= factor * weight[i + half];
    }
  }
  __device__ void rotate(const float2 *table, int half) {
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      int i = threadIdx.x % 32 + 32 * p;
      if (i >= half) continue;
      float2 t = table[i];
      float a = low[p] * t.x - high[p] * t.y;
      high[p] = high[p] * t.x + low[p] * t.y, low[p] = a;
    }
  }
  /* The last channel: held by one lane. */
  __device__ float last(int half) const {
    float x = 0;
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      if (p == (half - 1) / 32) x = high[p];
    return __shfl_sync(~0u, x, (half - 1) % 32);
  }
  __device__ void clear_last(int half) {
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      if (p == (half - 1) / 32 && threadIdx.x % 32 == (half - 1) % 32) high[p] = 0;
  }
  __device__ void store(T *to, int half) const {
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      int i = threadIdx.x % 32 + 32 * p;
      if (i < half) to[i] = from_float<T>(low[p]), to[i + half] = from_float<T>(high[p]);
    }
  }
  /* Into row `row` of a page's K or V, divided by `scale`. */
  template <typename P> __device__ void store_item(P *rows, int row, float scale, int half) const {
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      int i = threadIdx.x % 32 + 32 * p;
      if (i >= half) continue;
      rows[page_offset<P>(row, i, 2 * half)] = from_float<P>(low[p] / scale);
      rows[page_offset<P>(row, i + half, 2 * half)] = from_float<P>(high[p] / scale);
    }
  }
  /* To what it will be in T: an item is the same in e4m3 whether a prompt or a step brings it. */
  __device__ void round() {
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      low[p] = to_float(from_float<T>(low[p])), high[p] = to_float(from_float<T>(high[p]));
  }
  __device__ uint32_t largest_bits() const {
    uint32_t bits = 0;
#pragma unroll
    for (int p = 0; p < kPairs; p++) bits = max(bits, max(magnitude_bits(low[p]), magnitude_bits(high[p])));
    return __reduce_max_sync(~0u, bits);
  }
};
