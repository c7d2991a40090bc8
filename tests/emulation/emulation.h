/* Runs CUDA kernels on the CPU, thread by thread, for tests where there is no GPU: those that are made of element.cuh
 * and of what engine/cuda's tensor_core.cuh, warpgroup.cuh, cluster.cuh and cooperative.cuh name, for which
 * tests/emulation has headers of the same names.
 *
 * Every CUDA thread is a fiber. Warps take turns in an order drawn anew each round, and now and then fall behind.
 * Values that CTAs hand to each other, arrivals at their barriers and copies into shared memory come late and out of
 * order; until a copy has come NaNs lie in its place, and shared memory begins with noise. Tensor cores read their
 * operands as late as they may. So what holds here does not hold by luck; but data races proper and the memory model
 * are not emulated. Included before any header of the engine. */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#undef __device__
#undef __global__
#undef __host__
#undef __forceinline__
#undef __launch_bounds__
#undef __grid_constant__
#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

/* ---- What a thread sees ---- */

struct EmulatedIndex {
  int x;
};
extern EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;

void emulated_yield();                                /* lets others run */
void emulated_barrier(int name, int threads);         /* of a CTA; __syncthreads() is number 0 */
void emulated_cluster_barrier();                      /* of all threads of the cluster */
void emulated_warp_barrier();                         /* of the 32 threads of a warp */
uint64_t emulated_shuffle(uint64_t x, int lane);      /* lane's x; the whole warp calls it */
void emulated_store(void *to, uint32_t x);            /* seen by others some time later */
void emulated_later(std::function<void()> action);    /* done some time later */
void emulated_in_order(std::function<void()> action); /* the same, after those that this thread had done in order */
uint32_t *emulated_warp_scratch();                    /* [32][8] */
int emulated_thread();                                /* among all of the grid */
void emulated_wait_for_previous();                    /* until the kernel before has ended */
int emulated_rank();                                  /* of the CTA in its cluster */
[[noreturn]] void emulated_fail(const char *what);    /* says who did it, and aborts */

/* ---- Shared memory: a CTA's begins with what the kernel declares, the cluster's lies together ---- */

enum { EMULATED_CTA_BYTES = 256 << 10, EMULATED_STATIC_BYTES = 47 * 128 /* no multiple of 1,024 */ };
char *emulated_shared();                              /* this CTA's */
uint32_t emulated_address(const void *place);         /* in the cluster */
char *emulated_place(uint32_t address, size_t bytes); /* the reverse; all of it exists, in a CTA that has not exited */
void emulated_check(const void *place, size_t bytes); /* the same of a place in any cluster */
void emulated_spoil(void *place, size_t bytes);       /* NaNs until a copy has come */

/* mbarriers: of the running CTA; those that are counted may be any CTA's. */
void emulated_mbarrier_init(uint64_t *barrier, int arrivals);
void emulated_mbarrier_count(uint64_t *barrier, int arrivals, int bytes); /* that are to come; have come: negative */
void emulated_mbarrier_wait(const uint64_t *barrier, uint32_t parity);

using std::max;
using std::min;

#define __syncthreads() emulated_barrier(0, blockDim.x)
#define __syncwarp() emulated_warp_barrier()

template <typename T> T emulated_lane(T x, int lane) {
  uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof x);
  bits = emulated_shuffle(bits, lane);
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
template <typename T> T __shfl_xor_sync(unsigned, T x, int offset) {
  return emulated_lane(x, threadIdx.x % 32 ^ offset);
}
template <typename T> T __shfl_sync(unsigned, T x, int lane) {
  return emulated_lane(x, lane);
}
template <typename T> T __shfl_up_sync(unsigned, T x, int offset) {
  return emulated_lane(x, max((int)threadIdx.x % 32 - offset, 0));
}
inline uint32_t __reduce_max_sync(unsigned, uint32_t x) {
  for (int offset = 16; offset; offset >>= 1) x = max(x, __shfl_xor_sync(~0u, x, offset));
  return x;
}
inline uint32_t __float_as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t bytes = (uint64_t)b << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) result |= (uint32_t)(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return result;
}
inline float rsqrtf(float x) {
  return 1 / std::sqrt(x);
}
inline float __fdividef(float x, float y) {
  return x / y;
}
inline float __expf(float x) {
  return std::exp(x);
}
template <typename T> T __ldg(const T *at) {
  return *at;
}
template <typename T> T __ldcg(const T *at) {
  return *at;
}
inline void __nanosleep(int) {
  emulated_yield();
}

/* ---- For the test ---- */

/* Runs `thread` as every thread of `grid` CTAs, in clusters of `ranks`, until all have returned. Aborts when they wait
 * for each other in vain. */
void emulate(int grid, int threads, size_t shared_bytes, const std::function<void()> &thread, int ranks = 1);
/* Of the next emulate(): the kernel before it ends some time after this one has begun, and has then done `end`. */
void emulated_overlap(std::function<void()> end);
/* What the emulated device says of itself. */
extern int emulated_processors, emulated_shared_bytes;
/* The draw of all orders and of the tests' numbers. */
uint32_t emulated_random();
void emulated_seed(uint32_t seed);

/* ---- For emulation.cc and shared_memory.cc ---- */

void emulated_shared_begin(int grid, int ranks, size_t bytes); /* noise */
bool emulated_exited(int cta);
bool emulated_mbarrier_done(const uint64_t *barrier, uint32_t parity);
void emulated_mbarrier_await(const uint64_t *barrier, uint32_t parity); /* lets others run until it is done */
