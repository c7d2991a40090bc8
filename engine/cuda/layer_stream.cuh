/* What layer_products.cu fetches: how products are cut, where in shared memory what is, and the warps that bring it. */
#pragma once

#include "engine/cuda/cluster.cuh"
#include "engine/cuda/tile_launch.cuh"
#include "engine/cuda/warpgroup.cuh"

enum { kRanks = DMS_CUDA_PRODUCT_RANKS, kMostClusters = DMS_CUDA_PRODUCT_CLUSTERS };
enum { kBlock = 64 };                                           /* weight rows of a tensor core product */
enum { kWarps = 8, kThreads = kWarps * 32 + 128 };              /* two warpgroups multiply; one fetches */
enum { kStages = 16, kSlots = 8 };                              /* under way at most; boxes of x */
enum { kArrivals = kRanks * kWarps };                           /* of all warps of a cluster that multiply */
enum { kFinishers = DMS_CUDA_PRODUCT_SQUARES / kMostClusters }; /* warps that finish the same rows */
enum { kMostHeight = 248, kShort = 144 };                       /* weight rows of a box; of boxes that go two by two */
enum { kPause = 64 };                                           /* nanoseconds between two looks at the counters */
enum { kAlignment = 1024 };

enum { kOutput, kGateUp, kDown, kQkv, kPhases };

/* A product as it is cut. `height`: weight rows of a box; `together`: boxes of weights and of x that make a stage;
 * `passes`: over the depth, each for a part of a CTA's outputs. */
struct Phase {
  int units, height, boxes, together, passes;

  __host__ __device__ int bytes() const { return height * kRowBytes; } /* of a box */
};

struct Layer {
  CUtensorMap weight[kPhases], x[kPhases];
  Phase phase[kPhases];
  int first, end; /* phases that run */
  int clusters, ring_bytes;
  DmsCudaLayerProducts step;
};

#ifdef DMS_WARPGROUPS

__device__ __forceinline__ bool by_depth(int phase) {
  return phase != kGateUp;
}
__device__ __forceinline__ int cluster_index() {
  return blockIdx.x / kRanks;
}

/* What this CTA takes of a phase: outputs, and boxes of the depth. */
struct Share {
  int first, outputs, box, end;
};
__device__ __forceinline__ Share share_of(const Layer &l, int phase, int pass = 0) {
  const Phase &p = l.phase[phase];
  int ranks = by_depth(phase) ? kRanks : 1, part = by_depth(phase) ? cluster_rank() : 0;
  int mine = blockIdx.x / ranks * p.passes + pass, all = l.clusters * kRanks / ranks * p.passes;
  int first = p.units * mine / all;
  return {first * kUnit, (p.units * (mine + 1) / all - first) * kUnit, p.boxes * part / ranks,
          p.boxes * (part + 1) / ranks};
}

/* Where the boxes of weights lie around the ring: none across its end. */
struct Place {
  int stage = 0, offset = 0;
  unsigned passed = 0; /* bytes, with what was left out at the ring's end */

  /* Before a phase of such boxes. One is kept until the next one has come: where they might not both fit behind the
   * ring's end and before it, they begin at its start. */
  __device__ __forceinline__ void begin(int bytes, int ring_bytes) {
    if (3 * bytes > ring_bytes && offset) passed += ring_bytes - offset, offset = 0;
  }
  __device__ __forceinline__ void fit(int bytes, int ring_bytes) {
    if (offset + bytes > ring_bytes) passed += ring_bytes - offset, offset = 0;
  }
  __device__ __forceinline__ void pass(int bytes) { offset += bytes, passed += bytes; }
};

struct Barriers {
  uint64_t full[kStages], empty[kStages]; /* stages */
  uint64_t empty_all[kSlots];             /* of x in all CTAs of the cluster, where they are filled together */
  uint64_t x_read;                        /* no product of the cluster reads x any more: sums may take its place */
  uint64_t sums;                          /* of all parts of the depth have come */
  uint64_t x_free;                        /* nobody of the cluster reads sums any more: x may come */
  uint64_t written;                       /* this CTA's part of the residual stream */
  uint64_t factors;                       /* of the rows' norm are there */
  uint64_t columns;                       /* what the end of a product needs is there */
  unsigned start[kStages];                /* what had passed where a stage begins: the fetching thread's own */
};

/* What the end of a product needs of a cluster's outputs. */
struct alignas(16) Columns {
  float post_norm[kMostHeight], next_norm[kMostHeight];
  float output_bias[kMostHeight], down_bias[kMostHeight], qkv_bias[kMostHeight];
};

template <int kColumns> struct StaticMemory {
  Barriers barriers;
  Columns columns;
  float factors[kColumns]; /* 1 / rms of the rows */
};

/* A CTA's shared memory. */
template <int kColumns> struct Memory {
  static constexpr int kSlotBytes = kColumns * kRowBytes;
  static constexpr int kRows = kColumns / kRanks, kQuads = kRows / 4; /* that a CTA finishes */
  char *ring, *x; /* weights; slots of x, and between two phases sums of kRanks parts, as at() says */
  char *residual; /* of the rows and outputs that this CTA finishes, as at() says */
  Barriers *barriers;
  Columns *columns;
  float *factors;

  __device__ Memory(int ring_bytes, StaticMemory<kColumns> &s)
      : barriers(&s.barriers), columns(&s.columns), factors(s.factors) {
    char *memory = dynamic_shared();
    ring = memory + (kAlignment - shared_address(memory) % kAlignment) % kAlignment;
    x = ring + ring_bytes;
    residual = x + kSlots * kSlotBytes;
  }
  /* Bytes before four rows of an output, in such an order that neighbouring lanes meet in no bank. */
  static __device__ __forceinline__ int at(int output, int quad) {
    return (output * kQuads + (quad ^ output * kQuads / 8 % kQuads)) * (int)sizeof(float4);
  }
};

/* One thread: the weights of all phases. */
template <int kColumns> __device__ void fetch_weights(const Layer &l, const Memory<kColumns> &m) {
  Place place;
  Barriers *b = m.barriers;
  int oldest = 0;
  uint64_t once = read_once_policy();
  for (int phase = l.first; phase < l.end; phase++) prefetch_map(&l.weight[phase]);
  for (int phase = l.first, pass = 0; phase < l.end; ++pass == l.phase[phase].passes ? pass = 0, phase++ : 0) {
    const Phase &p = l.phase[phase];
    Share share = share_of(l, phase, pass);
    int bytes = p.bytes();
    place.begin(bytes * p.together, l.ring_bytes);
    for (int box = share.box; box < share.end; box += p.together, place.stage++) {
      uint64_t *full = &b->full[place.stage % kStages];
      int boxes = min(p.together, share.end - box);
      for (int i = 0; i < boxes; i++) {
        place.fit(bytes, l.ring_bytes);
        while (oldest < place.stage && (place.stage - oldest == kStages ||
                                        place.passed + bytes - b->start[oldest % kStages] > (unsigned)l.ring_bytes)) {
          barrier_wait(&b->empty[oldest % kStages], oldest / kStages & 1);
          oldest++;
        }
        if (i == 0) b->start[place.stage % kStages] = place.passed, barrier_expect(full, boxes * bytes);
        copy_groups_once(m.ring + place.offset, &l.weight[phase], (box + i) * kDepth, share.first / kUnit, full, once);
        place.pass(bytes);
      }
    }
  }
}

/* A warp waits until the clusters have written outputs `first` .. `end` - 1 of a phase. It is to ask when this CTA has
 * written its own, as then the others will soon have: what asks for a place in memory is in the way of what goes there.
 */
__device__ __forceinline__ void await_outputs(const Layer &l, int phase, int first, int end) {
  int lane = threadIdx.x % 32, units = l.phase[phase].units;
  int from = units * lane / l.clusters * kUnit, to = units * (lane + 1) / l.clusters * kUnit;
  const int32_t *arrivals = l.step.arrivals + phase * kMostClusters + lane;
  bool needed = lane < l.clusters && from < end && to > first;
  while (needed && load_acquire(arrivals) < kRanks) __nanosleep(kPause);
  __syncwarp();
}

/* One warp: x of all phases, as soon as it is there. */
template <int kColumns> __device__ void fetch_x(const Layer &l, const Memory<kColumns> &m) {
  constexpr int kSlice = kColumns / kRanks < 8 ? 8 : kColumns / kRanks;
  Barriers *b = m.barriers;
  int rank = cluster_rank(), stage = 0, slot = 0, lane = threadIdx.x % 32;
  if (lane < kPhases) prefetch_map(&l.x[lane]);
  wait_for_previous();
  for (int phase = l.first; phase < l.end; phase++) {
    const Phase &p = l.phase[phase];
    Share share = share_of(l, phase);
    if (phase > l.first) {
      barrier_wait(&b->x_free, (phase - l.first - 1) & 1);
      await_outputs(l, phase - 1, share.box * kDepth, share.end * kDepth);
    }
    if (phase + 1 == l.end) let_next_start();
    proxy_fence();
    int ahead = kSlots / p.together; /* stages; so many find their slots empty */
    for (int box = share.box, i = 0, pass = 0; pass < p.passes; stage++, i++) {
      int boxes = min(p.together, share.end - box), before = stage - ahead;
      if (i >= ahead && by_depth(phase)) barrier_wait(&b->empty[before % kStages], before / kStages & 1);
      if (i >= ahead && !by_depth(phase)) barrier_wait(&b->empty_all[i % ahead], (i / ahead - 1) & 1);
      uint64_t *full = &b->full[stage % kStages];
      if (lane == 0) barrier_expect(full, boxes * m.kSlotBytes);
      for (int j = 0; lane == 0 && j < boxes; j++, slot++) {
        char *to = m.x + slot % kSlots * m.kSlotBytes;
        if (by_depth(phase))
          copy_box(to, &l.x[phase], (box + j) * kDepth, 0, full);
        else if (rank * kSlice < kColumns)
          copy_box_to_cluster(to + rank * kSlice * kRowBytes, &l.x[phase], (box + j) * kDepth, rank * kSlice, full,
                              (1 << kRanks) - 1);
      }
      box += p.together;
      if (box >= share.end) box = share.box, pass++;
    }
    __syncwarp();
  }
}

/* Two warps, of which this is `warp`: 1 / rms of the rows, for each phase that reads the residual stream. */
template <int kColumns> __device__ void find_factors(const Layer &l, const Memory<kColumns> &m, int warp) {
  const DmsCudaLayerProducts &s = l.step;
  int lane = threadIdx.x % 32, row = warp * 32 + lane, times = 0;
  for (int phase = l.first; phase < l.end; phase++) {
    if (phase != kGateUp && phase != kQkv) continue;
    int hidden = l.phase[phase].boxes * kDepth;
    if (phase > l.first) {
      barrier_wait(&m.barriers->written, times++ & 1);
      if (warp == 0) await_outputs(l, phase - 1, 0, hidden);
      named_barrier(2, 2 * 32);
    }
    if (row < kColumns) {
      const float4 *squares = reinterpret_cast<const float4 *>(s.squares + row * DMS_CUDA_PRODUCT_SQUARES);
      float sum = 0;
#pragma unroll 4
      for (int i = 0; i < DMS_CUDA_PRODUCT_SQUARES / 4; i++) {
        float4 q = row < s.rows ? __ldcg(squares + i) : float4{};
        sum += q.x + q.y + q.z + q.w;
      }
      m.factors[row] = rsqrtf(sum / hidden + s.eps);
    }
    __syncwarp();
    if (lane == 0) barrier_arrive(&m.barriers->factors);
  }
}

/* Two warps, of which this is `warp`: what the ends of products need. What lies in memory they ask for together. */
template <int kColumns> __device__ void fetch_columns(const Layer &l, const Memory<kColumns> &m, int warp) {
  const DmsCudaLayerProducts &s = l.step;
  int lane = threadIdx.x % 32, hidden = l.phase[kOutput].units * kUnit, first_row = cluster_rank() * m.kRows;
  Share share = l.first == kOutput ? share_of(l, kOutput) : Share{},
        of_qkv = l.end == kPhases ? share_of(l, kQkv) : Share{};
  for (int i = warp * 32 + lane; i < share.outputs; i += 2 * 32) {
    int output = share.first + i;
    float post_norm = s.post_norm[output], next_norm = s.next_norm[output],
          output_bias = s.output.bias ? ((const float *)s.output.bias)[output] : 0,
          down_bias = s.down.bias ? ((const float *)s.down.bias)[output] : 0;
    m.columns->post_norm[i] = post_norm, m.columns->next_norm[i] = next_norm;
    m.columns->output_bias[i] = output_bias, m.columns->down_bias[i] = down_bias;
  }
  for (int i = warp * 32 + lane; i < of_qkv.outputs; i += 2 * 32)
    m.columns->qkv_bias[i] = s.qkv.bias ? to_float(((const bf16 *)s.qkv.bias)[of_qkv.first + i]) : 0;
  wait_for_previous();
  for (int i = warp * 32 + lane; i < share.outputs; i += 2 * 32) {
    float value[m.kQuads][4];
#pragma unroll
    for (int j = 0; j < m.kRows; j++)
      value[j / 4][j % 4] =
          first_row + j < s.rows ? __ldcg(s.x + (size_t)(first_row + j) * hidden + share.first + i) : 0;
#pragma unroll
    for (int quad = 0; quad < m.kQuads; quad++)
      *reinterpret_cast<float4 *>(m.residual + m.at(i, quad)) = *reinterpret_cast<const float4 *>(value[quad]);
  }
  __syncwarp();
  if (lane == 0) barrier_arrive(&m.barriers->columns);
}
#endif
