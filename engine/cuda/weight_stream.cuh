/* Weights from memory into a ring of shared memory stages, by one thread that waits for room and for nothing else, and
 * their products with one vector, by sixteen warps that follow.
 *
 * A CTA has a run of neighbouring rows of each matrix, so it reads one stretch of memory, which stages cut without
 * regard to rows. A row is cut into pieces of 128 weights, which are dealt out to the warps by their place in the row: so
 * a lane has its part of the vector in registers for the whole product.
 *
 * The arithmetic is the tensor cores', which leaves little to issue: mma.m16n8k16 of a piece of two rows, as eight
 * segments each, with the vector's eight segments as columns. Of the 16 x 8 sums that gives, 16 are wanted.
 *
 * All matrices go through the same instructions, or the code of a layer would not fit into the instruction cache. */
#pragma once

#include "engine/cuda/exchange.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kWarps = 16, kWorkers = kWarps * 32 };
enum { kPiece = 128, kPieceBytes = kPiece * 2, kChunk = 2 * kPiece, kChunkBytes = kChunk * 2 };
enum { kStageChunks = 32, kStageBytes = kStageChunks * kChunkBytes, kMostStages = 16 };

/* A stage of the ring, and how often it has been passed, as the barriers count. */
struct Place {
  int stage = 0;
  uint32_t lap = 0;

  __device__ __forceinline__ void next(int n_stages) {
    if (++stage == n_stages) stage = 0, lap ^= 1;
  }
};

struct Ring {
  char *stages;
  uint64_t *full, *empty; /* [n_stages] */
  int n_stages;

  __device__ __forceinline__ void wait_full(const Place &at) const { barrier_wait(&full[at.stage], at.lap); }
  __device__ __forceinline__ void wait_empty(const Place &at) const { barrier_wait(&empty[at.stage], at.lap ^ 1); }
};

/* The thread that fills the ring. More than a few copies under way at a time would not come faster, but some
 * processors' before others' (on an H200 by an eighth) and all of them late. */
enum { kUnderWay = 48 << 10 }; /* bytes */

struct Filler {
  Ring ring;
  Place next, behind; /* the stage to fill, and the oldest that may be under way */
  int spare;          /* further copies that may be */
  uint64_t policy;

  __device__ explicit Filler(const Ring &ring)
      : ring(ring), spare(min(ring.n_stages, kUnderWay / kStageBytes)), policy(read_once_policy()) {}
  /* A run of rows; it begins a stage. */
  __device__ __forceinline__ void fill(const char *from, int chunks) {
#pragma unroll 1
    for (int bytes = chunks * kChunkBytes; bytes > 0; bytes -= kStageBytes, from += kStageBytes) {
      if (spare)
        spare--;
      else
        ring.wait_full(behind), behind.next(ring.n_stages);
      ring.wait_empty(next);
      copy_once(ring.stages + next.stage * kStageBytes, from, min(bytes, (int)kStageBytes), &ring.full[next.stage],
                policy);
      next.next(ring.n_stages);
    }
  }
};

/* A warp that follows. */
struct Follower {
  Ring ring;
  Place next;     /* the stage to wait for */
  int oldest = 0; /* the stage that is not yet left */
  int there = 0;  /* chunks that have been waited for and not passed */
  int passed = 0; /* of the oldest stage */

  /* Waits until the next `chunks` chunks are there. */
  __device__ __forceinline__ void await(int chunks) {
#pragma unroll 1
    for (; there < chunks; there += kStageChunks) {
      ring.wait_full(next);
      next.next(ring.n_stages);
    }
  }
  /* Of those, 16 bytes from byte `offset` on. */
  __device__ __forceinline__ uint4 load(unsigned offset) const {
    unsigned at = oldest * kStageBytes + passed * kChunkBytes + offset, all = ring.n_stages * kStageBytes;
    return *reinterpret_cast<const uint4 *>(ring.stages + min(at, at - all));
  }
  __device__ __forceinline__ void leave() {
    if (threadIdx.x % 32 == 0) barrier_arrive(&ring.empty[oldest]);
    if (++oldest == ring.n_stages) oldest = 0;
  }
  __device__ __forceinline__ void pass(int chunks) {
    __syncwarp();
    there -= chunks, passed += chunks;
#pragma unroll 1
    for (; passed >= kStageChunks; passed -= kStageChunks) leave();
  }
  /* Behind a run of rows: the next begins a stage. */
  __device__ __forceinline__ void end_run() {
    if (passed) leave();
    there = passed = 0;
  }
};

/* A lane's part of a vector of `pieces` pieces, of which warp w has w, w + 16, ..., as mma's second operand: column
 * lane / 4 is a segment, of which a lane has four values. */
template <int kPieces> struct Part {
  uint32_t operand[kPieces][2];
  int thread, pieces;

  __device__ __forceinline__ int piece(int i) const { return thread / 32 + i * kWarps; }
  __device__ __forceinline__ bool has(int i) const { return piece(i) < pieces; }
  /* Two pairs of neighbours, so that of eight weights that a lane loads the product's rows have two pairs each. */
  __device__ __forceinline__ int first(int i) const {
    return piece(i) * kPiece + thread % 16 * 8 + thread % 32 / 16 * 2;
  }

  /* Of values that are published. */
  __device__ __forceinline__ void await(const uint32_t *from, uint32_t tag) {
    uint2 x[kPieces][2];
    await_values(from, tag, kValueMask, x);
#pragma unroll
    for (int i = 0; i < kPieces; i++)
      for (int h = 0; h < 2; h++) operand[i][h] = both_values(x[i][h].x, x[i][h].y);
  }
  /* The same times a norm's weights, for the first kNormed pieces. Returns the lane's sum of squares before that. */
  template <int kNormed>
  __device__ __forceinline__ float await_normed(const uint32_t *from, uint32_t tag, uint32_t mask, const float *norm) {
    uint2 x[kNormed][2];
    float2 weight[kNormed][2];
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kNormed; i++)
      for (int h = 0; h < 2; h++)
        weight[i][h] = has(i) ? __ldg(reinterpret_cast<const float2 *>(norm + first(i) + 4 * h)) : float2{};
    await_values(from, tag, mask, x);
#pragma unroll
    for (int i = 0; i < kNormed; i++)
      for (int h = 0; h < 2; h++) {
        float low = value_of(x[i][h].x), high = value_of(x[i][h].y);
        sum += low * low + high * high;
        operand[i][h] = pack(low * weight[i][h].x, high * weight[i][h].y);
      }
    return sum;
  }
  template <int n>
  __device__ __forceinline__ void await_values(const uint32_t *from, uint32_t tag, uint32_t mask, uint2 (&x)[n][2]) {
    await_all<2 * n>(&x[0][0], tag, mask, [&](int i) {
      return has(i / 2) ? reinterpret_cast<const uint2 *>(from + first(i / 2) + i % 2 * 4) : nullptr;
    });
  }
};

/* What the products of two rows, of lanes 0-15 and 16-31, leave in a lane: its segments are lane / 4 % 4 and 4 more, and
 * the sum of the one whose column it has counts, if it has either's. */
__device__ __forceinline__ bool has_sum(int thread) {
  return (thread ^ thread >> 3) % 2 == 0;
}
__device__ __forceinline__ float own_sum(int thread, const float *even, const float *odd) {
  int i = (thread & 4) / 4 + (thread & 2);
  float d[4];
#pragma unroll
  for (int j = 0; j < 4; j++) d[j] = even[j] + odd[j];
  return i & 1 ? i & 2 ? d[3] : d[1] : i & 2 ? d[2] : d[0];
}

/* What the warps found of a row, or of the vector. Neighbours begin in other banks. */
struct Sums {
  float of_warp[kWarps], unused[4];

  __device__ __forceinline__ float all() const {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w += 4) {
      float4 four = *reinterpret_cast<const float4 *>(of_warp + w);
      sum += (four.x + four.y) + (four.z + four.w);
    }
    return sum;
  }
};

/* Multiplies `n` rows of the ring, of `chunks` chunks each, four at a time or, where they are long, two. */
template <int kPieces>
__device__ __forceinline__ void multiply_rows(Follower &follower, const Part<kPieces> &x, int n, int chunks,
                                              Sums *sums) {
  int lane = x.thread % 32, warp = x.thread / 32, at_once = chunks <= kStageChunks ? 4 : 2;
#pragma unroll 1
  for (int first = 0; first < n; first += at_once) {
    int rows = min(at_once, n - first);
    float d[2][2][4] = {}; /* by pair of rows; even and odd pieces, so that more products are under way */
    follower.await(rows * chunks);
#pragma unroll
    for (int i = 0; i < kPieces; i += 2) {
      if (!x.has(i)) break;
      uint4 w[2][2] = {};
#pragma unroll
      for (int pair = 0; pair < 2; pair++)
        for (int odd = 0; odd < 2; odd++)
          if (2 * pair < rows && x.has(i + odd))
            w[pair][odd] = follower.load(min(2 * pair + lane / 16, rows - 1) * chunks * kChunkBytes +
                                         x.piece(i + odd) * kPieceBytes + lane % 16 * 16);
#pragma unroll
      for (int odd = 0; odd < 2; odd++)
        for (int pair = 0; pair < 2; pair++) {
          uint32_t a[4] = {w[pair][odd].x, w[pair][odd].y, w[pair][odd].z, w[pair][odd].w};
          multiply(d[pair][odd], a, x.operand[i + odd]);
        }
    }
    /* Lanes that have no sum of the first pair's take those of the second. */
    float sum = own_sum(lane, d[0][0], d[0][1]), other = own_sum(lane, d[1][0], d[1][1]);
    other = __shfl_xor_sync(~0u, other, 1);
    if (!has_sum(lane)) sum = other;
    sum += __shfl_xor_sync(~0u, sum, 2), sum += __shfl_xor_sync(~0u, sum, 4), sum += __shfl_xor_sync(~0u, sum, 9);
    int row = lane % 16 * 2 + lane / 16;
    if (lane % 16 < 2 && row < rows) sums[first + row].of_warp[warp] = sum;
    follower.pass(rows * chunks);
  }
  follower.end_run();
}
