/* Thread block clusters: a few CTAs that read each other's shared memory. Before Hopper a CTA is its own cluster. */
#pragma once

#include <stdint.h>

__device__ __forceinline__ int cluster_size() {
  uint32_t n = 1;
#if __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(n));
#endif
  return n;
}
__device__ __forceinline__ int cluster_rank() {
  uint32_t rank = 0;
#if __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
  return rank;
}
/* A barrier for all threads of the cluster, after which each sees what the others wrote. */
__device__ __forceinline__ void cluster_sync() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.aligned;\n barrier.cluster.wait.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}
/* Where CTA `rank` keeps what this one keeps at `mine`, in shared memory. */
template <typename T> __device__ __forceinline__ const T &of_rank(const T &mine, int rank) {
#if __CUDA_ARCH__ >= 900
  uint64_t address;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(address) : "l"(&mine), "r"(rank));
  return *reinterpret_cast<const T *>(address);
#else
  return mine;
#endif
}
