/* The instructions that have no name in C: mma.m16n8k16, ldmatrix, mbarriers, copies into shared memory, accesses that
 * other CTAs of the same kernel are to see. What is made of these and of element.cuh alone also runs in the emulation
 * of tests/emulation. */
#pragma once

#include "engine/cuda/element.cuh"

/* threadIdx.x in round `round` of a long loop: what follows from it is worked out in that round, where the compiler
 * would rather do that before the loop and keep it all in registers. */
__device__ __forceinline__ int thread_index(int round) {
  int x;
  asm("mov.u32 %0, %%tid.x; // %1" : "=r"(x) : "r"(round));
  return x;
}

__device__ __forceinline__ uint32_t shared_address(const void *pointer) {
  return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* d [16][8] += a [16][16] b [16][8] */
__device__ __forceinline__ void multiply(float *d, const uint32_t *a, const uint32_t *b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* The same of halves. */
__device__ __forceinline__ void multiply_halves(float *d, const uint32_t *a, const uint32_t *b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four e4m3 elements as halves, kHalvesUnit times smaller: before sm_89 they are the bits of e4m3, shifted. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 890
constexpr float kHalvesUnit = 256;
#else
constexpr float kHalvesUnit = 1;
#endif
__device__ __forceinline__ void to_halves(uint32_t four, uint32_t &low, uint32_t &high) {
#if __CUDA_ARCH__ >= 890
  asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.rn.f16x2.e4m3x2 %0, l; cvt.rn.f16x2.e4m3x2 %1, h; }"
      : "=r"(low), "=r"(high)
      : "r"(four));
#else
  auto shifted = [](uint32_t x) { return (x & 0x80008000) | (x >> 1 & 0x3FFF3FFF); };
  low = shifted(__byte_perm(four, 0, 0x1404)), high = shifted(__byte_perm(four, 0, 0x3424));
#endif
}

/* Four 8x8 matrices, a row of 16 bytes from each lane's address. */
__device__ __forceinline__ void load_matrices(uint32_t *r, const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t *r, const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ uint32_t transpose(uint32_t x) {
  uint32_t y;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
  return y;
}
__device__ __forceinline__ uint32_t pack(float low, float high) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&pair);
}

__device__ __forceinline__ uint32_t pack_halves(float low, float high) {
  __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&pair);
}

/* 2^x in one instruction, as good as a float is. */
__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ void named_barrier(int name, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

/* The kernel's dynamic shared memory. */
__device__ __forceinline__ char *dynamic_shared() {
  extern __shared__ __align__(128) char shared[];
  return shared;
}
/* Beside it, the kernel's one T. */
template <typename T> __device__ __forceinline__ T &static_shared() {
  __shared__ T object;
  return object;
}

/* Past the L1 cache, so that CTAs of one kernel see each other's values; each float for itself. */
__device__ __forceinline__ void store_relaxed(void *to, uint32_t x) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(x) : "memory");
}
__device__ __forceinline__ void store_relaxed(float2 *to, uint32_t x, uint32_t y) {
  asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(x), "r"(y) : "memory");
}
__device__ __forceinline__ void store_relaxed(float4 *to, uint32_t x, uint32_t y, uint32_t z, uint32_t w) {
  asm volatile("st.relaxed.gpu.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(x), "r"(y), "r"(z), "r"(w)
               : "memory");
}
__device__ __forceinline__ float load_relaxed(const float *at) {
  float x;
  asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(x) : "l"(at) : "memory");
  return x;
}
__device__ __forceinline__ float2 load_relaxed(const float2 *at) {
  float2 x;
  asm volatile("ld.relaxed.gpu.global.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "l"(at) : "memory");
  return x;
}
__device__ __forceinline__ float4 load_relaxed(const float4 *at) {
  float4 x;
  asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
               : "l"(at)
               : "memory");
  return x;
}
__device__ __forceinline__ uint32_t load_relaxed(const uint32_t *at) {
  return __float_as_uint(load_relaxed(reinterpret_cast<const float *>(at)));
}
__device__ __forceinline__ uint2 load_relaxed(const uint2 *at) {
  float2 x = load_relaxed(reinterpret_cast<const float2 *>(at));
  return make_uint2(__float_as_uint(x.x), __float_as_uint(x.y));
}
__device__ __forceinline__ void prefetch_to_l2(const void *at) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
}

/* A number in shared memory by which threads of a CTA tell others what they have seen done. */
__device__ __forceinline__ void store_shared(int *to, int x) {
  asm volatile("st.release.cta.shared.s32 [%0], %1;" ::"r"(shared_address(to)), "r"(x) : "memory");
}
__device__ __forceinline__ int load_shared(const int *at) {
  int x;
  asm volatile("ld.acquire.cta.shared.s32 %0, [%1];" : "=r"(x) : "r"(shared_address(at)) : "memory");
  return x;
}

__device__ __forceinline__ void barrier_init(uint64_t *barrier, int arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void barrier_init_fence() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
__device__ __forceinline__ void barrier_arrive(uint64_t *barrier) {
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
/* Whether the barrier's phase of this parity is over; before it says no it waits for a while, on Hopper. */
__device__ __forceinline__ bool barrier_completed(uint64_t *barrier, uint32_t phase) {
  uint32_t done;
#if __CUDA_ARCH__ >= 900
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done)
               : "r"(shared_address(barrier)), "r"(phase)
               : "memory");
#else
  asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done)
               : "r"(shared_address(barrier)), "r"(phase)
               : "memory");
#endif
  return done;
}
__device__ __forceinline__ void barrier_wait(uint64_t *barrier, uint32_t phase) {
  while (!barrier_completed(barrier, phase)) continue;
}

/* Moves registers from a warpgroup to others, each of which calls its part once. Hopper's alone. */
template <int kRegisters> __device__ __forceinline__ void shrink_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters> __device__ __forceinline__ void grow_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
/* For copies of what nobody reads again: the L2 cache gives it up first. */
__device__ __forceinline__ uint64_t read_once_policy() {
  uint64_t policy = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
#endif
  return policy;
}
/* Shared memory that this thread wrote may be overwritten by copies. */
__device__ __forceinline__ void fence_before_copies() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
/* One arrival, and `bytes` that are to come, complete the barrier's phase. Hopper's alone, as the copies are. */
__device__ __forceinline__ void barrier_expect(uint64_t *barrier, int bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
#else
  __trap();
#endif
}
/* One thread's copy of `bytes` bytes, a multiple of 16, which `barrier` expects. */
__device__ __forceinline__ void copy_once(void *to, const void *from, int bytes, uint64_t *barrier, uint64_t policy) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], "
               "%4;" ::"r"(shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
               : "memory");
#else
  __trap();
#endif
}

__device__ __forceinline__ void copy_16(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

/* Arrivals that complete a barrier which copy_to_shared() fills: one lane and the bytes, or (before Hopper) every
 * lane's copies. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
enum { kCopyArrivals = 32 };
#else
enum { kCopyArrivals = 1 };
#endif

/* Two copies, of multiples of 16 bytes, that complete `barrier` together. A whole warp calls it. */
__device__ __forceinline__ void copy_to_shared(void *to, const void *from, int bytes, void *to2, const void *from2,
                                               int bytes2, uint64_t *barrier) {
  int lane = threadIdx.x % 32;
#if __CUDA_ARCH__ >= 900
  if (lane == 0) {
    uint32_t b = shared_address(barrier);
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(b), "r"(bytes + bytes2) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(b)
                 : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to2)),
                 "l"(from2), "r"(bytes2), "r"(b)
                 : "memory");
  }
  __syncwarp();
#else
  for (int i = lane * 16; i < bytes; i += 32 * 16) copy_16((char *)to + i, (const char *)from + i);
  for (int i = lane * 16; i < bytes2; i += 32 * 16) copy_16((char *)to2 + i, (const char *)from2 + i);
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
#endif
}
