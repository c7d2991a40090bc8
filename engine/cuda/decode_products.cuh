/* What the tensor cores do with 16 items of a page in decode attention, by the type of the cache: scores
 * S^T = K Q^T, then O^T = V^T P^T, with items or channels as the 16 rows and up to 8 query heads as the 8 columns. */
#pragma once

#include "engine/cuda/tensor_core.cuh"

/* A page in shared memory; where it has scales they arrive with its keys. */
template <int D, typename P> struct Tile { P keys[DMS_CUDA_PAGE * D], values[DMS_CUDA_PAGE * D]; };
template <int D> struct Tile<D, e4m3> {
  char unused[DMS_CUDA_PAGE_HEAD - kScaleBytes];
  float scales[kScaleBytes / sizeof(float)]; /* K, V, unused */
  e4m3 keys[DMS_CUDA_PAGE * D], values[DMS_CUDA_PAGE * D];
};

/* What its K (0) or V (1) is to be multiplied by. */
template <int D, typename P> __device__ __forceinline__ float scale_in(const Tile<D, P> &tile, int is_value) {
  if constexpr (sizeof(P) == 1)
    return tile.scales[is_value];
  else
    return 1;
}

__device__ __forceinline__ void rescale(float *sum, const float *factor) {
  sum[0] *= factor[0], sum[1] *= factor[1], sum[2] *= factor[0], sum[3] *= factor[1];
}

/* bf16 by ldmatrix. e4m3 becomes halves on the way from shared memory to registers, in whatever order of channels makes
 * that cheap: a lane holds four neighbouring channels of K, and the query's in the same order; of V it gets pairs of
 * channels, of which one goes to the upper eight rows of the product and one to the lower. */
template <int D, typename P> struct Products;

template <int D> struct Products<D, bf16> {
  static constexpr float kUnit = 1; /* of keys and values as they are multiplied */
  uint32_t query[D / 16][2];

  /* Of query head `head` of the group; NULL: none. */
  __device__ void load_query(const bf16 *head) {
#pragma unroll
    for (int k = 0; k < D / 16; k++)
      for (int j = 0; j < 2; j++)
        query[k][j] = head ? *reinterpret_cast<const uint32_t *>(head + 16 * k + 8 * j + threadIdx.x % 4 * 2) : 0;
  }
  __device__ __forceinline__ void score(const Tile<D, bf16> &tile, int first, float *s) const {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint32_t a[4];
      load_matrices(a, tile.keys + page_offset<bf16>(first + (lane / 8 & 1) * 8 + lane % 8, 16 * k + lane / 16 * 8, D));
      multiply(s, a, query[k]);
    }
  }
  /* What the softmax makes of a score, in units of its own. */
  __device__ static float weight_of(float x) {
    return exp2f(x);
  }
  __device__ __forceinline__ static void add_values(const Tile<D, bf16> &tile, int first, const float *p,
                                                    const float *factor, float (*sum)[4]) {
    int lane = threadIdx.x % 32;
    uint32_t b[2] = {transpose(pack(p[0], p[1])), transpose(pack(p[2], p[3]))};
#pragma unroll
    for (int d = 0; d < D / 16; d++) {
      uint32_t a[4];
      load_matrices_transposed(
          a, tile.values + page_offset<bf16>(first + lane / 16 * 8 + lane % 8, 16 * d + (lane / 8 & 1) * 8, D));
      rescale(sum[d], factor);
      multiply(sum[d], a, b);
    }
  }
  /* The channel that element i of a lane's sum[d] belongs to. */
  __device__ static int channel(int d, int i) {
    return 16 * d + threadIdx.x % 32 / 4 + (i & 2) * 4;
  }
};

template <int D> struct Products<D, e4m3> {
  static constexpr float kUnit = kHalvesUnit;
  enum { kChunks = D / 64 }; /* of 16 channels, in each of four lanes */
  uint32_t query[D / 16][2];

  __device__ void load_query(const bf16 *head) {
#pragma unroll
    for (int k = 0; k < D / 16; k++)
      for (int j = 0; j < 2; j++) {
        int channel = 16 * (threadIdx.x % 4 * kChunks + k / 4) + k % 4 * 4 + 2 * j;
        if (head) {
          float2 pair = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(head + channel));
          query[k][j] = pack_halves(pair.x, pair.y);
        } else {
          query[k][j] = 0;
        }
      }
  }
  __device__ __forceinline__ void score(const Tile<D, e4m3> &tile, int first, float *s) const {
    int lane = threadIdx.x % 32, row = first + lane / 4;
#pragma unroll
    for (int chunk = 0; chunk < kChunks; chunk++) {
      int dim = 16 * (lane % 4 * kChunks + chunk);
      uint32_t low[4], high[4];
      *reinterpret_cast<uint4 *>(low) = *reinterpret_cast<const uint4 *>(tile.keys + page_offset<e4m3>(row, dim, D));
      *reinterpret_cast<uint4 *>(high) =
          *reinterpret_cast<const uint4 *>(tile.keys + page_offset<e4m3>(row + 8, dim, D));
#pragma unroll
      for (int k = 0; k < 4; k++) {
        uint32_t a[4];
        to_halves(low[k], a[0], a[2]), to_halves(high[k], a[1], a[3]);
        multiply_halves(s, a, query[4 * chunk + k]);
      }
    }
  }
  /* 2^15 times as much: small weights stay normal halves, and that of the highest score still is one. */
  __device__ static float weight_of(float x) {
    return exp2f(x + 15);
  }
  __device__ __forceinline__ static void add_values(const Tile<D, e4m3> &tile, int first, const float *p,
                                                    const float *factor, float (*sum)[4]) {
    int lane = threadIdx.x % 32;
    uint32_t b[2] = {transpose(pack_halves(p[0], p[1])), transpose(pack_halves(p[2], p[3]))};
#pragma unroll
    for (int d = 0; d < D / 16; d += 2) {
      uint32_t r[4]; /* items 0-7 and 8-15 of 16 channels, then of the next 16 */
      load_matrices_transposed(
          r, tile.values + page_offset<e4m3>(first + (lane / 8 & 1) * 8 + lane % 8, 16 * (d + lane / 16), D));
#pragma unroll
      for (int i = 0; i < 2; i++) {
        uint32_t a[4];
        to_halves(__byte_perm(r[2 * i], 0, 0x3120), a[0], a[1]);
        to_halves(__byte_perm(r[2 * i + 1], 0, 0x3120), a[2], a[3]);
        rescale(sum[d + i], factor);
        multiply_halves(sum[d + i], a, b);
      }
    }
  }
  __device__ static int channel(int d, int i) {
    return 16 * d + threadIdx.x % 32 / 4 * 2 + i / 2;
  }
};
