/* Weights from memory into a ring of shared memory stages, by one thread that waits for room and for nothing else, and
 * their products with one vector, by sixteen warps that follow.
 *
 * A CTA has a run of neighbouring rows of each matrix, so it reads one stretch of memory. A row is cut into chunks of
 * 256 weights, a lane's 8 neighbours each; a chunk is one warp's, and which warp's it is depends on its place in the
 * row alone: so a lane has its part of the vector in registers for the whole product. Stages hold whole rows, as many
 * as fit, or a part of one. Where rows have few chunks the warps fall into groups that take stages in turn, so that
 * each has enough to do; a warp passes every stage all the same, which keeps the barriers simple. */
#pragma once

#include "engine/cuda/exchange.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kWarps = 16, kWorkers = kWarps * 32 };
enum { kChunk = 256, kChunkBytes = kChunk * 2 };
enum { kMostStages = 32 };

/* The ring, and a thread's place in it. */
struct Ring {
  char *stages;
  uint64_t *full, *empty; /* [n_stages] */
  int n_stages, slot;     /* chunks of a stage */
  int stage = 0;
  uint32_t lap = 0;

  __device__ __forceinline__ char *at() const { return stages + stage * slot * kChunkBytes; }
  __device__ __forceinline__ void next() {
    if (++stage == n_stages) stage = 0, lap ^= 1;
  }
  __device__ __forceinline__ void wait_full() const { barrier_wait(&full[stage], lap); }
  __device__ __forceinline__ void wait_empty() const { barrier_wait(&empty[stage], lap ^ 1); }
  /* A warp is done with the stage. */
  __device__ __forceinline__ void release() {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(&empty[stage]);
    next();
  }
};

/* Rows of a stage, 1 also where a row takes several. */
__host__ __device__ inline int rows_of_stage(int chunks, int slot) {
  return chunks < slot ? slot / chunks : 1;
}

/* The thread that fills the ring. More than a few copies under way at a time would not come faster, but some
 * processors' before others' (on an H200 by an eighth) and all of them late. */
enum { kUnderWay = 48 << 10 }; /* bytes */

struct Filler {
  Ring ring, behind; /* the stage to fill, and the oldest that may be under way */
  int spare;         /* further copies that may be */
  uint64_t policy;

  __device__ explicit Filler(const Ring &ring)
      : ring(ring), behind(ring), spare(min(ring.n_stages, (kUnderWay - 1) / (ring.slot * kChunkBytes) + 1)),
        policy(read_once_policy()) {}
  /* Rows first .. first + n - 1 of a matrix. */
  __device__ __forceinline__ void fill(const char *weight, int chunks, int first, int n) {
    int per = rows_of_stage(chunks, ring.slot), row = chunks * kChunkBytes;
    const char *from = weight + (size_t)first * row;
#pragma unroll 1
    for (int i = 0; i < n; i += per)
#pragma unroll 1
      for (int rest = min(per, n - i) * row; rest > 0; ring.next()) {
        int bytes = min(ring.slot * kChunkBytes, rest);
        if (spare)
          spare--;
        else
          behind.wait_full(), behind.next();
        ring.wait_empty();
        copy_once(ring.at(), from, bytes, &ring.full[ring.stage], policy);
        from += bytes, rest -= bytes;
      }
  }
};

__device__ __forceinline__ float4 product_of(const float4 &a, const float4 &b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}
__device__ __forceinline__ float squares_of(const float4 &a) {
  return a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
}

/* A lane's part of a vector: 8 neighbours of chunks warp, warp + kGroup, ... The vector is spread over kGroup warps. */
template <int kGroup, int kChunks> struct Part {
  float4 x[kChunks][2];

  __device__ static int warp() { return threadIdx.x / 32 % kGroup; }
  __device__ static bool in_row(int i, int chunks) { return warp() + kGroup * i < chunks; }
  __device__ static int offset(int i) { return (warp() + kGroup * i) * kChunk + threadIdx.x % 32 * 8; }

  __device__ __forceinline__ void await_all(const float *from, int chunks, uint32_t tag, uint32_t mask) {
    await<2 * kChunks>(&x[0][0], tag, mask, [&](int i) {
      return in_row(i / 2, chunks) ? reinterpret_cast<const float4 *>(from + offset(i / 2)) + i % 2 : nullptr;
    });
#pragma unroll
    for (int i = 0; i < kChunks; i++) x[i][0] = untagged(x[i][0]), x[i][1] = untagged(x[i][1]);
  }
  __device__ __forceinline__ void load(const float *from, int chunks) {
#pragma unroll
    for (int i = 0; i < kChunks; i++)
      for (int h = 0; h < 2; h++)
        x[i][h] = in_row(i, chunks) ? __ldg(reinterpret_cast<const float4 *>(from + offset(i)) + h) : float4{};
  }
  /* Multiplies by a norm's weights. Returns the warp's sum of squares before that. */
  __device__ __forceinline__ float scale(const Part &norm) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kChunks; i++)
      for (int h = 0; h < 2; h++) sum += squares_of(x[i][h]), x[i][h] = product_of(x[i][h], norm.x[i][h]);
    return warp_sum(sum);
  }
  /* Adds chunk i of a row, times the vector's, to two sums. */
  __device__ __forceinline__ void add(const uint4 &w, int i, float *sum) const {
    auto add_two = [&](uint32_t pair, float low, float high) {
      sum[0] = fmaf(__uint_as_float(pair << 16), low, sum[0]);
      sum[1] = fmaf(__uint_as_float(pair & 0xFFFF0000u), high, sum[1]);
    };
    add_two(w.x, x[i][0].x, x[i][0].y), add_two(w.y, x[i][0].z, x[i][0].w);
    add_two(w.z, x[i][1].x, x[i][1].y), add_two(w.w, x[i][1].z, x[i][1].w);
  }
  /* Whole rows. */
  template <int kRows> __device__ __forceinline__ void multiply(const uint4 (*w)[kChunks], float (&sum)[kRows]) const {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      float two[2] = {};
#pragma unroll
      for (int c = 0; c < kChunks; c++) add(w[i][c], c, two);
      sum[i] = two[0] + two[1];
    }
  }
};

/* Sums of kValues values over a warp's lanes, of which lane l gets that of value l / (32 / kValues). */
template <int kValues> __device__ __forceinline__ float sum_over_lanes(float *value) {
  int lane = threadIdx.x % 32, offset = 16;
#pragma unroll
  for (int n = kValues / 2; n; n /= 2, offset >>= 1)
#pragma unroll
    for (int i = 0; i < n; i++) {
      bool high = lane & offset;
      float keep = high ? value[i + n] : value[i], give = high ? value[i] : value[i + n];
      value[i] = keep + __shfl_xor_sync(~0u, give, offset);
    }
#pragma unroll
  for (; offset; offset >>= 1) value[0] += __shfl_xor_sync(~0u, value[0], offset);
  return value[0];
}

/* sums [row][warp of the group], over `n` rows of the ring. kRows of them at a time, to hide what each waits for. */
template <int kGroup, int kChunks, int kRows, int kWidth>
__device__ __forceinline__ void multiply_rows(Ring &ring, const Part<kGroup, kChunks> &part, int n, int chunks,
                                              float (*sums)[kWidth]) {
  constexpr int kGroups = kWarps / kGroup, kLanes = 32 / kRows;
  int lane = threadIdx.x % 32, warp = part.warp(), group = threadIdx.x / 32 / kGroup,
      per = rows_of_stage(chunks, ring.slot);
  int offset = warp * kChunkBytes + lane * 16, row = chunks * kChunkBytes;
  auto store = [&](int first, int end, float *sum) {
    float all = sum_over_lanes<kRows>(sum);
    if (lane % kLanes == 0 && first + lane / kLanes < end) sums[first + lane / kLanes][warp] = all;
  };
  if (kGroups > 1) { /* each stage is one group's */
#pragma unroll 1
    for (int first = 0, turn = 0; first < n; first += per, turn = turn + 1 == kGroups ? 0 : turn + 1) {
      ring.wait_full();
      int rows = min(per, n - first);
      const char *at = ring.at() + offset;
#pragma unroll 1
      for (int r = 0; turn == group && r < rows; r += kRows) {
        uint4 w[kRows][kChunks];
        float sum[kRows];
#pragma unroll
        for (int i = 0; i < kRows; i++)
#pragma unroll
          for (int c = 0; c < kChunks; c++)
            w[i][c] = r + i < rows && part.in_row(c, chunks)
                          ? *reinterpret_cast<const uint4 *>(at + (r + i) * row + c * kGroup * kChunkBytes)
                          : uint4{};
        part.multiply(w, sum);
        store(first + r, first + rows, sum);
      }
      ring.release();
    }
  } else if (chunks <= ring.slot) { /* kRows rows, of one stage or several */
    const char *at = nullptr;
#pragma unroll 1
    for (int first = 0, left = 0; first < n; first += kRows) {
      uint4 w[kRows][kChunks];
      float sum[kRows];
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        bool real = first + i < n;
        if (real && !left) ring.wait_full(), at = ring.at() + offset, left = min(per, n - first - i);
#pragma unroll
        for (int c = 0; c < kChunks; c++)
          w[i][c] = real && part.in_row(c, chunks) ? *reinterpret_cast<const uint4 *>(at + c * kGroup * kChunkBytes)
                                                   : uint4{};
        at += row;
        if (real && !--left) ring.release();
      }
      part.multiply(w, sum);
      store(first, n, sum);
    }
  } else { /* a row of several stages */
#pragma unroll 1
    for (int i = 0; i < n; i++) {
      float two[2] = {}, sum[kRows] = {};
      int first = 0; /* chunk of the stage */
      ring.wait_full();
#pragma unroll
      for (int c = 0; c < kChunks; c++) {
        if (!part.in_row(c, chunks)) break;
        if (warp + c * kGroup >= first + ring.slot) ring.release(), first += ring.slot, ring.wait_full();
        part.add(*reinterpret_cast<const uint4 *>(ring.at() + offset + (c * kGroup - first) * kChunkBytes), c, two);
      }
#pragma unroll 1
      for (; first < chunks; first += ring.slot) {
        ring.wait_full();
        ring.release();
      }
      sum[0] = two[0] + two[1];
      float all = sum_over_lanes<1>(sum);
      if (lane == 0) sums[i][warp] = all;
    }
  }
}
