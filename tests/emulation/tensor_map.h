/* The driver's maps of tensors (CUtensorMap), as the emulated device keeps them. */
#pragma once

#include <cuda.h>

struct EmulatedMap {
  const char *address;
  uint32_t dimensions;
  uint32_t size[5], box[5]; /* elements of 2 bytes; [0] lies together */
  uint64_t stride[4];       /* bytes, of dimensions 1 .. */

  explicit EmulatedMap(const CUtensorMap *map) { std::memcpy(this, map, sizeof *this); }
  EmulatedMap() = default;
  size_t row_bytes() const { return box[0] * 2; }
  size_t rows() const {
    size_t n = 1;
    for (uint32_t i = 1; i < dimensions; i++) n *= box[i];
    return n;
  }
};
static_assert(sizeof(EmulatedMap) <= sizeof(CUtensorMap), "in the place of one");

/* Where the 128-byte swizzle of copies and of the tensor cores puts what would lie at a place in shared memory: in
 * groups of 1,024 bytes, 16-byte pieces change places by the row of 128 bytes. */
inline uint32_t emulated_swizzle(uint32_t address) {
  return address ^ (address >> 7 & 7) << 4;
}
