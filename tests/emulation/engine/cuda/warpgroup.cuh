/* What engine/cuda/warpgroup.cuh names, emulated. */
#pragma once

#include "engine/cuda/tensor_core.cuh"
#include "tests/emulation/tensor_map.h"

#include <cudaTypedefs.h>
#include <vector>

#define DMS_WARPGROUPS 1

/* ---- Products of tiles ---- */

/* Descriptors have the hardware's bits: in units of 16 bytes the tile's address and, from bit 32, the distance of
 * groups of 8 rows; at the top the swizzle. */
inline uint64_t describe_tile(const void *tile) {
  return (uint64_t)1 << 62 | (uint64_t)(1024 / 16) << 32 | (emulated_address(tile) & 0x3FFFF) >> 4;
}
/* 16 elements of a tile's row. */
inline void emulated_tile_row(uint64_t tile, int row, float *to) {
  uint32_t address = (tile & 0x3FFF) * 16 + row / 8 * (tile >> 32 & 0x3FFF) * 16 + row % 8 * 128;
  if (tile >> 62 != 1) emulated_fail("a tile that is not swizzled by 128 bytes");
  for (int half = 0; half < 2; half++, address += 16) {
    uint32_t own = emulated_rank() * EMULATED_CTA_BYTES;
    uint16_t bits[8];
    std::memcpy(bits, emulated_place(own + emulated_swizzle(address), sizeof bits), sizeof bits);
    for (int i = 0; i < 8; i++) *to++ = __uint_as_float((uint32_t)bits[i] << 16);
  }
}

/* A thread's products that are under way: each thread multiplies what lands in its registers. They read shared memory
 * when they are ended or when they are waited for. */
struct EmulatedProducts {
  struct Product {
    float *sums;
    int columns;
    uint64_t a, b;
  };
  std::vector<Product> waiting;
  std::vector<int> groups; /* products of each that has ended */
  bool begun = false;

  static EmulatedProducts &mine() {
    static std::vector<EmulatedProducts> all;
    if (all.size() <= (size_t)emulated_thread()) all.resize(emulated_thread() + 1);
    return all[emulated_thread()];
  }
  static void multiply(const Product &p) {
    int lane = threadIdx.x % 32;
    float a[2][16], b[16];
    for (int half = 0; half < 2; half++)
      emulated_tile_row(p.a, threadIdx.x / 32 % 4 * 16 + half * 8 + lane / 4, a[half]);
    for (int column = 0; column < p.columns / 4; column++) {
      emulated_tile_row(p.b, column / 2 * 8 + lane % 4 * 2 + column % 2, b);
      for (int half = 0; half < 2; half++)
        for (int k = 0; k < 16; k++) p.sums[column / 2 * 4 + half * 2 + column % 2] += a[half][k] * b[k];
    }
  }
  void add(const Product &product) {
    if (!begun) emulated_fail("a product outside begin_products() and end_products()");
    waiting.push_back(product), groups.back()++;
  }
  void do_all_but(size_t open) {
    while (groups.size() > open) {
      std::for_each(waiting.begin(), waiting.begin() + groups[0], multiply);
      waiting.erase(waiting.begin(), waiting.begin() + groups[0]), groups.erase(groups.begin());
    }
  }
};

template <int kSums> void multiply_tiles(float (&d)[kSums], uint64_t a, uint64_t b) {
  EmulatedProducts::mine().add({d, kSums * 2, a, b});
}
inline void begin_products() {
  EmulatedProducts &mine = EmulatedProducts::mine();
  mine.begun = true, mine.groups.push_back(0);
}
inline void end_products() {
  EmulatedProducts &mine = EmulatedProducts::mine();
  mine.begun = false;
  if (emulated_random() % 2) mine.do_all_but(0);
}
template <int kOpen> void wait_for_products() {
  EmulatedProducts::mine().do_all_but(kOpen);
}

/* ---- Barriers ---- */

inline void barrier_acquire(uint64_t *barrier, uint32_t phase) {
  emulated_mbarrier_wait(barrier, phase);
}
inline uint64_t *emulated_barrier_at(uint32_t address) {
  return reinterpret_cast<uint64_t *>(emulated_place(address, sizeof(uint64_t)));
}
inline void barrier_arrive_at(uint64_t *barrier, int rank) {
  uint64_t *there = emulated_barrier_at(address_at(barrier, rank));
  emulated_in_order([=] { emulated_mbarrier_count(there, 1, 0); });
}

/* ---- Copies ---- */

inline void store_async(uint32_t to, float x, float y, uint32_t barrier) {
  char *there = emulated_place(to, 2 * sizeof(float));
  uint64_t *counts = emulated_barrier_at(barrier);
  if (to % 8) emulated_fail("two floats that are not aligned");
  emulated_spoil(there, 2 * sizeof(float));
  emulated_later([=] {
    const float two[] = {x, y};
    emulated_check(there, sizeof two);
    std::memcpy(there, two, sizeof two);
    emulated_mbarrier_count(counts, 0, -(int)sizeof two);
  });
}

/* The rows of a box one behind the other; what lies outside of the tensor is zero. */
inline std::vector<char> emulated_box(const EmulatedMap &map, const int *at) {
  std::vector<char> box(map.rows() * map.row_bytes());
  for (size_t row = 0; row < map.rows(); row++) {
    const char *from = map.address + (size_t)at[0] * 2;
    bool inside = at[0] >= 0;
    size_t rest = row;
    for (uint32_t i = 1; i < map.dimensions; rest /= map.box[i++]) {
      int64_t place = at[i] + (int64_t)(rest % map.box[i]);
      inside = inside && place >= 0 && place < map.size[i], from += place * (int64_t)map.stride[i - 1];
    }
    int64_t elements = std::min<int64_t>(map.box[0], (int64_t)map.size[0] - at[0]);
    if (inside && elements > 0) std::memcpy(&box[row * map.row_bytes()], from, elements * 2);
  }
  return box;
}
/* Into the CTAs of the cluster that `ranks` names. The tensor is read now or later. */
inline void emulated_copy_box(void *to, const CUtensorMap *encoded, const std::vector<int> &at, uint64_t *barrier,
                              uint32_t ranks) {
  EmulatedMap map(encoded);
  size_t bytes = map.rows() * map.row_bytes();
  std::vector<char> early;
  if (at.size() != map.dimensions) emulated_fail("a box of other dimensions than its map");
  if (emulated_address(to) % 128) emulated_fail("a box that is not aligned");
  if (emulated_random() % 2) early = emulated_box(map, at.data());
  for (int rank = 0; ranks >> rank; rank++) {
    if (!(ranks >> rank & 1)) continue;
    uint32_t address = address_at(to, rank);
    char *there = emulated_place(address, bytes);
    uint64_t *counts = emulated_barrier_at(address_at(barrier, rank));
    emulated_spoil(there, bytes);
    emulated_later([=] {
      std::vector<char> box = early.empty() ? emulated_box(map, at.data()) : early;
      emulated_check(there, bytes);
      for (uint32_t i = 0; i < bytes; i += 16)
        std::memcpy(there + (int32_t)(emulated_swizzle(address + i) - address), &box[i], 16);
      emulated_mbarrier_count(counts, 0, -(int)bytes);
    });
  }
}
inline void copy_box(void *to, const CUtensorMap *map, int k, int row, uint64_t *barrier) {
  emulated_copy_box(to, map, {k, row}, barrier, 1u << emulated_rank());
}
inline void copy_box_to_cluster(void *to, const CUtensorMap *map, int k, int row, uint64_t *barrier, uint16_t ranks) {
  emulated_copy_box(to, map, {k, row}, barrier, ranks);
}
inline void copy_groups_once(void *to, const CUtensorMap *map, int k, int group, uint64_t *barrier, uint64_t) {
  emulated_copy_box(to, map, {k, 0, 0, group}, barrier, 1u << emulated_rank());
}
inline void prefetch_map(const CUtensorMap *) {}
inline void proxy_fence() {}

/* ---- Counters in global memory ---- */

inline void count_arrival(int32_t *counter) {
  emulated_in_order([=] { ++*counter; });
}
inline int32_t load_acquire(const int32_t *counter) {
  emulated_yield();
  return *counter;
}
