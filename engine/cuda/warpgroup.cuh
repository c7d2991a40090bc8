/* The instructions of Hopper's warpgroups: products of tiles in shared memory (wgmma), copies of boxes of a tensor into
 * it (TMA), barriers of other CTAs. They exist for sm_90a alone: what uses them is compiled under DMS_WARPGROUPS. */
#pragma once

#include "engine/cuda/tensor_core.cuh"

#include <cudaTypedefs.h>

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define DMS_WARPGROUPS 1

/* Describes a tile of rows of 64 bf16, 128 bytes each, as TMA's 128-byte swizzle lays them out: groups of 8 rows are
 * 1,024 bytes apart, which its address is a multiple of. 16 columns further is 32 bytes, 2 in units of the descriptor.
 */
__device__ __forceinline__ uint64_t describe_tile(const void *tile) {
  const uint64_t kSwizzle128 = (uint64_t)1 << 62, kGroupDistance = (uint64_t)(1024 >> 4) << 32;
  return kSwizzle128 | kGroupDistance | (uint64_t)1 << 16 | (shared_address(tile) & 0x3FFFF) >> 4;
}

/* d [64][columns] += a [64][16] b [columns][16]; a warpgroup calls it, d is ready after wait_for_products(). A product
 * of `sums` floats a thread has operands a and b behind them. */
#define MULTIPLY_TILES(columns, sums, after)                                                                           \
  __device__ __forceinline__ void multiply_tiles(float (&d)[sums], uint64_t a, uint64_t b) {                           \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" NAMES_##sums "}, %" #sums          \
                 ", %" #after ", 1, 1, 1, 0, 0;"                                                                       \
                 : SUMS_##sums                                                                                         \
                 : "l"(a), "l"(b));                                                                                    \
  }
#define EIGHT_SUMS(i)                                                                                                  \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]),          \
      "+f"(d[i + 7])
#define NAMES_8 "%0,%1,%2,%3,%4,%5,%6,%7"
#define NAMES_16 NAMES_8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define NAMES_24 NAMES_16 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define NAMES_32 NAMES_24 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES_40 NAMES_32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define NAMES_48 NAMES_40 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define NAMES_56 NAMES_48 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define NAMES_64 NAMES_56 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define NAMES_72 NAMES_64 ",%64,%65,%66,%67,%68,%69,%70,%71"
#define NAMES_80 NAMES_72 ",%72,%73,%74,%75,%76,%77,%78,%79"
#define NAMES_88 NAMES_80 ",%80,%81,%82,%83,%84,%85,%86,%87"
#define NAMES_96 NAMES_88 ",%88,%89,%90,%91,%92,%93,%94,%95"
#define SUMS_8 EIGHT_SUMS(0)
#define SUMS_16 SUMS_8, EIGHT_SUMS(8)
#define SUMS_24 SUMS_16, EIGHT_SUMS(16)
#define SUMS_32 SUMS_24, EIGHT_SUMS(24)
#define SUMS_40 SUMS_32, EIGHT_SUMS(32)
#define SUMS_48 SUMS_40, EIGHT_SUMS(40)
#define SUMS_56 SUMS_48, EIGHT_SUMS(48)
#define SUMS_64 SUMS_56, EIGHT_SUMS(56)
#define SUMS_72 SUMS_64, EIGHT_SUMS(64)
#define SUMS_80 SUMS_72, EIGHT_SUMS(72)
#define SUMS_88 SUMS_80, EIGHT_SUMS(80)
#define SUMS_96 SUMS_88, EIGHT_SUMS(88)
MULTIPLY_TILES(16, 8, 9)
MULTIPLY_TILES(32, 16, 17)
MULTIPLY_TILES(64, 32, 33)
MULTIPLY_TILES(96, 48, 49)
MULTIPLY_TILES(112, 56, 57)
MULTIPLY_TILES(128, 64, 65)
MULTIPLY_TILES(144, 72, 73)
MULTIPLY_TILES(160, 80, 81)
MULTIPLY_TILES(176, 88, 89)
MULTIPLY_TILES(192, 96, 97)
__device__ __forceinline__ void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void end_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* Until all products are done but those that the last `kOpen` end_products() ended. */
template <int kOpen> __device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kOpen) : "memory");
}

/* An arrival at the same barrier of CTA `rank` of the cluster. */
__device__ __forceinline__ void barrier_arrive_at(uint64_t *barrier, int rank) {
  asm volatile("{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; "
               "mbarrier.arrive.shared::cluster.b64 _, [there]; }" ::"r"(shared_address(barrier)),
               "r"(rank)
               : "memory");
}
/* Two floats into the shared memory of a CTA of the cluster; their 8 bytes arrive at its barrier. Both addresses are
 * address_at()'s. */
__device__ __forceinline__ void store_async(uint32_t to, float x, float y, uint32_t barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to),
               "f"(x), "f"(y), "r"(barrier)
               : "memory");
}
/* Waits, and sees what other CTAs of the cluster have stored. */
__device__ __forceinline__ void barrier_acquire(uint64_t *barrier, uint32_t phase) {
  uint32_t done;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2; "
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(phase)
                 : "memory");
  } while (!done);
}

/* The map's box at (k, row) into shared memory; its bytes arrive at `barrier`. What lies outside is zero. */
__device__ __forceinline__ void copy_box(void *to, const CUtensorMap *map, int k, int row, uint64_t *barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
               "[%4];" ::"r"(shared_address(to)),
               "l"(map), "r"(k), "r"(row), "r"(shared_address(barrier))
               : "memory");
}
/* The same into the CTAs of the cluster that `mask` names, at the same place and barrier in each. */
__device__ __forceinline__ void copy_box_to_cluster(void *to, const CUtensorMap *map, int k, int row, uint64_t *barrier,
                                                    uint16_t mask) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
               "[%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(to)),
               "l"(map), "r"(k), "r"(row), "r"(shared_address(barrier)), "h"(mask)
               : "memory");
}
/* The same of what is read once, of a map with four dimensions: (k, row of 8, 0, group). */
__device__ __forceinline__ void copy_groups_once(void *to, const CUtensorMap *map, int k, int group, uint64_t *barrier,
                                                 uint64_t policy) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, "
               "{%2, %3, %3, %4}], [%5], %6;" ::"r"(shared_address(to)),
               "l"(map), "r"(k), "r"(0), "r"(group), "r"(shared_address(barrier)), "l"(policy)
               : "memory");
}
__device__ __forceinline__ void prefetch_map(const CUtensorMap *map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/* Between what threads did to memory, device and shared, and what the copy engine does. Named one by one: the fence of
 * all kinds waits for the whole device. */
__device__ __forceinline__ void proxy_fence() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
  fence_before_copies();
}

/* Counters by which CTAs of a grid tell each other that they have written. */
__device__ __forceinline__ void count_arrival(int32_t *counter) {
  asm volatile("red.release.gpu.global.add.s32 [%0], 1;" ::"l"(counter) : "memory");
}
__device__ __forceinline__ int32_t load_acquire(const int32_t *counter) {
  int32_t n;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(n) : "l"(counter) : "memory");
  return n;
}
#endif
