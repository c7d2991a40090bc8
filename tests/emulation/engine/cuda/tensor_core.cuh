/* What engine/cuda/tensor_core.cuh names, as far as the kernels that tests emulate use it, emulated. */
#pragma once

#include "engine/cuda/element.cuh"

inline int thread_index(int) {
  return threadIdx.x;
}
inline float power_of_two(float x) {
  return std::exp2(x);
}
#define wait_for_previous emulated_wait_for_previous

inline char *dynamic_shared() {
  return emulated_shared() + EMULATED_STATIC_BYTES;
}
template <typename T> T &static_shared() {
  static_assert(sizeof(T) <= EMULATED_STATIC_BYTES, "more than is kept for it");
  return *reinterpret_cast<T *>(emulated_shared());
}
inline uint32_t shared_address(const void *pointer) {
  return emulated_address(pointer);
}
inline void store_relaxed(uint32_t *to, uint32_t x) {
  emulated_store(to, x);
}
inline void store_relaxed(float *to, uint32_t x) {
  emulated_store(to, x);
}
inline void store_relaxed(float2 *to, uint32_t x, uint32_t y) {
  emulated_store(&to->x, x), emulated_store(&to->y, y);
}
inline void store_relaxed(float4 *to, uint32_t x, uint32_t y, uint32_t z, uint32_t w) {
  emulated_store(&to->x, x), emulated_store(&to->y, y), emulated_store(&to->z, z), emulated_store(&to->w, w);
}
template <typename V> V load_relaxed(const V *at) {
  return *at;
}
inline void prefetch_to_l2(const void *) {}
template <int kRegisters> void shrink_registers() {}
template <int kRegisters> void grow_registers() {}
inline void named_barrier(int name, int threads) {
  emulated_barrier(name, threads);
}

inline void store_shared(int *to, int x) {
  *to = x;
}
/* Others run meanwhile. */
inline int load_shared(const int *at) {
  emulated_yield();
  return *at;
}

inline void barrier_init(uint64_t *barrier, int arrivals) {
  emulated_mbarrier_init(barrier, arrivals);
}
inline void barrier_init_fence() {}
inline void barrier_arrive(uint64_t *barrier) {
  emulated_mbarrier_count(barrier, 1, 0);
}
inline bool barrier_completed(const uint64_t *barrier, uint32_t parity) {
  return emulated_mbarrier_done(barrier, parity);
}
inline void barrier_wait(uint64_t *barrier, uint32_t parity) {
  emulated_mbarrier_wait(barrier, parity);
}
inline uint64_t read_once_policy() {
  return 0;
}
inline void barrier_expect(uint64_t *barrier, int bytes) {
  emulated_address(barrier);
  emulated_mbarrier_count(barrier, 1, bytes);
}
inline void copy_once(void *to, const void *from, int bytes, uint64_t *barrier, uint64_t) {
  if (((uintptr_t)to | (uintptr_t)from | (uintptr_t)bytes) % 16) __builtin_trap();
  emulated_spoil(to, bytes);
  emulated_later([=] {
    emulated_check(to, bytes);
    std::memcpy(to, from, bytes);
    emulated_mbarrier_count(barrier, 0, -bytes);
  });
}

inline uint32_t pack(float low, float high) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}
inline uint32_t pack_halves(float low, float high) {
  __half2 pair = __floats2half2_rn(low, high);
  uint32_t bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}
constexpr float kHalvesUnit = 1;
inline void to_halves(uint32_t four, uint32_t &low, uint32_t &high) {
  auto value = [&](int i) {
    e4m3 x;
    x.__x = (uint8_t)(four >> 8 * i);
    return to_float(x);
  };
  low = pack_halves(value(0), value(1)), high = pack_halves(value(2), value(3));
}

/* mma.m16n8k16 from its definition: d [16][8] += a [16][16] b [16][8], the operands spread over the lanes. `value` says
 * what 16 bits mean. */
template <typename Value> void emulated_multiply(float *d, const uint32_t *a, const uint32_t *b, Value value) {
  auto lanes = reinterpret_cast<uint32_t(*)[8]>(emulated_warp_scratch());
  int lane = threadIdx.x % 32;
  std::copy(a, a + 4, lanes[lane]), std::copy(b, b + 2, lanes[lane] + 4);
  emulated_warp_barrier();
  auto half = [&](int of_lane, int reg, int k) { return value((uint16_t)(lanes[of_lane][reg] >> 16 * (k % 2))); };
  for (int i = 0; i < 4; i++) {
    int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; k++)
      d[i] += half(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k) * half(column * 4 + k % 8 / 2, 4 + k / 8, k);
  }
  emulated_warp_barrier();
}
inline void multiply(float *d, const uint32_t *a, const uint32_t *b) {
  emulated_multiply(d, a, b, [](uint16_t bits) { return __uint_as_float((uint32_t)bits << 16); });
}
inline void multiply_halves(float *d, const uint32_t *a, const uint32_t *b) {
  emulated_multiply(d, a, b, [](uint16_t bits) { return __half2float(__ushort_as_half(bits)); });
}

/* ldmatrix: four 8x8 matrices, a row from each lane's address; a lane gets two neighbours of a row, or of a column. */
inline void load_matrices(uint32_t *r, const void *row) {
  int lane = threadIdx.x % 32;
  for (int m = 0; m < 4; m++)
    std::memcpy(&r[m], emulated_lane((const char *)row, m * 8 + lane / 4) + lane % 4 * 4, sizeof *r);
}
inline void load_matrices_transposed(uint32_t *r, const void *row) {
  int lane = threadIdx.x % 32;
  for (int m = 0; m < 4; m++) {
    uint16_t two[2];
    for (int i = 0; i < 2; i++)
      std::memcpy(&two[i], emulated_lane((const char *)row, m * 8 + lane % 4 * 2 + i) + lane / 4 * 2, sizeof *two);
    r[m] = (uint32_t)two[1] << 16 | two[0];
  }
}
/* Of an 8x8 matrix, of which a lane has two elements of a row. */
inline uint32_t transpose(uint32_t x) {
  int lane = threadIdx.x % 32;
  uint32_t y = 0;
  for (int i = 0; i < 2; i++)
    y |= (emulated_lane(x, (lane % 4 * 2 + i) * 4 + lane / 8) >> lane / 4 % 2 * 16 & 0xFFFF) << 16 * i;
  return y;
}

enum { kCopyArrivals = 1 };
inline void fence_before_copies() {}
inline void copy_to_shared(void *to, const void *from, int bytes, void *to2, const void *from2, int bytes2,
                           uint64_t *barrier) {
  if (((uintptr_t)to | (uintptr_t)from | (uintptr_t)to2 | (uintptr_t)from2 | (uintptr_t)(bytes | bytes2)) % 16)
    __builtin_trap();
  if (threadIdx.x % 32 == 0)
    emulated_later([=] {
      std::memcpy(to, from, bytes), std::memcpy(to2, from2, bytes2);
      barrier_arrive(barrier);
    });
  emulated_warp_barrier();
}
