/* All layers and the head of a step of one row in one kernel.
 *
 * Such a step reads every weight once and computes next to nothing, so its limit is the memory, and what keeps it from
 * there are the borders between kernels: launch, the latency of the first loads, the drain of the last CTA. Here a CTA
 * stays on each processor for the whole step. One thread streams the CTA's rows of all matrices, product after product
 * and layer after layer, into a ring of shared memory stages that goes on filling whatever else happens
 * (weight_stream.cuh). Sixteen warps follow with the arithmetic, and one goes ahead to look up what they will need.
 * What a product needs of another CTA's results it takes as they come (exchange.cuh); the CTAs never meet. A row of the
 * residual stream is one CTA's for the whole step, in its shared memory. */
#include "engine/cuda/cooperative.cuh"
#include "engine/cuda/single_row_attention.cuh"

/* Registers move from the warpgroup of the thread that streams to those that work. */
enum { kThreads = kWorkers + 128, kStreamRegisters = 32, kWorkRegisters = 112 };
/* Long rows of a CTA that are finished together, gate and up half of it each. Where all rows but down's are short,
 * those are few. */
template <bool kShort> constexpr int kBatch = kShort ? 32 : 96;
enum { kMostOwn = 64 }; /* rows of the residual stream */
enum { kQkv, kOutput, kGateUp, kDown, kHead, kProducts };
typedef enum { kStore, kAdd, kSwiglu, kLogits } End;
enum { kNormed = 4, kMostNormed = kNormed * 8 }; /* pieces of a warp, chunks of a row, where the vector is normalised */

/* Outputs of a product that are a CTA's, and chunks of their rows. From shared memory they are kept in registers, where
 * what lies in constant memory would be read again in every turn. */
struct Range {
  int low, high, chunks;
};

template <int D, bool kShort> struct Memory {
  RowMemory<D> row;
  alignas(16) Sums sums[2][kBatch<kShort>], squares[2];
  uint4 vector[2][kShort ? kShortPieces / 2 : 1][32]; /* by turns */
  float own[kMostOwn];
  Range range[kProducts];
  uint64_t full[kMostStages], empty[kMostStages];
  int there, end; /* of the ring, as it says */
};

/* A product, of the first layer where it is not the head. What it is of and what it gives is in the exchange. */
struct Product {
  const char *weight, *bias;
  const float *norm; /* what `from` is to be normalised with, or NULL */
  const uint32_t *from;
  void *to;
  int outputs, chunks; /* half the rows where it is gate and up */
  float share;         /* of a value in the mean of the vector's */
  End end;
};

/* The kernel's arguments: they lie in constant memory, so that what is read again and again takes no registers. */
struct Step {
  DmsCudaSingleRow m;
  Product product[kProducts];
  uint32_t *qkv, *attended;
  Findings findings;
  Stages stages;
};

template <typename T> __device__ __forceinline__ T *in_layer(T *first, const Step &step, int layer) {
  return first ? (T *)((uintptr_t)first + layer * step.m.layer_bytes) : nullptr;
}

__device__ __forceinline__ Range range_of(const Product &p) {
  return {(int)((unsigned)p.outputs * blockIdx.x / gridDim.x),
          (int)((unsigned)p.outputs * (blockIdx.x + 1) / gridDim.x), p.chunks};
}
/* Whether the product's rows are short, in a kernel of such. */
template <bool kShort> __device__ __forceinline__ bool is_short(int number) {
  return kShort && number != kDown;
}
/* Outputs that are finished together; of short rows those of a stage. */
template <bool kShort> __device__ __forceinline__ int batch_of(const Product &p, int number) {
  int rows = is_short<kShort>(number) ? (int)kStageRows : kBatch<kShort>;
  return p.end == kSwiglu ? rows / 2 : rows;
}

/* What is multiplied when: four products a layer, and the head. */
struct Phase {
  int layer, number;

  __device__ __forceinline__ Phase(const Step &step, int i)
      : layer(i / kHead), number(layer < step.m.layers ? i % kHead : (int)kHead) {}
  __device__ __forceinline__ static int all(const Step &step) { return kHead * step.m.layers + 1; }
};

template <bool kShort> __device__ void stream(const Step &step, const Ring &ring, const Range *ranges) {
  Filler filler(ring);
#pragma unroll 1
  for (int i = 0; i < Phase::all(step); i++) {
    Phase phase(step, i);
    const Product &p = step.product[phase.number];
    Range range = ranges[phase.number];
    int batch = batch_of<kShort>(p, phase.number), row = range.chunks * kChunkBytes;
    const char *from =
        in_layer(p.weight, step, phase.number == kHead ? 0 : phase.layer) + (size_t)row * (unsigned)range.low;
#pragma unroll 1
    for (int left = range.high - range.low; left > 0; left -= batch, from += batch * row) {
      int bytes = min(batch, left) * row;
      const char *up = p.end == kSwiglu ? from + (size_t)row * (unsigned)p.outputs : nullptr;
      if (is_short<kShort>(phase.number)) {
        filler.fill_stage(from, up, bytes);
      } else {
        filler.fill(from, bytes);
        if (up) filler.fill(up, bytes);
      }
    }
  }
  store_shared(ring.end, filler.filled);
}

template <int D, int kPieces, bool kShort> struct Work {
  Memory<D, kShort> &memory;
  Follower follower;
  int set = 0; /* of sums, or of the vector: the one that is written while the other may still be read */

  /* That of an output, if it is below `high`: well before it is needed. */
  __device__ __forceinline__ float load_bias(const Step &step, const Product &p, int layer, int output,
                                             int high) const {
    const char *bias = in_layer(p.bias, step, layer);
    if (!bias || output >= high) return 0;
    return p.end == kAdd ? ((const float *)bias)[output] : to_float(((const bf16 *)bias)[output]);
  }
  /* What the vector of a product that normalises it is multiplied with. */
  __device__ __forceinline__ float factor_of(const Step &step, const Product &p, const Sums &squares) const {
    return p.norm ? rsqrtf(squares.all() * p.share + step.m.rope.eps) : 1;
  }
  /* Output `at` of a CTA's, which begin at `first`, from its sum and, where it is gate and up, the other sum. */
  __device__ __forceinline__ void finish(const Step &step, const Product &p, int layer, int first, int at, float value,
                                         float up, float factor, float bias) {
    value *= factor;
    if (p.end == kLogits) {
      ((float *)p.to)[at] = value;
      return;
    }
    value = p.end == kSwiglu ? swiglu(value, up * factor) : value + bias;
    if (p.end == kAdd) value += memory.own[at - first], memory.own[at - first] = value;
    publish_value((uint32_t *)p.to + at, value, layer + 1);
  }

  /* This warp's part of the product's vector, and the lane's part of its sum of squares if it is to be normalised. */
  template <int kMost, int kMostNormal>
  __device__ __forceinline__ float await_vector(const Step &step, const Product &p, int number, int layer,
                                                Part<kMost> &x) const {
    bool first_of_all = number == kQkv && layer == 0;
    uint32_t tag = number == kQkv || number == kHead ? layer : layer + 1;
    if (p.norm)
      return x.template await_normed<kMostNormal>(first_of_all ? (const uint32_t *)step.m.x : p.from, tag,
                                                  first_of_all ? 0 : kValueMask,
                                                  in_layer(p.norm, step, number == kHead ? 0 : layer));
    x.await(p.from, tag);
    return 0;
  }
  __device__ __forceinline__ void leave_square(Sums &squares, float square, int thread) const {
    square = warp_sum(square);
    if (thread % 32 == 0) squares.of_warp[thread / 32] = square;
  }

  __device__ __forceinline__ void product(const Step &step, int number, int layer, int thread) {
    const Product &p = step.product[number];
    Part<kPieces> x{{}, thread, 2 * p.chunks};
    Sums &squares = memory.squares[set & 1];
    float square = await_vector<kPieces, kNormed>(step, p, number, layer, x);
    Range range = memory.range[number];
    int batch = batch_of<kShort>(p, number), i = threadIdx.x;
#pragma unroll 1
    for (int low = range.low; low < range.high; low += batch) {
      int n = min(batch, range.high - low);
      Sums *sums = memory.sums[set++ & 1];
      float bias = load_bias(step, p, layer, low + i, low + n);
#pragma unroll 1
      for (int half = 0; half <= (p.end == kSwiglu); half++)
        multiply_rows(follower, x, n, range.chunks, sums + half * n);
      if (p.norm && low == range.low) leave_square(squares, square, thread);
      named_barrier(1, kWorkers);
      if (i < n)
        finish(step, p, layer, range.low, low + i, sums[i].all(), p.end == kSwiglu ? sums[n + i].all() : 0,
               factor_of(step, p, squares), bias);
    }
  }

  /* A product of short rows: once they have the vector, the warps need nothing of each other. */
  __device__ __forceinline__ void short_product(const Step &step, int number, int layer, int thread) {
    const Product &p = step.product[number];
    Range range = memory.range[number];
    bool pairs = p.end == kSwiglu;
    int lane = thread % 32, team = thread / 32 / kTeam, mate = thread / 32 % kTeam, batch = batch_of<kShort>(p, number),
        stages = (range.high - range.low + batch - 1) / batch;
    /* A lane of each half of the warp finishes its row; of gate and up the first half finishes both. */
    int output = range.low + team * batch + mate + (pairs ? 0 : lane / 16 * kTeam);
    float bias = load_bias(step, p, layer, output, range.high);
    Part<1> piece{{}, thread, 2 * p.chunks};
    Sums &squares = memory.squares[set & 1];
    auto vector = memory.vector[set++ & 1];
    float square = await_vector<1, 1>(step, p, number, layer, piece);
    Whole::leave(vector, piece);
    if (p.norm) leave_square(squares, square, thread);
    named_barrier(1, kWorkers);
    Whole x;
    x.take(vector, lane);
    float factor = factor_of(step, p, squares);
    int stage = follower.stage_of(team);
#pragma unroll 1
    for (int i = team; i < stages; i += kTeams, stage = follower.further(stage), output += kTeams * batch) {
      int rows = min(batch, range.high - range.low - i * batch) * (pairs ? 2 : 1),
          apart = pairs ? rows / 2 : (int)kTeam;
      follower.await_stage(i);
      float sum =
          multiply_two(follower.ring, stage, x, min(mate, rows - 1), min(mate + apart, rows - 1), range.chunks, lane);
      follower.leave_stage(lane, stage);
      float up = pairs ? __shfl_xor_sync(~0u, sum, 16) : 0;
      if (lane % 16 == 0 && output < range.high && !(pairs && lane))
        finish(step, p, layer, range.low, output, sum, up, factor, bias);
      bias = load_bias(step, p, layer, output + kTeams * batch, range.high);
    }
    follower.pass_run(stages);
    named_barrier(1, kWorkers); /* so that none is early to look for what the others have yet to find */
  }

  __device__ void begin(const Step &step, int position) {
    Range range = memory.range[kOutput];
    int i = threadIdx.x;
    for (int j = i; j < D / 16 * 32; j += kWorkers) memory.row.query[j / 32][j % 32] = uint4{};
    if (i < D / 2) memory.row.turn[i] = step.m.rope.rope[(size_t)position * (D / 2) + i];
    if (i < range.high - range.low) memory.own[i] = step.m.x[range.low + i];
  }
  __device__ __forceinline__ void attention(const Step &step, int layer, int slot, int thread) {
    barrier_wait(&memory.row.known[layer & 1], layer >> 1 & 1);
    Share<D>(step.m, step.findings, memory.row, layer, slot, thread).run(step.qkv);
    merge(step.m, step.findings, memory.row, layer, thread, step.attended);
    __syncwarp();
    if (thread % 32 == 0) barrier_arrive(&memory.row.done[layer & 1]);
  }
  __device__ void run(const Step &step, int slot) {
    begin(step, step.m.rows.positions[0]);
#pragma unroll 1
    for (int i = 0; i < Phase::all(step); i++) {
      Phase phase(step, i);
      int thread = thread_index(i);
      if (phase.number == kHead) let_next_start();
      if (is_short<kShort>(phase.number))
        short_product(step, phase.number, phase.layer, thread);
      else
        product(step, phase.number, phase.layer, thread);
      if (phase.number == kQkv) attention(step, phase.layer, slot, thread);
    }
    Share<D>(step.m, step.findings, memory.row, 0, slot, threadIdx.x).forget();
  }
};

/* The warp that sees to it that nobody has to wait for what is known before: two layers ahead of the attention. */
template <int D> __device__ void scout(const Step &step, RowMemory<D> &row, int slot) {
  const DmsCudaSingleRow &m = step.m;
  int lane = threadIdx.x % 32;
#pragma unroll 1
  for (int layer = 0; layer < m.layers; layer++) {
    barrier_wait(&row.done[layer & 1], (layer >> 1 & 1) ^ 1);
#pragma unroll 1
    for (int of_keys = 0; of_keys < 2; of_keys++) {
      const float *norm = in_layer(of_keys ? m.rope.k_norm : m.rope.q_norm, step, layer);
      for (int i = lane; norm && i < D; i += 32) row.norm[layer & 1][of_keys][i] = norm[i];
      /* The CTAs have a line each. */
      int at = (blockIdx.x + gridDim.x * lane) * 32;
      if (at < m.output.n) prefetch_to_l2(in_layer(of_keys ? m.post_norm : m.input_norm, step, layer) + at);
    }
    if (lane < kWarps) Share<D>(m, step.findings, row, layer, slot, lane * 32).look_up();
    barrier_arrive(&row.known[layer & 1]);
  }
}

template <int D, int kPieces, bool kShort>
__global__ __launch_bounds__(kThreads, 1) void single_row_kernel(const __grid_constant__ Step step) {
  char *shared = dynamic_shared();
  Memory<D, kShort> &memory = *reinterpret_cast<Memory<D, kShort> *>(shared + step.stages.n * step.stages.bytes());
  int slot = step.m.rows.slots[0];
  if (slot < 0) return;
  if (threadIdx.x == 0) {
    for (int i = 0; i < step.stages.n; i++) barrier_init(&memory.full[i], 1), barrier_init(&memory.empty[i], kWarps);
    for (int i = 0; i < 2; i++) barrier_init(&memory.row.known[i], 32), barrier_init(&memory.row.done[i], kWarps);
    barrier_init_fence();
    memory.there = 0, memory.end = -1;
    memory.row.head = blockIdx.x % step.m.cache.kv_heads, memory.row.part = blockIdx.x / step.m.cache.kv_heads;
  }
  if (threadIdx.x < kProducts) memory.range[threadIdx.x] = range_of(step.product[threadIdx.x]);
  __syncthreads();
  Ring ring{shared, memory.full, memory.empty, &memory.there, &memory.end, step.stages};
  if (threadIdx.x < kWorkers) {
    grow_registers<kWorkRegisters>();
    Work<D, kPieces, kShort>{memory, {ring}}.run(step, slot);
  } else {
    shrink_registers<kStreamRegisters>();
    if (threadIdx.x == kWorkers) stream<kShort>(step, ring, memory.range);
    if (threadIdx.x == kWorkers + 32) count_stages(ring);
    if (threadIdx.x / 32 == kWarps + 2) scout(step, memory.row, slot);
  }
}

/* How a step runs. */
struct Shape {
  void (*kernel)(Step);
  int grid;
  Stages stages;
  gsize shared;
};

enum { kLong = 6, kLonger = 10, kLongest = 14, kMostChunks = kLongest * 8 }; /* pieces of a warp */
enum { kShortChunks = kShortPieces / 2 };

/* A kernel, how it cuts its ring, and what of its shared memory is not that. `wide`: chunks of rows before down. */
template <int D, int kPieces, bool kShort = false> static void take_kernel(int wide, Shape *shape) {
  shape->kernel = single_row_kernel<D, kPieces, kShort>, shape->shared = sizeof(Memory<D, kShort>);
  shape->stages = Stages(kShort ? MAX(kStageRows * wide, kStageChunks / 2) : (int)kStageChunks);
}

/* By the longest rows, of `wide` chunks before down and of `deep` there: the more pieces, the more registers. None
 * where rows are too long. */
template <int D> static void choose_kernel(int wide, int deep, Shape *shape) {
  int most = MAX(wide, deep);
  if (wide <= kShortChunks && most <= kLong * 8)
    take_kernel<D, kLong, true>(wide, shape);
  else if (most <= kLong * 8)
    take_kernel<D, kLong>(wide, shape);
  else if (most <= kLonger * 8)
    take_kernel<D, kLonger>(wide, shape);
  else if (most <= kMostChunks)
    take_kernel<D, kLongest>(wide, shape);
}

/* `grid` is 0 where the kernel does not take the step. */
static cudaError_t shape_of(const DmsCudaSingleRow &m, Shape *shape) {
  const DmsCudaHeads &heads = m.rope.heads;
  int bytes, processors;
  *shape = Shape{};
  cudaError_t status = ask_device(&processors, &bytes);
  if (status != cudaSuccess) return status;
  int hidden = m.output.n;
  const DmsCudaLinear *linear[] = {&m.qkv, &m.output, &m.gate_up, &m.down, &m.head};
  /* Each CTA has part of each product, so that none can run ahead of another by a whole layer. */
  for (const DmsCudaLinear *l : linear)
    if (l->k % kChunk || l->n / 2 < processors) return cudaSuccess;
  int wide = MAX(m.qkv.k, m.output.k) / kChunk, deep = m.down.k / kChunk;
  if (heads.head_dim == 64) choose_kernel<64>(wide, deep, shape);
  if (heads.head_dim == 128) choose_kernel<128>(wide, deep, shape);
  if (!shape->kernel || !processors || !overlaps((const void *)shape->kernel) || m.cache.type != DMS_CUDA_BF16 ||
      m.qkv.k > kMostNormed * kChunk || heads.group > kMostGroup || heads.kv_heads > processors ||
      heads.heads * heads.head_dim > processors * kWarps * kMergeChannels || m.rope.rule.decision == DMS_CUDA_LOGITS ||
      m.layers < 2 || m.layers > kMostTags || m.gate_up.bias || hidden > processors * kMostOwn ||
      (gsize)bytes < shape->shared)
    return cudaSuccess;
  Stages &stages = shape->stages;
  stages.n = MIN((bytes - (int)shape->shared) / stages.bytes(), (int)kMostStages);
  shape->shared += (gsize)stages.n * stages.bytes();
  /* Each team has a stage, and two of the longest rows are there at once. */
  if (stages.n >= kTeams && stages.n * stages.chunks >= 2 * MAX(wide, deep) + 2 * stages.chunks - 2)
    shape->grid = processors;
  return cudaSuccess;
}

/* What the kernel needs to know, and how much of `exchange` that takes. */
static gsize prepare(const DmsCudaSingleRow &m, const Shape &shape, Step *step) {
  const DmsCudaHeads &heads = m.rope.heads;
  int parts = shape.grid / m.cache.kv_heads, mergers = kWarps;
  while (kWarps / mergers * shape.grid * kMergeChannels < heads.heads * heads.head_dim) mergers /= 2;
  gsize found = (gsize)(parts * kWarps + 1) * heads.heads, used = 0;
  auto take = [&](gsize n) {
    uint32_t *at = (uint32_t *)m.exchange + used;
    used += (n + 31) / 32 * 32;
    return at;
  };
  uint32_t *qkv = take(m.qkv.n), *attended = take(m.output.k), *middle = take(m.output.n), *activated = take(m.down.k),
           *x = take(m.down.n), *sums = take(found * m.cache.head_dim), *tops = take(found * 2);
  auto product = [](const DmsCudaLinear &l, End end, const float *norm, const uint32_t *from, void *to) {
    return Product{(const char *)l.weight,         (const char *)l.bias, norm,       from, to,
                   end == kSwiglu ? l.n / 2 : l.n, l.k / kChunk,         1.0f / l.k, end};
  };
  *step = {m,
           {product(m.qkv, kStore, m.input_norm, x, qkv), product(m.output, kAdd, nullptr, attended, middle),
            product(m.gate_up, kSwiglu, m.post_norm, middle, activated), product(m.down, kAdd, nullptr, activated, x),
            product(m.head, kLogits, m.norm, x, m.logits)},
           qkv,
           attended,
           {(float *)sums, (float2 *)tops, parts, mergers},
           shape.stages};
  return used * sizeof(float);
}

extern "C" cudaError_t dms_cuda_single_row_plan(const DmsCudaSingleRow *row, gsize *exchange_bytes) {
  Shape shape;
  Step step;
  cudaError_t status = shape_of(*row, &shape);
  *exchange_bytes = status == cudaSuccess && shape.grid ? prepare(*row, shape, &step) : 0;
  return status;
}

extern "C" cudaError_t dms_cuda_single_row(cudaStream_t stream, const DmsCudaSingleRow *row) {
  Shape shape;
  Step step;
  cudaError_t status = shape_of(*row, &shape);
  if (status != cudaSuccess) return status;
  prepare(*row, shape, &step);
  return launch_together(stream, shape.grid, kThreads, shape.shared, shape.kernel, step);
}
