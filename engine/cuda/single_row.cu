/* All layers and the head of a step of one row in one kernel.
 *
 * Such a step reads every weight once and computes next to nothing, so its limit is the memory, and what keeps it from
 * there are the borders between kernels: launch, the latency of the first loads, the drain of the last CTA. Here a CTA
 * stays on each processor for the whole step. One thread streams the CTA's rows of all matrices, product after product
 * and layer after layer, into a ring of shared memory stages that goes on filling whatever else happens
 * (weight_stream.cuh). Sixteen warps follow with the arithmetic. What a product needs of another CTA's results it takes
 * as they come (exchange.cuh); the CTAs never meet. A row of the residual stream is one CTA's for the whole step, in
 * its shared memory. */
#include "engine/cuda/cooperative.cuh"
#include "engine/cuda/single_row_attention.cuh"

/* Registers move from the warpgroup of the thread that streams to those that work. */
enum { kThreads = kWorkers + 128, kStreamRegisters = 32, kWorkRegisters = 112 };
enum { kBatch = 128 };  /* rows of a CTA that are finished together; gate and up are half of it each */
enum { kMostOwn = 64 }; /* rows of the residual stream */

template <int D> struct Memory {
  RowMemory<D> row;
  alignas(16) float squares[2][kWarps];
  float sums[2][kBatch][kWarps + 1], own[kMostOwn];
  uint64_t full[kMostStages], empty[kMostStages];
};

typedef enum { kStore, kAdd, kSwiglu, kLogits } End;

/* A product, of the first layer where it is not the head. What it is of and what it gives is in the exchange. */
struct Product {
  const char *weight, *bias;
  const float *norm; /* what `from` is to be normalised with, or NULL */
  const float *from;
  float *to;
  int outputs, chunks; /* half the rows where it is gate and up */
  End end;
};
enum { kQkv, kOutput, kGateUp, kDown, kHead, kProducts };

/* The kernel's arguments: they lie in constant memory, so that what is read again and again takes no registers. */
struct Step {
  DmsCudaSingleRow m;
  Product product[kProducts];
  float *qkv, *attended;
  Findings findings;
  int stages, slot;
};

/* How rows of up to kGroup * kChunks chunks are multiplied: see multiply_rows(). */
template <int kGroup_, int kChunks_, int kRows_> struct Kind {
  enum { kGroup = kGroup_, kChunks = kChunks_, kRows = kRows_, kMost = kGroup * kChunks };
};
typedef Kind<3, 2, 4> Short;
typedef Kind<16, 1, 4> Middle;
typedef Kind<16, 3, 2> Long;
typedef Kind<16, 5, 1> Longer;
typedef Kind<16, 7, 1> Longest;

template <typename T> __device__ __forceinline__ T *in_layer(T *first, const Step &step, int layer) {
  return first ? (T *)((uintptr_t)first + layer * step.m.layer_bytes) : nullptr;
}

/* The outputs that are this CTA's. */
struct Range {
  int low, high;

  __device__ __forceinline__ Range(const Product &p)
      : low((unsigned)p.outputs * blockIdx.x / gridDim.x), high((unsigned)p.outputs * (blockIdx.x + 1) / gridDim.x) {}
  /* Those that are finished together. */
  __device__ __forceinline__ static int batch(const Product &p) { return p.end == kSwiglu ? kBatch / 2 : kBatch; }
};

__device__ void stream_product(const Product &p, const char *weight, Filler &filler) {
  Range range(p);
#pragma unroll 1
  for (int low = range.low; low < range.high; low += Range::batch(p)) {
    int n = min(Range::batch(p), range.high - low);
    filler.fill(weight, p.chunks, low, n);
    if (p.end == kSwiglu) filler.fill(weight, p.chunks, p.outputs + low, n);
  }
}

__device__ void stream(const Step &step, const Ring &ring) {
  Filler filler(ring);
#pragma unroll 1
  for (int layer = 0; layer < step.m.layers; layer++)
#pragma unroll 1
    for (int i = 0; i < kHead; i++)
      stream_product(step.product[i], in_layer(step.product[i].weight, step, layer), filler);
  stream_product(step.product[kHead], step.product[kHead].weight, filler);
}

template <int D, typename Wide, typename Deep> struct Work {
  Memory<D> &memory;
  Ring ring;
  int turn = 0; /* of the two sets of sums: the one that is written while the other may still be read */

  /* That of output low + threadIdx.x, well before it is needed. */
  __device__ __forceinline__ float load_bias(const Step &step, const Product &p, int layer, int low, int n) const {
    const char *bias = in_layer(p.bias, step, layer);
    int i = threadIdx.x;
    if (!bias || i >= n) return 0;
    return p.end == kAdd ? ((const float *)bias)[low + i] : to_float(((const bf16 *)bias)[low + i]);
  }
  /* Outputs low .. low + n - 1 from the sums that the warps left. */
  __device__ __forceinline__ void finish(const Step &step, const Product &p, int layer, int first, int low, int n,
                                         int warps, const float (*sums)[kWarps + 1], const float *squares, float bias) {
    int i = threadIdx.x, at = low + i;
    if (i >= n) return;
    float value = 0, up = bias;
    if (p.end == kAdd) up += memory.own[at - first];
#pragma unroll 4
    for (int w = 0; w < warps; w++) value += sums[i][w];
    if (p.end == kSwiglu)
#pragma unroll 4
      for (int w = 0; w < warps; w++) up += sums[n + i][w];
    if (p.norm) {
      float square = 0;
#pragma unroll
      for (int w = 0; w < kWarps; w += 4) {
        float4 four = *reinterpret_cast<const float4 *>(squares + w);
        square += four.x + four.y + four.z + four.w; /* those of warps that had none are 0 */
      }
      float factor = rsqrtf(square / (p.chunks * kChunk) + step.m.rope.eps);
      value *= factor;
      if (p.end == kSwiglu) up *= factor;
    }
    if (p.end == kLogits) {
      p.to[at] = value;
      return;
    }
    value = p.end == kSwiglu ? value / (1 + __expf(-value)) * up : value + up;
    if (p.end == kAdd) memory.own[at - first] = value;
    publish(p.to + at, value, layer + 1);
  }

  template <typename Kind> __device__ __forceinline__ void product(const Step &step, int number, int layer) {
    constexpr int kGroup = Kind::kGroup, kChunks = Kind::kChunks, kRows = Kind::kRows;
    const Product &p = step.product[number];
    Part<kGroup, kChunks> part, norm;
    int warp = threadIdx.x / 32, first = turn & 1;
    bool first_of_all = number == kQkv && layer == 0;
    const float *from = first_of_all ? step.m.x : p.from;
    bool normed = kChunks <= 3 && p.norm;
    if (normed) norm.load(in_layer(p.norm, step, number == kHead ? 0 : layer), p.chunks);
    part.await_all(from, p.chunks, number == kQkv || number == kHead ? layer : layer + 1, first_of_all ? 0 : kTagMask);
    if (normed) {
      float square = part.scale(norm);
      if (threadIdx.x % 32 == 0) memory.squares[first][warp] = warp < kGroup ? square : 0;
    }
    Range range(p);
#pragma unroll 1
    for (int low = range.low; low < range.high; low += Range::batch(p)) {
      int n = min(Range::batch(p), range.high - low);
      float(*sums)[kWarps + 1] = memory.sums[turn++ & 1], bias = load_bias(step, p, layer, low, n);
#pragma unroll 1
      for (int half = 0; half <= (p.end == kSwiglu); half++)
        multiply_rows<kGroup, kChunks, kRows>(ring, part, n, p.chunks, sums + half * n);
      named_barrier(1, kWorkers);
      finish(step, p, layer, range.low, low, n, kGroup, sums, memory.squares[first], bias);
    }
  }

  __device__ void begin(const Step &step, int position) {
    Range range(step.product[kOutput]);
    int i = threadIdx.x;
    if (i < D / 2) memory.row.turn[i] = step.m.rope.rope[(size_t)position * (D / 2) + i];
    if (i < range.high - range.low) memory.own[i] = step.m.x[range.low + i];
  }
  /* For the layer's attention; seen by all once its first product is finished. */
  __device__ void load_norms(const Step &step, int layer) {
    int i = threadIdx.x % D, of_keys = threadIdx.x / D;
    const float *norm = in_layer(of_keys ? step.m.rope.k_norm : step.m.rope.q_norm, step, layer);
    if (of_keys < 2 && norm) memory.row.norm[layer & 1][of_keys][i] = norm[i];
  }

  __device__ void run(const Step &step, int slot) {
    begin(step, step.m.rows.positions[0]);
#pragma unroll 1
    for (int i = 0; i <= kHead * step.m.layers; i++) {
      int layer = i / kHead, number = layer < step.m.layers ? i % kHead : (int)kHead;
      if (number == kHead) let_next_start();
      Share<D> share(step.m, memory.row, step.qkv, layer, slot);
      if (number == kQkv) load_norms(step, layer), share.prepare();
      if (number == kDown)
        product<Deep>(step, number, layer);
      else
        product<Wide>(step, number, layer);
      if (number != kQkv) continue;
      share.run(step.findings);
      merge(step.m, layer, step.findings, memory.row, step.attended);
    }
    Share<D>(step.m, memory.row, step.qkv, 0, slot).forget(step.findings);
  }
};

template <int D, typename Wide, typename Deep>
__global__ __launch_bounds__(kThreads, 1) void single_row_kernel(const __grid_constant__ Step step) {
  char *shared = dynamic_shared();
  Memory<D> &memory = *reinterpret_cast<Memory<D> *>(shared + step.stages * step.slot * kChunkBytes);
  int slot = step.m.rows.slots[0];
  if (slot < 0) return;
  if (threadIdx.x == 0) {
    for (int i = 0; i < step.stages; i++) barrier_init(&memory.full[i], 1), barrier_init(&memory.empty[i], kWarps);
    barrier_init_fence();
  }
  __syncthreads();
  Ring ring{shared, memory.full, memory.empty, step.stages, step.slot};
  if (threadIdx.x < kWorkers) {
    grow_registers<kWorkRegisters>();
    Work<D, Wide, Deep>{memory, ring}.run(step, slot);
  } else {
    shrink_registers<kStreamRegisters>();
    if (threadIdx.x == kWorkers) stream(step, ring);
  }
}

/* How a step runs: CTAs, and stages and their size, chosen such that as much of the memory as possible is filled,
 * whatever the rows' lengths. */
struct Shape {
  int grid, stages, slot;
  gsize shared;
};

static gsize memory_bytes(int head_dim) {
  return head_dim == 64 ? sizeof(Memory<64>) : sizeof(Memory<128>);
}

static void choose_stages(const DmsCudaSingleRow &m, gsize bytes, Shape *shape) {
  const DmsCudaLinear *linear[] = {&m.qkv, &m.output, &m.gate_up, &m.down};
  double best = 0;
  for (int slot = kWarps; slot <= 48; slot++) {
    double weights = 0, stages = 0;
    for (const DmsCudaLinear *l : linear) {
      int chunks = l->k / kChunk, per = rows_of_stage(chunks, slot);
      weights += (double)l->n * chunks, stages += (double)l->n / per * ((per * chunks + slot - 1) / slot);
    }
    int n = (int)(bytes / (slot * kChunkBytes));
    n = n < kMostStages ? n : (int)kMostStages;
    double ahead = n * weights / stages;
    if (n >= 4 && ahead >= best) best = ahead, shape->slot = slot, shape->stages = n;
  }
}

typedef void Kernel(Step);

enum { kNeither = 8 }; /* Rows of 7 and 8 chunks are better off with gemv.cu (measured on an H200). */

/* For the rows of the down product and for all others: a kernel that had all kinds would want more registers than there
 * are. NULL where rows are too long. */
template <int D, typename Wide> static Kernel *kernel_for(int deep) {
  return deep <= Long::kMost      ? single_row_kernel<D, Wide, Long>
         : deep <= Longer::kMost  ? single_row_kernel<D, Wide, Longer>
         : deep <= Longest::kMost ? single_row_kernel<D, Wide, Longest>
                                  : nullptr;
}
template <int D> static Kernel *kernel_for(int wide, int deep) {
  return wide <= Short::kMost    ? kernel_for<D, Short>(deep)
         : wide <= kNeither      ? nullptr
         : wide <= Middle::kMost ? kernel_for<D, Middle>(deep)
         : wide <= Long::kMost   ? kernel_for<D, Long>(deep)
                                 : nullptr;
}

static Kernel *kernel_of(const DmsCudaSingleRow &m) {
  int wide = (m.qkv.k > m.output.k ? m.qkv.k : m.output.k) / kChunk, deep = m.down.k / kChunk;
  switch (m.rope.heads.head_dim) {
  case 64:
    return kernel_for<64>(wide, deep);
  case 128:
    return kernel_for<128>(wide, deep);
  default:
    return nullptr;
  }
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
  Kernel *kernel = kernel_of(m);
  if (!kernel || !processors || !overlaps((const void *)kernel) || m.cache.type != DMS_CUDA_BF16 ||
      heads.group > kMostGroup || heads.kv_heads > processors ||
      heads.heads * heads.head_dim > processors * kWarps * kMergeChannels || m.rope.rule.decision == DMS_CUDA_LOGITS ||
      m.layers < 2 || m.layers > kMostTags || m.gate_up.bias || hidden > processors * kMostOwn ||
      (gsize)bytes < memory_bytes(heads.head_dim))
    return cudaSuccess;
  choose_stages(m, bytes - memory_bytes(heads.head_dim), shape);
  shape->shared = (gsize)shape->stages * shape->slot * kChunkBytes + memory_bytes(heads.head_dim);
  if (shape->stages) shape->grid = processors;
  return cudaSuccess;
}

/* What the kernel needs to know, and how much of `exchange` that takes. */
static gsize prepare(const DmsCudaSingleRow &m, const Shape &shape, Step *step) {
  gsize found = (gsize)(shape.grid / m.cache.kv_heads * kWarps + 1) * m.rope.heads.heads, used = 0;
  auto take = [&](gsize n) {
    float *at = (float *)m.exchange + used;
    used += (n + 31) / 32 * 32;
    return at;
  };
  float *qkv = take(m.qkv.n), *attended = take(m.output.k), *middle = take(m.output.n), *activated = take(m.down.k),
        *x = take(m.down.n), *sums = take(found * m.cache.head_dim), *tops = take(found * 2);
  auto product = [](const DmsCudaLinear &l, End end, const float *norm, const float *from, float *to) {
    return Product{(const char *)l.weight,         (const char *)l.bias, norm, from, to,
                   end == kSwiglu ? l.n / 2 : l.n, l.k / kChunk,         end};
  };
  *step = {m,
           {product(m.qkv, kStore, m.input_norm, x, qkv), product(m.output, kAdd, nullptr, attended, middle),
            product(m.gate_up, kSwiglu, m.post_norm, middle, activated), product(m.down, kAdd, nullptr, activated, x),
            product(m.head, kLogits, m.norm, x, m.logits)},
           qkv,
           attended,
           {sums, (float2 *)tops},
           shape.stages,
           shape.slot};
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
  return launch_together(stream, shape.grid, kThreads, shape.shared, kernel_of(*row), step);
}
