/* Elements, warp sums and the layout of a page: what several kernel files share. */
#pragma once

#include "engine/cuda/kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp8.h>

typedef __nv_bfloat16 bf16;
typedef __nv_fp8_e4m3 e4m3;

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(bf16 x) {
  return __bfloat162float(x);
}
/* Not NaN: e4m3 pages tell that by their scale. The bits are those of a half, 256 times smaller. */
__device__ __forceinline__ float to_float(e4m3 x) {
  uint32_t bits = x.__x;
  return __half2float(__ushort_as_half((bits & 0x80) << 8 | (bits & 0x7F) << 7)) * 256;
}
template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16(x);
}
template <> __device__ __forceinline__ e4m3 from_float<e4m3>(float x) {
  e4m3 y;
  y.__x = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
  return y;
}

__device__ __forceinline__ float warp_sum(float x) {
  for (int offset = 16; offset; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}

/* The sum over a block of up to 1024 threads, for all of them. `shared` has room for 32 floats. */
__device__ __forceinline__ float block_sum(float x, float *shared) {
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : 0;
  x = warp_sum(x);
  __syncthreads();
  return x;
}

/* By the fast division and exponential, as they are at the end of own products. */
__device__ __forceinline__ float swiglu(float gate, float up) {
  return __fdividef(gate, 1.0f + __expf(-gate)) * up;
}

/* Below every score of attention, and finite, so that differences are numbers. */
constexpr float kNothing = -1e30f;

/* Inclusive sum over a block of 1024 threads. `shared` has room for 32. */
__device__ __forceinline__ int block_scan(int x, int *shared) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int offset = 1; offset < 32; offset <<= 1) {
    int other = __shfl_up_sync(~0u, x, offset);
    if (lane >= offset) x += other;
  }
  if (lane == 31) shared[warp] = x;
  __syncthreads();
  if (warp == 0) {
    int sum = lane < blockDim.x / 32 ? shared[lane] : 0;
    for (int offset = 1; offset < 32; offset <<= 1) {
      int other = __shfl_up_sync(~0u, sum, offset);
      if (lane >= offset) sum += other;
    }
    shared[lane] = sum;
  }
  __syncthreads();
  if (warp) x += shared[warp - 1];
  return x;
}

/* Where channel `dim` of row `row` lies within a page's K or V, in elements. Rows of 64 and 128 channels of the tensor
 * cores' types have their 16-byte chunks permuted by the row, so that ldmatrix finds eight rows in eight different
 * banks. */
template <typename T> __device__ __forceinline__ int page_offset(int row, int dim, int head_dim) {
  if (sizeof(T) == 2 && (head_dim == 64 || head_dim == 128)) dim ^= (row & 7) << 3;
  if (sizeof(T) == 1 && head_dim == 128) dim ^= (row & 7) << 4;
  if (sizeof(T) == 1 && head_dim == 64) dim ^= (row >> 1 & 3) << 4;
  return row * head_dim + dim;
}

template <typename T> constexpr int kPageHead = sizeof(T) == 1 ? DMS_CUDA_PAGE_HEAD : 0;
enum { kScaleBytes = 16 };

/* K of a page; V lies DMS_CUDA_PAGE * head_dim elements further. */
template <typename T> __device__ __forceinline__ T *page_base(const DmsCudaCache &cache, int page) {
  return reinterpret_cast<T *>(cache.pool + (size_t)page * cache.page_bytes + kPageHead<T>);
}

/* The pages of a list, in order. */
__device__ __forceinline__ const int32_t *table_of(const DmsCudaCache &cache, int slot, int layer, int head) {
  return cache.table + (((size_t)slot * cache.layers + layer) * cache.kv_heads + head) * cache.max_pages;
}
/* The page that the arriving item lies in. */
__device__ __forceinline__ int arriving_page(const DmsCudaCache &cache, const DmsCudaList &list, int layer, int head) {
  return table_of(cache, list.slot, layer, head)[list.arriving / DMS_CUDA_PAGE];
}
/* Whether the arriving item is the first of 16 rows of its page: what lies behind it is of another list. */
__device__ __forceinline__ bool begins_rows(const DmsCudaList &list) {
  return list.arriving % 16 == 0 && list.arriving == list.length - 1;
}

/* ---- Scales of e4m3 pages ----
 *
 * A page belongs to one (sequence, layer, KV head), so its two scales are by page and head. They are powers of two that
 * leave a factor of at least 14 between the largest value seen and the largest that e4m3 holds: a page is rescaled only
 * when a later item exceeds that, and what rescaling costs is no more than the last bits of values 2^10 times smaller
 * than the largest. A page that a value has reached which is not finite has the scale NaN, and so has all that is read
 * from it. A scale of 0 means that the page is still empty. */

/* [0] of K, [1] of V. */
__device__ __forceinline__ float *page_scales(const DmsCudaCache &cache, int page) {
  return reinterpret_cast<float *>(cache.pool + (size_t)page * cache.page_bytes + kPageHead<e4m3> - kScaleBytes);
}
__device__ __forceinline__ void clear_page_scales(const DmsCudaCache &cache, int page) {
  if (cache.type != DMS_CUDA_E4M3) return;
  page_scales(cache, page)[0] = 0, page_scales(cache, page)[1] = 0;
}

constexpr float kLargestE4m3 = 448;

__device__ __forceinline__ uint32_t magnitude_bits(float x) {
  return __float_as_uint(x) & 0x7FFFFFFF; /* ordered as the magnitudes are, infinity and NaN above all */
}
/* The scale of a page whose largest magnitude has these bits: what is divided by it lies below 32. */
__device__ __forceinline__ float scale_for(uint32_t largest_bits) {
  if (largest_bits >= 0x7F800000) return __uint_as_float(0x7FC00000);
  int exponent = max((int)(largest_bits >> 23) - 4, 127 - 30);
  return __uint_as_float((uint32_t)exponent << 23);
}
/* The scale that a page of scale `old` needs for an item whose largest magnitude has these bits: its own where that
 * suffices or is NaN, which stays. */
__device__ __forceinline__ float fitting_scale(float old, uint32_t largest_bits) {
  float scale = scale_for(largest_bits);
  return old == 0 || scale != scale || __uint_as_float(largest_bits) > kLargestE4m3 * old ? scale : old;
}
/* Brings `n` elements of a page from one scale to another where that is needed. A warp; returns whether it was. */
__device__ __forceinline__ bool change_scale(e4m3 *elements, int n, float from, float to) {
  if (from == 0 || to != to || to == from) return false;
  uint2 *end = reinterpret_cast<uint2 *>(elements + n);
  for (uint2 *at = reinterpret_cast<uint2 *>(elements) + threadIdx.x % 32; at < end; at += 32) {
    alignas(8) e4m3 eight[8];
    *reinterpret_cast<uint2 *>(eight) = *at;
#pragma unroll
    for (int i = 0; i < 8; i++) eight[i] = from_float<e4m3>(to_float(eight[i]) * (from / to));
    *at = *reinterpret_cast<uint2 *>(eight);
  }
  return true;
}

/* What K (0) or V (1) of a page is to be multiplied by; pages of other types keep values as they are. */
template <typename T> __device__ __forceinline__ float scale_of(const DmsCudaCache &cache, int page, int is_value) {
  return sizeof(T) == 1 ? page_scales(cache, page)[is_value] : 1;
}

/* Zeroes the V rows behind row `last` of a page up to the next multiple of 16, by `threads` threads: the tensor cores
 * multiply these rows by 0, which must give 0 whatever the page held before. */
template <typename P> __device__ void clear_rows_behind(P *values, int last, int head_dim, int thread, int threads) {
  uint2 *from = reinterpret_cast<uint2 *>(values + (last + 1) * head_dim),
        *end = reinterpret_cast<uint2 *>(values + ((last | 15) + 1) * head_dim);
  for (uint2 *at = from + thread; at < end; at += threads) *at = uint2{};
}
template <typename P>
__device__ void clear_values_behind(const DmsCudaCache &cache, int page, int last, int head_dim, int thread,
                                    int threads) {
  clear_rows_behind(page_base<P>(cache, page) + DMS_CUDA_PAGE * head_dim, last, head_dim, thread, threads);
}

/* ---- Overlap of a step's kernels (programmatic dependent launch) ----
 *
 * A kernel that launch() queues may start while the one before it runs. It waits here before it reads what that one
 * wrote or writes what that one reads. Most kernels let the next one start only after that, so that all but its
 * predecessor have ended when it begins. Those that let it start at once, to give it the processors that they leave,
 * stand between products: before it waits a kernel reads weights, which nobody writes, and of a step only what its
 * first kernels wrote, for which the first layer's attention waits. */
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Whether `kernel` was compiled for Hopper or newer: asked of the code and not of the device, which may run code for
 * older ones. All kernels of the library are compiled alike. */
static inline bool overlaps(const void *kernel) {
  static int version = 0;
  cudaFuncAttributes attributes;
  if (!version && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess) version = attributes.ptxVersion;
  return version >= 90;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(cudaStream_t stream, dim3 grid, int threads, size_t shared, void (*kernel)(Parameters...),
                   Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid, config.blockDim = dim3(threads), config.dynamicSmemBytes = shared, config.stream = stream;
  config.attrs = &attribute, config.numAttrs = overlaps((const void *)kernel);
  return cudaLaunchKernelEx(&config, kernel, (Parameters)arguments...);
}

/* T: the model's elements. */
#define DISPATCH_TYPE(type, ...)                                                                                       \
  do {                                                                                                                 \
    if ((type) == DMS_CUDA_F32) {                                                                                      \
      using T = float;                                                                                                 \
      __VA_ARGS__;                                                                                                     \
    } else {                                                                                                           \
      using T = bf16;                                                                                                  \
      __VA_ARGS__;                                                                                                     \
    }                                                                                                                  \
  } while (0)

/* T: the model's elements, P: the cache's. */
#define DISPATCH_CACHE(type, ...)                                                                                      \
  do {                                                                                                                 \
    if ((type) == DMS_CUDA_E4M3) {                                                                                     \
      using T = bf16;                                                                                                  \
      using P = e4m3;                                                                                                  \
      __VA_ARGS__;                                                                                                     \
    } else {                                                                                                           \
      DISPATCH_TYPE(type, using P = T; __VA_ARGS__);                                                                   \
    }                                                                                                                  \
  } while (0)
