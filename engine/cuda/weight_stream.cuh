/* Weights from memory into a ring of shared memory stages, by one thread that waits for room and for nothing else, and
 * their products with one vector, by sixteen warps that follow.
 *
 * A CTA has a run of neighbouring rows of each matrix, so it reads one stretch of memory. Rows are cut into pieces of
 * 128 weights. Where they are long, stages cut the stretch without regard to rows, and pieces are dealt out to the
 * warps by their place in the row: so a lane has its part of the vector in registers for the whole product. Where rows
 * are short, it has the part of all pieces: a stage is a few whole rows, dealt out to a few warps, which need not hear
 * of the others.
 *
 * The arithmetic is the tensor cores', which leaves little to issue: mma.m16n8k16 of a piece of two rows, as eight
 * segments each, with the vector's eight segments as columns. Of the 16 x 8 sums that gives, 16 are wanted.
 *
 * All matrices of a kind go through the same instructions, or the code of a layer would not fit into the instruction
 * cache. */
#pragma once

#include "engine/cuda/exchange.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kWarps = 16, kWorkers = kWarps * 32 };
enum { kPiece = 128, kPieceBytes = kPiece * 2, kChunk = 2 * kPiece, kChunkBytes = kChunk * 2 };
enum { kStageChunks = 32, kMostStages = 20 };
/* Where rows are short: the rows of a stage, the warps that multiply them, two each, and how many such teams there are.
 */
enum { kStageRows = 4, kTeam = kStageRows / 2, kTeams = kWarps / kTeam };

/* A stage of the ring, and how often it has been passed, as the barriers count. */
struct Place {
  int stage = 0;
  uint32_t lap = 0;
};

/* More copies under way at a time would not come faster, but some processors' before others' (on an H200 by an eighth)
 * and all of them late. */
enum { kUnderWay = 48 << 10 }; /* bytes */

/* How a ring is cut. */
struct Stages {
  int n, chunks;
  int under_way;    /* at a time, at most */
  unsigned inverse; /* of the chunks, rounded up: 2^16 / chunks */

  Stages() = default;
  explicit Stages(int chunks)
      : chunks(chunks), under_way(kUnderWay / (chunks * kChunkBytes)), inverse(((1 << 16) + chunks - 1) / chunks) {}
  __host__ __device__ __forceinline__ int bytes() const { return chunks * kChunkBytes; }
  /* A stage counted on beyond the ring's end, by less than a lap. */
  __device__ __forceinline__ int wrap(int stage) const { return stage < n ? stage : stage - n; }
  /* Those that `of` chunks, no more than a ring has, fill. */
  __device__ __forceinline__ int filled(int of) const { return (int)(of * inverse >> 16); }
};

struct Ring {
  char *memory;
  uint64_t *full, *empty; /* [stages.n] */
  int *there, *end;       /* stages that have been filled; how many ever will be, as soon as that is known */
  Stages stages;

  __device__ __forceinline__ Place behind(const Place &at) const {
    return {stages.wrap(at.stage + 1), at.lap ^ (at.stage + 1 >= stages.n)};
  }
  __device__ __forceinline__ void wait_empty(const Place &at) const { barrier_wait(&empty[at.stage], at.lap ^ 1); }
};

/* The thread that fills the ring. It has few registers. */
struct Filler {
  Ring ring;
  Place next;
  int filled = 0; /* stages, or soon to be */
  uint64_t policy;

  __device__ explicit Filler(const Ring &ring) : ring(ring), policy(read_once_policy()) {}
  /* A stage of `bytes`, and as many from elsewhere behind them unless that is NULL. */
  __device__ __forceinline__ void fill_stage(const char *from, const char *more, int bytes) {
    while (load_shared(ring.there) <= filled - ring.stages.under_way) continue;
    ring.wait_empty(next);
    uint64_t *full = &ring.full[next.stage];
    char *to = ring.memory + next.stage * ring.stages.bytes();
    barrier_expect(full, more ? 2 * bytes : bytes);
    copy_once(to, from, bytes, full, policy);
    if (more) copy_once(to + bytes, more, bytes, full, policy);
    next = ring.behind(next), filled++;
  }
  /* A run of rows; it begins a stage. */
  __device__ __forceinline__ void fill(const char *from, int bytes) {
    int stage = ring.stages.bytes();
#pragma unroll 1
    for (; bytes > 0; bytes -= stage, from += stage) fill_stage(from, nullptr, min(bytes, stage));
  }
};

/* A thread that counts the stages that are there, for those that follow: asking a barrier takes 100 cycles and more,
 * reading a number 30. */
__device__ __forceinline__ void count_stages(const Ring &ring) {
  Place at;
#pragma unroll 1
  for (int n = 0; n != load_shared(ring.end);)
    if (barrier_completed(&ring.full[at.stage], at.lap)) store_shared(ring.there, ++n), at = ring.behind(at);
}

/* A warp that follows. */
struct Follower {
  Ring ring;
  int oldest = 0; /* the stage that is not yet left */
  int left = 0;   /* stages that have been left, in all */
  int passed = 0; /* chunks of the oldest stage */

  /* Waits until the next `chunks` chunks are there. */
  __device__ __forceinline__ void await(int chunks) const {
    await_stage(ring.stages.filled(passed + chunks + ring.stages.chunks - 1) - 1);
  }
  /* Where they begin, in bytes; they may go on at the ring's beginning. */
  __device__ __forceinline__ unsigned begin() const { return oldest * ring.stages.bytes() + passed * kChunkBytes; }
  __device__ __forceinline__ void pass(int lane, int chunks) {
    passed += chunks;
    int n = ring.stages.filled(passed);
    leave(lane, n), passed -= n * ring.stages.chunks;
  }
  /* Behind a run of rows: the next begins a stage. */
  __device__ __forceinline__ void end_run(int lane) {
    leave(lane, passed > 0);
    passed = 0;
  }

  /* Where rows are short: the stage that is number `i` of a run, the one after it that is the same team's, and waiting
   * for it. */
  __device__ __forceinline__ int stage_of(int i) const { return (oldest + i) % ring.stages.n; }
  __device__ __forceinline__ int further(int stage) const { return ring.stages.wrap(stage + kTeams); }
  __device__ __forceinline__ void await_stage(int i) const {
    while (load_shared(ring.there) <= left + i) continue;
  }
  /* The team alone leaves it, for all. */
  __device__ __forceinline__ void leave_stage(int lane, int stage) const {
    __syncwarp();
    if (lane < kTeams) barrier_arrive(&ring.empty[stage]);
  }
  /* A run of `n` stages has been left. */
  __device__ __forceinline__ void pass_run(int n) { left += n, oldest = stage_of(n); }

private:
  __device__ __forceinline__ void leave(int lane, int n) {
    __syncwarp();
    if (lane < n) barrier_arrive(&ring.empty[ring.stages.wrap(oldest + lane)]);
    oldest = ring.stages.wrap(oldest + n), left += n;
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
    __nanosleep(kFirstPause);
    await_all<2 * n>(
        &x[0][0], tag, mask,
        [&](int i) { return load_relaxed(reinterpret_cast<const uint2 *>(from + first(i / 2) + i % 2 * 4)); },
        [&](int i) { return has(i / 2); });
  }
};

/* What the products of two rows, of lanes 0-15 and 16-31, leave in a lane: its segments are lane / 4 % 4 and 4 more,
 * and the sum of the one whose column it has counts, if it has either's. */
__device__ __forceinline__ bool has_sum(int thread) {
  return (thread ^ thread >> 3) % 2 == 0;
}
template <int n> __device__ __forceinline__ float own_sum(int thread, const float (*d)[4]) {
  int i = (thread & 4) / 4 + (thread & 2);
  float sum[4];
#pragma unroll
  for (int j = 0; j < 4; j++)
    sum[j] = n == 1 ? d[0][j] : n == 2 ? d[0][j] + d[1][j] : d[0][j] + d[1][j] + (d[2][j] + d[3][j]);
  return i & 1 ? i & 2 ? sum[3] : sum[1] : i & 2 ? sum[2] : sum[0];
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

/* Adds up what lanes have of kPairs pairs of rows; lane 16 h + i then has the sum of row h of pair i. Lanes that have
 * nothing of a pair, and in the next round half of those that have, take over another one. */
template <int kPairs> __device__ __forceinline__ float add_lanes(int lane, float *sum) {
#pragma unroll
  for (int i = 0; i < kPairs / 2; i++) {
    float other = __shfl_xor_sync(~0u, sum[2 * i + 1], 1);
    sum[i] = has_sum(lane) ? sum[2 * i] : other;
  }
  float mine = sum[0], other = mine;
  if constexpr (kPairs == 4) mine = lane & 2 ? sum[1] : sum[0], other = lane & 2 ? sum[0] : sum[1];
  mine += __shfl_xor_sync(~0u, other, 2);
  mine += __shfl_xor_sync(~0u, mine, 4);
  return mine + __shfl_xor_sync(~0u, mine, 9);
}

__device__ __forceinline__ void multiply(float (&d)[4], const uint4 &weights, const uint32_t (&x)[2]) {
  uint32_t a[4] = {weights.x, weights.y, weights.z, weights.w};
  multiply(d, a, x);
}

/* ---- Long rows ---- */

enum { kTurnChunks = 112 }; /* of the rows that a warp multiplies in one turn, at most, if they are more than two */

/* A turn of a warp: up to 2 * kPairs rows that are there, four loads at a time; of one pair of rows four of the warp's
 * `count` pieces, of four pairs one. A row or piece that is not there is another one once more, whose sum is not wanted
 * or which is multiplied by zero. */
template <int kPairs, int kPieces>
__device__ __forceinline__ void multiply_turn(const Follower &follower, const Part<kPieces> &x, int count, int rows,
                                              int row_bytes, Sums *sums) {
  constexpr int kAtOnce = 4 / kPairs, kLimit = (kTurnChunks / kPairs + kWarps - 1) / kWarps,
                kMost = kPairs > 1 && kLimit < kPieces ? kLimit : kPieces;
  int lane = x.thread % 32, warp = x.thread / 32;
  unsigned ring_bytes = follower.ring.stages.n * follower.ring.stages.bytes(), from[kPairs];
#pragma unroll
  for (int p = 0; p < kPairs; p++)
    from[p] = follower.begin() + min(2 * p + lane / 16, rows - 1) * row_bytes + warp * kPieceBytes + lane % 16 * 16;
  float d[4][4] = {};
#pragma unroll
  for (int i = 0; i < kMost; i += kAtOnce) {
    if (i >= count) break;
    uint4 weights[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int piece = kAtOnce > 1 ? min(i + j % kAtOnce, count - 1) : i;
      unsigned at = from[j / kAtOnce] + piece * (kWarps * kPieceBytes);
      weights[j] = *reinterpret_cast<const uint4 *>(follower.ring.memory + min(at, at - ring_bytes));
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (i + j % kAtOnce < kPieces) multiply(d[j], weights[j], x.operand[i + j % kAtOnce]);
  }
  float sum[kPairs];
#pragma unroll
  for (int p = 0; p < kPairs; p++) sum[p] = own_sum<kAtOnce>(lane, d + p * kAtOnce);
  float all = add_lanes<kPairs>(lane, sum);
  int row = lane % 16 * 2 + lane / 16;
  if (lane % 16 < kPairs && row < rows) sums[row].of_warp[warp] = all;
}

/* Multiplies `n` rows of the ring, of `chunks` chunks each. */
template <int kPieces>
__device__ __forceinline__ void multiply_rows(Follower &follower, const Part<kPieces> &x, int n, int chunks,
                                              Sums *sums) {
  int at_once = chunks * 8 <= kTurnChunks   ? 8
                : chunks * 4 <= kTurnChunks ? 4
                                            : 2,
      count = (x.pieces - x.thread / 32 + kWarps - 1) / kWarps, lane = x.thread % 32;
#pragma unroll 1
  for (; n > 0; n -= at_once, sums += at_once) {
    int rows = min(at_once, n);
    follower.await(rows * chunks);
    if (at_once == 8)
      multiply_turn<4>(follower, x, count, rows, chunks * kChunkBytes, sums);
    else if (at_once == 4)
      multiply_turn<2>(follower, x, count, rows, chunks * kChunkBytes, sums);
    else
      multiply_turn<1>(follower, x, count, rows, chunks * kChunkBytes, sums);
    follower.pass(lane, rows * chunks);
  }
  follower.end_run(lane);
}

/* ---- Short rows ---- */

enum { kShortPieces = kWarps }; /* at most: a warp awaits one of the vector's */

/* All of a vector, which the warps have awaited a piece each of. */
struct Whole {
  uint32_t operand[kShortPieces][2];

  /* Leaves a warp's piece, or zeros where there is none, for all. */
  __device__ __forceinline__ static void leave(uint4 (*vector)[32], const Part<1> &piece) {
    int warp = piece.thread / 32;
    reinterpret_cast<uint2 *>(&vector[warp / 2][piece.thread % 32])[warp % 2] = {piece.operand[0][0],
                                                                                 piece.operand[0][1]};
  }
  __device__ __forceinline__ void take(const uint4 (*vector)[32], int lane) {
#pragma unroll
    for (int i = 0; i < kShortPieces; i += 2) {
      uint4 two = vector[i / 2][lane];
      operand[i][0] = two.x, operand[i][1] = two.y, operand[i + 1][0] = two.z, operand[i + 1][1] = two.w;
    }
  }
};

/* A warp's two rows of a stage that is there. Lane 0 has the sum of row `first`, lane 16 that of `second`. */
__device__ __forceinline__ float multiply_two(const Ring &ring, int stage, const Whole &x, int first, int second,
                                              int chunks, int lane) {
  const char *row =
      ring.memory + stage * ring.stages.bytes() + (lane < 16 ? first : second) * chunks * kChunkBytes + lane % 16 * 16;
  float d[4][4] = {}, sum[1];
#pragma unroll
  for (int i = 0; i < kShortPieces; i += 4) {
    if (i >= 2 * chunks) break;
    /* Behind an odd chunk is itself once more, times zeros. */
    const char *even = row + i * kPieceBytes, *odd = even + (i / 2 + 1 < chunks ? kChunkBytes : 0);
    uint4 weights[4];
#pragma unroll
    for (int j = 0; j < 4; j++)
      weights[j] = *reinterpret_cast<const uint4 *>((j < 2 ? even : odd) + j % 2 * kPieceBytes);
    __syncwarp(); /* or the compiler would have each load wait for the product of the one before */
#pragma unroll
    for (int j = 0; j < 4; j++) multiply(d[j], weights[j], x.operand[i + j]);
  }
  sum[0] = own_sum<4>(lane, d);
  return add_lanes<1>(lane, sum);
}
