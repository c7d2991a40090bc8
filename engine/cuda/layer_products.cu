/* All matrix products between the attention of two layers in one kernel, for steps of up to 64 rows, on Hopper: output,
 * gate and up, down, and the next layer's qkv, with the norms, SwiGLU and the residual stream between them.
 *
 * Up to 64 rows a product takes as long as reading its weights. As a kernel each, products start and end with several
 * microseconds in which nothing is read. Here one thread a CTA copies the weights of all four into shared memory, as
 * far ahead as that holds them, and does not care where one product ends; what the CTAs do there is hidden behind it:
 *
 * - A product out [rows][n] = x [rows][k] weight [n][k]^T is cut among clusters of kRanks CTAs. Where n is small
 *   (output, down, qkv) a cluster takes some outputs and each of its CTAs a part of the depth k; then each sends its
 *   sums to the CTAs that finish the rows. Of gate and up each CTA takes some outputs and the whole depth, and x is
 *   copied into all CTAs of the cluster at once.
 * - Weights are the tensor cores' operand of 64 rows (wgmma), the rows of x its columns. Boxes of 64 k of weights lie
 *   one behind the other around a ring, boxes of x in slots of a smaller one.
 * - Gate and up lie in shared memory in groups of 8 rows by turns, so that a thread has both of a pair.
 * - A CTA that has written its results counts up a counter of its cluster, and who reads them waits for the counters of
 *   the clusters that write what it reads. All CTAs run at once: there are no more than fit, kernels before this one
 *   end without it, and the next one starts when all of this one's CTAs have.
 * - RMSNorm is a factor of each row, found beside the product that it belongs to: x lacks it.
 *
 * Sums are added up in the same order always: the same step gives the same bits. */
#include "engine/cuda/layer_stream.cuh"

#ifdef DMS_WARPGROUPS

/* ---- What multiplies ---- */

/* Where two warpgroups are in the rings, and how often they waited. */
struct Progress {
  Place place;
  int slot = 0, sums = 0, factors = 0;
};

/* The first weight row of a warp's 16 in block `block` of its warpgroup, which takes every second one. */
__device__ __forceinline__ int first_row(int block) {
  return (threadIdx.x / 128 + 2 * block) * kBlock + threadIdx.x / 32 % 4 * 16;
}

/* The products of a stage. */
template <int kBoxes, int kColumns, int kCount>
__device__ __forceinline__ void multiply_stage(const Memory<kColumns> &m, int bytes, int ring_bytes, uint64_t weights,
                                               uint64_t x, Progress &at, float (&sum)[kCount][kColumns / 2]) {
  uint64_t weights_at[kBoxes], x_at[kBoxes];
#pragma unroll
  for (int box = 0; box < kBoxes; box++) {
    at.place.fit(bytes, ring_bytes);
    weights_at[box] = weights + (at.place.offset >> 4), x_at[box] = x + (at.slot++ % kSlots * m.kSlotBytes >> 4);
    at.place.pass(bytes);
  }
  barrier_wait(&m.barriers->full[at.place.stage % kStages], at.place.stage / kStages & 1);
  begin_products();
#pragma unroll
  for (int box = 0; box < kBoxes; box++)
#pragma unroll
    for (int k = 0; k < kDepth / 16; k++)
#pragma unroll
      for (int block = 0; block < kCount; block++)
        multiply_tiles(sum[block], weights_at[box] + block * (2 * kBlock * kRowBytes >> 4) + 2 * k, x_at[box] + 2 * k);
  end_products();
}

template <int kTogether, int kColumns, int kCount>
__device__ __forceinline__ void multiply(const Layer &l, const Memory<kColumns> &m, int phase, int pass,
                                         const Share &share, Progress &at, float (&sum)[kCount][kColumns / 2]) {
  constexpr int kTurns = kSlots / kTogether;
  Barriers *b = m.barriers;
  int lane = threadIdx.x % 32, bytes = l.phase[phase].bytes(), ring_bytes = l.ring_bytes;
  int boxes = share.end - share.box, stages = boxes / kTogether, before = pass * ((boxes + kTogether - 1) / kTogether);
  bool all = !by_depth(phase);
  /* Descriptors of the rings' beginnings. */
  uint64_t weights = describe_tile(m.ring + first_row(0) / kBlock * kBlock * kRowBytes), x = describe_tile(m.x);
  auto release = [&](int stage, int i) {
    __syncwarp();
    if (lane == 0) barrier_arrive(&b->empty[stage % kStages]);
    if (all && lane < kRanks) barrier_arrive_at(&b->empty_all[(before + i) % kTurns], lane);
  };
#pragma unroll
  for (int block = 0; block < kCount; block++)
#pragma unroll
    for (int i = 0; i < kColumns / 2; i++) sum[block][i] = 0;
  at.place.begin(bytes * kTogether, ring_bytes);
#pragma unroll 1
  for (int i = 0; i < stages; i++) {
    multiply_stage<kTogether>(m, bytes, ring_bytes, weights, x, at, sum);
    wait_for_products<1>();
    if (i) release(at.place.stage - 1, i - 1);
    at.place.stage++;
  }
  at.place.stage--;
  wait_for_products<0>();
  release(at.place.stage++, stages - 1);
  if (kTogether > 1 && boxes % kTogether) {
    multiply_stage<1>(m, bytes, ring_bytes, weights, x, at, sum);
    wait_for_products<0>();
    release(at.place.stage++, stages);
  }
}

/* Each CTA's sums go to those that finish their rows. */
template <int kColumns, int kCount>
__device__ __forceinline__ void send_sums(const Memory<kColumns> &m, int height, const Progress &at,
                                          const float (&sum)[kCount][kColumns / 2]) {
  Barriers *b = m.barriers;
  int lane = threadIdx.x % 32;
  if (threadIdx.x == 0) barrier_expect(&b->sums, kColumns * height * (int)sizeof(float));
  __syncwarp();
  if (lane < kRanks) barrier_arrive_at(&b->x_read, lane);
  barrier_wait(&b->x_read, at.sums & 1);
#pragma unroll
  for (int block = 0; block < kCount; block++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int output = first_row(block) + half * 8 + lane / 4;
      if (output >= height) continue;
#pragma unroll
      for (int i = 0; i < kColumns / 8; i++) {
        int row = 8 * i + lane % 4 * 2, rank = row / m.kRows;
        char *to = m.x + m.at(cluster_rank() * height + output, row % m.kRows / 4) + row % 4 * sizeof(float);
        const float *two = sum[block] + 4 * i + 2 * half;
        store_async(address_at(to, rank), two[0], two[1], address_at(&b->sums, rank));
      }
    }
}

/* This CTA's rows of a cluster's outputs: all parts of the depth added up, in their order. kAdd: to the residual
 * stream, and what the next product reads; else the next layer's qkv. A lane has four rows of an output; kFinishers
 * warps have the same rows. */
template <int kColumns, bool kAdd>
__device__ __forceinline__ void finish_rows(const Layer &l, const Memory<kColumns> &m, int phase, Progress &at) {
  const DmsCudaLayerProducts &s = l.step;
  Share share = share_of(l, phase);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, quad = warp % m.kQuads, part = warp / m.kQuads;
  int row = cluster_rank() * m.kRows + quad * 4, height = l.phase[phase].height, n = l.phase[phase].units * kUnit;
  const Columns &c = *m.columns;
  const float *norm = phase == kOutput ? c.post_norm : c.next_norm;
  const float *bias = phase == kOutput ? c.output_bias : phase == kDown ? c.down_bias : c.qkv_bias;
  float square[4] = {};
  barrier_wait(&m.barriers->columns, 0);
  if (!kAdd) barrier_wait(&m.barriers->factors, at.factors++ & 1);
  barrier_acquire(&m.barriers->sums, at.sums++ & 1);
  if (part >= kFinishers) return;
#pragma unroll 1
  for (int i = part * 32 + lane; i < share.outputs; i += kFinishers * 32) {
    float value[4] = {};
    auto add = [&](const char *from) {
      float4 x = *reinterpret_cast<const float4 *>(from);
      value[0] += x.x, value[1] += x.y, value[2] += x.z, value[3] += x.w;
    };
#pragma unroll
    for (int r = 0; r < kRanks; r++) add(m.x + m.at(r * height + i, quad));
    char *residual = m.residual + m.at(i, quad);
    if (kAdd) add(residual);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      size_t place = (size_t)(row + j) * n + share.first + i;
      value[j] = (kAdd ? value[j] : value[j] * m.factors[row + j]) + bias[i];
      square[j] += value[j] * value[j];
      if (row + j >= s.rows) continue;
      if (phase == kDown) s.x[place] = value[j];
      ((bf16 *)(kAdd ? s.normed : s.qkv_out))[place] = __float2bfloat16(kAdd ? value[j] * norm[i] : value[j]);
    }
    if (phase == kOutput) *reinterpret_cast<float4 *>(residual) = *reinterpret_cast<const float4 *>(value);
  }
#pragma unroll
  for (int j = 0; kAdd && j < 4; j++) {
    square[j] = warp_sum(square[j]);
    if (lane == 0 && row + j < s.rows)
      s.squares[(row + j) * DMS_CUDA_PRODUCT_SQUARES + cluster_index() * kFinishers + part] = square[j];
  }
}

/* What SwiGLU makes of a thread's gates and ups, which are 8 rows apart. */
template <int kColumns, int kCount>
__device__ __forceinline__ void activate(const Layer &l, const Memory<kColumns> &m, const Share &share, int pass,
                                         Progress &at, const float (&sum)[kCount][kColumns / 2]) {
  const DmsCudaLayerProducts &s = l.step;
  int lane = threadIdx.x % 32, n = l.phase[kGateUp].units * kUnit;
  if (pass == 0) barrier_wait(&m.barriers->factors, at.factors++ & 1);
#pragma unroll
  for (int i = 0; i < kColumns / 8; i++) {
    const float2 factor = *reinterpret_cast<const float2 *>(m.factors + i * 8 + lane % 4 * 2);
    int row = i * 8 + lane / 4;
#pragma unroll
    for (int block = 0; block < kCount; block++) {
      const float *pair = sum[block] + 4 * i;
      uint32_t two = transpose(
          pack(swiglu(pair[0] * factor.x, pair[2] * factor.x), swiglu(pair[1] * factor.y, pair[3] * factor.y)));
      int unit = first_row(block) / 2;
      if (row < s.rows && unit < share.outputs)
        *reinterpret_cast<uint32_t *>((bf16 *)s.activated + (size_t)row * n + share.first + unit + lane % 4 * 2) = two;
    }
  }
}

template <int kColumns, int kCount>
__device__ __forceinline__ void run_pass(const Layer &l, const Memory<kColumns> &m, int phase, int pass, Progress &at) {
  Share share = share_of(l, phase, pass);
  float sum[kCount][kColumns / 2];
  if (l.phase[phase].together == 2)
    multiply<2>(l, m, phase, pass, share, at, sum);
  else
    multiply<1>(l, m, phase, pass, share, at, sum);
  if (by_depth(phase))
    send_sums<kColumns, kCount>(m, l.phase[phase].height, at, sum);
  else
    activate<kColumns, kCount>(l, m, share, pass, at, sum);
}

template <int kColumns> __device__ void multiply_all(const Layer &l, const Memory<kColumns> &m) {
  Progress at;
  for (int phase = l.first, pass = 0; phase < l.end;) {
    int blocks = (l.phase[phase].height + kBlock - 1) / kBlock;
    if (blocks - (int)threadIdx.x / 128 > 2) /* blocks of this warpgroup; where it has none, it multiplies for nobody */
      run_pass<kColumns, 2>(l, m, phase, pass, at);
    else
      run_pass<kColumns, 1>(l, m, phase, pass, at);
    if (++pass < l.phase[phase].passes) continue;
    if (phase == kQkv)
      finish_rows<kColumns, false>(l, m, phase, at);
    else if (by_depth(phase))
      finish_rows<kColumns, true>(l, m, phase, at);
    __syncwarp();
    if (threadIdx.x % 32 < kRanks) barrier_arrive_at(&m.barriers->x_free, threadIdx.x % 32);
    if (threadIdx.x % 32 == 0 && (phase == kOutput || phase == kDown)) barrier_arrive(&m.barriers->written);
    named_barrier(1, kWarps * 32);
    if (threadIdx.x == 0) count_arrival(l.step.arrivals + phase * kMostClusters + cluster_index());
    phase++, pass = 0;
  }
  barrier_wait(&m.barriers->x_free, (l.end - l.first - 1) & 1); /* nobody reaches for this CTA's memory any more */
}
#endif

template <int kColumns>
__global__ __launch_bounds__(kThreads, 1) void layer_products_kernel(const __grid_constant__ Layer l) {
#ifdef DMS_WARPGROUPS
  Memory<kColumns> m(l.ring_bytes, static_shared<StaticMemory<kColumns>>());
  Barriers *b = m.barriers;
  int warp = threadIdx.x / 32;
  bool leads = threadIdx.x % 32 == 0;
  if (threadIdx.x == kWarps * 32) {
    for (int i = 0; i < kStages; i++) barrier_init(&b->full[i], 2), barrier_init(&b->empty[i], kWarps);
    for (int i = 0; i < kSlots; i++) barrier_init(&b->empty_all[i], kArrivals);
    barrier_init(&b->x_read, kArrivals), barrier_init(&b->sums, 1), barrier_init(&b->x_free, kArrivals);
    barrier_init(&b->factors, 2), barrier_init(&b->columns, 2), barrier_init(&b->written, kWarps);
    barrier_init_fence();
  }
  cluster_arrive_relaxed();
  cluster_wait();
  if (warp < kWarps) {
    grow_registers<232>();
    multiply_all<kColumns>(l, m);
  } else {
    shrink_registers<40>();
    if (warp == kWarps && leads) fetch_weights<kColumns>(l, m);
    if (warp == kWarps + 1) fetch_x<kColumns>(l, m);
    if (warp >= kWarps + 2)
      fetch_columns<kColumns>(l, m, warp - kWarps - 2), find_factors<kColumns>(l, m, warp - kWarps - 2);
  }
#endif
}

/* ---- Launch ---- */

typedef void Kernel(Layer);

static int columns_of(int rows) {
  return rows <= 16 ? 16 : rows <= 32 ? 32 : 64;
}
static Kernel *kernel_of(int rows) {
  int columns = columns_of(rows);
  return columns == 16   ? layer_products_kernel<16>
         : columns == 32 ? layer_products_kernel<32>
                         : layer_products_kernel<64>;
}

/* FALSE: the kernel does not take the product. */
static bool cut(const DmsCudaLinear &linear, int phase, int clusters, int ring_bytes, Phase *out) {
  bool pairs = phase == kGateUp;
  int n = pairs ? linear.n / 2 : linear.n, units = n / kUnit, ctas = pairs ? clusters * kRanks : clusters;
  *out = {units, 0, linear.k / kDepth, 1, 1};
  for (;; out->passes++) {
    out->height = round_up(units, ctas * out->passes) * kUnit * (pairs ? 2 : 1);
    if (!pairs || (out->height <= kMostHeight && 4 * out->bytes() <= ring_bytes)) break;
    if (out->height == 2 * kUnit) return false;
  }
  if (out->height <= kShort && out->boxes >= 2 * kRanks) out->together = 2;
  return n % kUnit == 0 && linear.k % (kRanks * kDepth) == 0 && out->height <= kMostHeight &&
         2 * out->together * out->bytes() <= ring_bytes && !(pairs && linear.bias);
}

/* Shared memory beside the ring: slots of x, the residual stream. */
static int other_bytes(const DmsCudaLayerProducts &step, int clusters) {
  int columns = columns_of(step.rows), hidden = step.qkv.weight ? step.qkv.k : step.output.n;
  return kSlots * columns * kRowBytes +
         columns / kRanks * round_up(hidden, kUnit * clusters) * kUnit * (int)sizeof(float);
}

/* Of `clusters` 0 where the kernel does not take the layer. */
static cudaError_t cut_layer(const DmsCudaLayerProducts &step, Layer *l, int *shared) {
  const DmsCudaLinear *linear[] = {&step.output, &step.gate_up, &step.down, &step.qkv};
  *l = Layer{};
  l->step = step, l->first = step.output.weight ? kOutput : kQkv, l->end = step.qkv.weight ? kPhases : kQkv;
  cudaError_t status = ask_clusters(kernel_of(step.rows), kRanks, kThreads, &l->clusters, shared);
  l->clusters = MIN(l->clusters, (int)kMostClusters);
  if (status != cudaSuccess || !l->clusters) return status;
  l->ring_bytes = (*shared - kAlignment - other_bytes(step, l->clusters)) / kAlignment * kAlignment;
  bool takes = step.rows <= DMS_CUDA_PRODUCT_ROWS;
  for (int phase = l->first; phase < l->end && takes; phase++)
    takes = cut(*linear[phase], phase, l->clusters, l->ring_bytes, &l->phase[phase]);
  if (!takes) l->clusters = 0;
  return status;
}

extern "C" cudaError_t dms_cuda_layer_products_takes(const DmsCudaLayerProducts *step, int *takes) {
  Layer l;
  int shared;
  cudaError_t status = cut_layer(*step, &l, &shared);
  *takes = l.clusters > 0;
  return status;
}

extern "C" cudaError_t dms_cuda_layer_products(cudaStream_t stream, const DmsCudaLayerProducts *step) {
  Layer l;
  int shared, columns = columns_of(step->rows), slice = columns / kRanks < 8 ? 8 : columns / kRanks;
  const DmsCudaLinear *linear[] = {&step->output, &step->gate_up, &step->down, &step->qkv};
  const void *x[] = {step->attended, step->normed, step->activated, step->normed};
  cudaError_t status = cut_layer(*step, &l, &shared);
  for (int phase = l.first; phase < l.end && status == cudaSuccess; phase++) {
    status = map_weights(&l.weight[phase], *linear[phase], phase == kGateUp, l.phase[phase].height);
    if (status == cudaSuccess)
      status = map_x(&l.x[phase], x[phase], step->rows, linear[phase]->k, phase == kGateUp ? slice : columns);
  }
  if (status != cudaSuccess) return status;
  ClusterLaunch launch(stream, kRanks, kThreads, kAlignment + l.ring_bytes + other_bytes(*step, l.clusters));
  launch.config.gridDim = dim3(l.clusters * kRanks);
  return cudaLaunchKernelEx(&launch.config, kernel_of(step->rows), l);
}
