/* Elements, warp sums and the layout of a page: what several kernel files share. */
#pragma once

#include "engine/cuda/kernels.h"

#include <cuda_bf16.h>

typedef __nv_bfloat16 bf16;

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(bf16 x) {
  return __bfloat162float(x);
}
template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16(x);
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

/* Where channel `dim` of row `row` lies within a page's K or V, in elements. bf16 rows of 64 and 128 channels have
 * their 16-byte chunks permuted by the row, so that ldmatrix finds eight rows in eight different banks. */
template <typename T> __device__ __forceinline__ int page_offset(int row, int dim, int head_dim) {
  if (sizeof(T) == 2 && (head_dim == 64 || head_dim == 128)) dim ^= (row & 7) << 3;
  return row * head_dim + dim;
}

/* K of an item; V lies DMS_CUDA_PAGE * head_dim elements further. */
template <typename T> __device__ __forceinline__ T *page_base(const DmsCudaCache &cache, int page) {
  return reinterpret_cast<T *>(cache.pool + (size_t)page * cache.page_bytes);
}

/* ---- Overlap of a step's kernels (programmatic dependent launch) ----
 *
 * A kernel that launch() queues may start while the one before it runs. It waits here before it reads what that one
 * wrote, and only after that does it let the next start; so when a kernel begins, all but its predecessor have ended:
 * it may fetch weights and plans before it waits. */
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

/* Whether this process's device is Hopper or newer. */
static inline bool overlaps() {
  static int major = 0;
  int device;
  if (!major && (cudaGetDevice(&device) != cudaSuccess ||
                 cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess))
    return false;
  return major >= 9;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(cudaStream_t stream, dim3 grid, int threads, size_t shared, void (*kernel)(Parameters...),
                   Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid, config.blockDim = dim3(threads), config.dynamicSmemBytes = shared, config.stream = stream;
  config.attrs = &attribute, config.numAttrs = overlaps();
  return cudaLaunchKernelEx(&config, kernel, (Parameters)arguments...);
}

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
