/* Thread block clusters: a few CTAs that reach into each other's shared memory. Before Hopper a CTA is its own
 * cluster. */
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
/* A barrier for all threads of the cluster, in two halves: what a thread wrote before it arrived, all see that have
 * waited. */
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
#endif
}
/* The same for who has written nothing but mbarriers, behind barrier_init_fence(): it waits for no memory. */
__device__ __forceinline__ void cluster_arrive_relaxed() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
/* Where CTA `rank` keeps what this one keeps at `mine`, in shared memory. */
template <typename T> __device__ __forceinline__ T &of_rank(T &mine, int rank) {
#if __CUDA_ARCH__ >= 900
  uint64_t address;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(address) : "l"(&mine), "r"(rank));
  return *reinterpret_cast<T *>(address);
#else
  return mine;
#endif
}

/* A warp's part in what a CTA does for every CTA of the cluster: it serves `rank`, and its lanes are the threads
 * thread .. thread + 31 of the `threads` that do. There are no fewer warps than CTAs, both powers of two. */
struct RankShare {
  int rank, thread, threads;
};
__device__ __forceinline__ RankShare rank_share() {
  int warp = threadIdx.x / 32, ranks = cluster_size();
  return {warp % ranks, warp / ranks * 32 + (int)threadIdx.x % 32, (int)blockDim.x / ranks};
}
/* Copies the first `bytes`, a multiple of 16, of `mine` to the same place in the other CTAs' shared memory, where they
 * see it after the next cluster_sync(). */
template <typename T> __device__ __forceinline__ void publish(T &mine, int bytes) {
  RankShare share = rank_share();
  if (share.rank == cluster_rank()) return;
  const uint4 *from = reinterpret_cast<const uint4 *>(&mine);
  uint4 *to = reinterpret_cast<uint4 *>(&of_rank(mine, share.rank));
  for (int i = share.thread; i < bytes / 16; i += share.threads) to[i] = from[i];
}

/* The same with addresses of 32 bits, which are faster. */
__device__ __forceinline__ uint32_t address_at(const void *mine, int rank) {
  uint32_t address = (uint32_t)__cvta_generic_to_shared(mine);
#if __CUDA_ARCH__ >= 900
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(address), "r"(rank));
#endif
  return address;
}
