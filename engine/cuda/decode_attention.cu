/* Decode attention over ragged lists of pages.
 *
 * The tiled kernel reads memory and nothing else should show: the lists of a layer, cut into tiles of one page each,
 * are dealt out evenly to as many CTAs as stay resident, whatever the raggedness. A producer warp streams K and V pages
 * into a ring of shared memory stages across list borders; four warps take 16 items of each tile on the tensor cores,
 * with K as the 16-row operand (S^T = K Q^T, then O^T = V^T P^T), so that a group of up to 8 query heads costs one
 * column tile. A list cut by a border is merged by the last CTA that arrives. What depends on the type of the cache,
 * bf16 or e4m3, is in decode_products.cuh.
 *
 * The plain kernel takes every other shape: a CTA a query head, a warp an item. */
#include "engine/cuda/decode_products.cuh"

enum { kStages = 3, kColumns = 8, kConsumers = 4, kThreads = (kConsumers + 1) * 32 };
enum { kSumWidth = 128 + 4 }; /* padded: the accumulator's lanes fall into different banks */
enum { kMostParts = kConsumers * kSumWidth };

template <int D, typename P> struct TileMemory {
  alignas(128) Tile<D, P> tile[kStages];
  union {
    float sum[kConsumers][kColumns][kSumWidth];
    float factor[kMostParts][kColumns]; /* while the parts of a list are merged */
  };
  float top[kConsumers][kColumns], weight[kConsumers][kColumns];
  uint64_t full[kStages], empty[kStages];
  int last;
};

/* What a CTA leaves for the merge of a list that it has only part of. */
template <int D> struct Partial { float sum[kColumns][D], top[kColumns], weight[kColumns]; };

/* A warp's walk over its CTA's share of a layer's tiles, list by list; the next list is known before this one is done.
 */
struct Walk {
  const DmsCudaList *lists;
  int n_lists, total, parts, tile, end;
  int index, next_index;
  DmsCudaList list, next;
  int batch_first;
  DmsCudaList batch; /* list number batch_first + lane */

  __device__ Walk(const DmsCudaRows &rows, int kv_heads, int layer) {
    const DmsCudaShare &share = rows.shares[(size_t)layer * rows.parts + blockIdx.x];
    n_lists = rows.rows * kv_heads, lists = rows.lists + (size_t)layer * n_lists;
    total = share.total, parts = share.parts, tile = share.tile, end = share.end;
    index = share.list, list = share.first;
    if (tile < end) load_batch(index);
  }
  __device__ void load_batch(int first) {
    batch_first = first, batch = lists[min(first + (int)threadIdx.x % 32, n_lists - 1)];
  }
  __device__ int begin_of(int part) const { return (unsigned)part * total / parts; }
  __device__ int part_of(int t) const { return ((t + 1u) * parts - 1) / total; }
  __device__ int stop() const { return min(list.end, end); }
  __device__ bool more() const { return list.end + DMS_CUDA_LIST_COST < end; }
  /* Finds the next list that has tiles; there is one if more(). */
  __device__ void look_ahead() {
    next_index = index;
    do {
      if (++next_index - batch_first == 32) load_batch(next_index);
      int lane = next_index - batch_first;
      next.end = __shfl_sync(~0u, batch.end, lane);
      next.slot = __shfl_sync(~0u, batch.slot, lane), next.length = __shfl_sync(~0u, batch.length, lane);
    } while (next.end <= list.end);
    next.begin = list.end + DMS_CUDA_LIST_COST;
  }
  __device__ void advance() { tile = next.begin, index = next_index, list = next; }
};

template <int D, typename P>
__device__ void produce(const DmsCudaCache &cache, int layer, TileMemory<D, P> &memory, Walk walk) {
  constexpr int kScales = sizeof(P) == 1 ? kScaleBytes : 0;
  int lane = threadIdx.x % 32, stage = 0, pairs = cache.layers * cache.kv_heads;
  uint32_t phase = 1;
  auto table_of = [&](const DmsCudaList &list, int index) {
    return cache.table +
           ((size_t)list.slot * pairs + layer * cache.kv_heads + index % cache.kv_heads) * cache.max_pages;
  };
  const int32_t *table = table_of(walk.list, walk.index);
  int first = walk.tile - walk.list.begin,
      page = first + lane < walk.stop() - walk.list.begin ? table[first + lane] : 0;
  for (;;) {
    bool more = walk.more();
    int stop = walk.stop() - walk.list.begin, next_page = 0;
    const int32_t *next_table = nullptr;
    if (more) {
      walk.look_ahead();
      next_table = table_of(walk.next, walk.next_index);
      if (lane < min(walk.next.end, walk.end) - walk.next.begin) next_page = next_table[lane];
    }
    for (; first < stop; first += 32) {
      int following = next_page;
      if (first + 32 < stop) following = first + 32 + lane < stop ? table[first + 32 + lane] : 0;
      for (int i = 0; i < 32 && first + i < stop; i++) {
        const P *source = page_base<P>(cache, __shfl_sync(~0u, page, i));
        /* Whole k-steps of 16 items; behind the last item keys are masked and values are zero. */
        int items = min(DMS_CUDA_PAGE, (walk.list.length - (first + i) * DMS_CUDA_PAGE + 15) & ~15);
        int bytes = items * D * (int)sizeof(P);
        Tile<D, P> &tile = memory.tile[stage];
        barrier_wait(&memory.empty[stage], phase);
        copy_to_shared((char *)tile.keys - kScales, (const char *)source - kScales, bytes + kScales, tile.values,
                       source + DMS_CUDA_PAGE * D, bytes, &memory.full[stage]);
        if (++stage == kStages) stage = 0, phase ^= 1;
      }
      page = following;
    }
    if (!more) return;
    walk.advance();
    first = 0, table = next_table;
  }
}

/* One warp's 16 items of a tile into its running softmax. `sum` is in units of `unit`, the scale of the values last
 * added. */
template <int D, typename P>
__device__ __forceinline__ void attend(const Tile<D, P> &tile, int first, int items, float scale,
                                       const Products<D, P> &products, float *top, float *weight, float *unit,
                                       float (*sum)[4]) {
  int item = first + threadIdx.x % 32 / 4;
  float s[4] = {};
  products.score(tile, first, s);
  scale *= products.score_scale(tile);
#pragma unroll
  for (int i = 0; i < 4; i++) s[i] = item + (i & 2) * 4 < items ? s[i] * scale : -INFINITY;
  float p[4], factor[2], new_unit = products.value_scale(tile);
#pragma unroll
  for (int c = 0; c < 2; c++) {
    float high = fmaxf(s[c], s[c + 2]);
    for (int offset = 4; offset < 32; offset <<= 1) high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    high = fmaxf(high, top[c]);
    factor[c] = exp2f(top[c] - high), top[c] = high;
    p[c] = products.weight_of(s[c] - high), p[c + 2] = products.weight_of(s[c + 2] - high);
    weight[c] = weight[c] * factor[c] + p[c] + p[c + 2];
    factor[c] *= *unit / new_unit;
  }
  *unit = new_unit;
  products.add_values(tile, first, p, factor, sum);
}

__device__ __forceinline__ void store_four(bf16 *to, const float4 &sum, float weight) {
  *reinterpret_cast<uint2 *>(to) =
      make_uint2(pack(sum.x / weight, sum.y / weight), pack(sum.z / weight, sum.w / weight));
}

/* One more part is written: what the block wrote before its last barrier is seen by whoever counts after. Returns those
 * before. */
__device__ __forceinline__ int count_arrival(int32_t *counter) {
  int before;
  asm volatile("atom.add.acq_rel.gpu.global.s32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
  return before;
}

/* A cut list's result from its parts, first .. last. */
template <int D, typename P>
__device__ void merge(int group, int first, int last, TileMemory<D, P> &memory, const Partial<D> *partials, bf16 *to) {
  int thread = threadIdx.x, n = last - first + 1;
  auto part_of = [&](int i) -> const Partial<D> & { return partials[2 * (first + i) + (i == 0)]; };
  for (int g = thread / 32; g < group; g += kConsumers) {
    float top = -INFINITY, weight = 0;
    for (int i = thread % 32; i < n; i += 32) {
      float part_top = __ldcg(&part_of(i).top[g]), part_weight = __ldcg(&part_of(i).weight[g]);
      float high = fmaxf(top, part_top);
      memory.factor[i][g] = part_top;
      weight = weight * exp2f(top - high) + part_weight * exp2f(part_top - high), top = high;
    }
    float high = top;
    for (int offset = 16; offset; offset >>= 1) high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    for (int i = thread % 32; i < n; i += 32) memory.factor[i][g] = exp2f(memory.factor[i][g] - high);
    weight = warp_sum(weight * exp2f(top - high));
    if (thread % 32 == 0) memory.weight[0][g] = weight;
  }
  named_barrier(1, kConsumers * 32);
  for (int i = thread * 4; i < group * D; i += kConsumers * 32 * 4) {
    int g = i / D;
    float4 sum = {};
#pragma unroll 8
    for (int p = 0; p < n; p++) {
      float4 x = __ldcg(reinterpret_cast<const float4 *>(&part_of(p).sum[g][i % D]));
      float factor = memory.factor[p][g];
      sum.x += x.x * factor, sum.y += x.y * factor, sum.z += x.z * factor, sum.w += x.w * factor;
    }
    store_four(to + i, sum, memory.weight[0][g]);
  }
}

/* The list's result from the four warps, or this CTA's part of it; the last part to arrive merges all. */
template <int D, typename P>
__device__ void finish(const DmsCudaHeads &heads, const Walk &walk, TileMemory<D, P> &memory, bf16 *out,
                       Partial<D> *partials, int32_t *arrived) {
  int row = walk.index / heads.kv_heads, head = walk.index % heads.kv_heads, thread = threadIdx.x;
  bool whole = walk.tile == walk.list.begin && walk.stop() == walk.list.end;
  bf16 *to = out + ((size_t)row * heads.heads + head * heads.group) * D;
  /* A CTA has at most two cut lists: one that began before it (0) and one that goes on after it (1). */
  Partial<D> &mine = partials[2 * blockIdx.x + (walk.begin_of(blockIdx.x) <= walk.list.begin)];
  for (int i = thread * 4; i < heads.group * D; i += kConsumers * 32 * 4) {
    int g = i / D, d = i % D;
    float top = -INFINITY, weight = 0;
    float4 sum = {};
    for (int w = 0; w < kConsumers; w++) top = fmaxf(top, memory.top[w][g]);
    for (int w = 0; w < kConsumers; w++) {
      float factor = exp2f(memory.top[w][g] - top);
      const float4 x = *reinterpret_cast<const float4 *>(&memory.sum[w][g][d]);
      weight += memory.weight[w][g] * factor;
      sum.x += x.x * factor, sum.y += x.y * factor, sum.z += x.z * factor, sum.w += x.w * factor;
    }
    if (whole) {
      store_four(to + i, sum, weight);
    } else {
      *reinterpret_cast<float4 *>(&mine.sum[g][d]) = sum;
      if (d == 0) mine.top[g] = top, mine.weight[g] = weight;
    }
  }
  if (whole) return;
  int first = walk.part_of(walk.list.begin), last = walk.part_of(walk.list.end - 1);
  named_barrier(1, kConsumers * 32);
  if (thread == 0) {
    memory.last = count_arrival(&arrived[walk.index]) == last - first;
    if (memory.last) arrived[walk.index] = 0;
  }
  named_barrier(1, kConsumers * 32);
  if (memory.last) merge(heads.group, first, last, memory, partials, to);
}

template <int D, typename P>
__device__ void consume(const DmsCudaHeads &heads, const bf16 *qkv, bf16 *out, TileMemory<D, P> &memory,
                        Partial<D> *partials, int32_t *arrived, Walk walk) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, stage = 0;
  uint32_t phase = 0;
  Products<D, P> products, next;
  float scale = heads.scale * 1.44269504088896341f;
  auto query_of = [&](int index) {
    int row = index / heads.kv_heads, head = index % heads.kv_heads * heads.group + lane / 4;
    return lane / 4 < heads.group ? qkv + (size_t)row * heads.stride + (size_t)head * D : nullptr;
  };
  products.load_query(query_of(walk.index));
  for (;;) {
    bool more = walk.more();
    if (more) {
      walk.look_ahead();
      next.load_query(query_of(walk.next_index));
    }
    float top[2] = {-INFINITY, -INFINITY}, weight[2] = {}, unit = 1, sum[D / 16][4] = {};
    for (int tile = walk.tile; tile < walk.stop(); tile++) {
      int items = walk.list.length - (tile - walk.list.begin) * DMS_CUDA_PAGE;
      barrier_wait(&memory.full[stage], phase);
      if (items > 16 * warp) attend(memory.tile[stage], 16 * warp, items, scale, products, top, weight, &unit, sum);
      __syncwarp();
      if (lane == 0) barrier_arrive(&memory.empty[stage]);
      if (++stage == kStages) stage = 0, phase ^= 1;
    }
#pragma unroll
    for (int c = 0; c < 2; c++) {
      for (int offset = 4; offset < 32; offset <<= 1) weight[c] += __shfl_xor_sync(~0u, weight[c], offset);
      if (lane < 4) memory.top[warp][2 * lane + c] = top[c], memory.weight[warp][2 * lane + c] = weight[c];
    }
#pragma unroll
    for (int d = 0; d < D / 16; d++)
      for (int i = 0; i < 4; i++) memory.sum[warp][lane % 4 * 2 + (i & 1)][products.channel(d, i)] = sum[d][i] * unit;
    named_barrier(1, kConsumers * 32);
    finish(heads, walk, memory, out, partials, arrived);
    if (!more) return;
    named_barrier(1, kConsumers * 32);
    walk.advance();
    products = next;
  }
}

template <int D, typename P>
__global__ __launch_bounds__(kThreads) void decode_attention_kernel(DmsCudaHeads heads, DmsCudaCache cache,
                                                                    DmsCudaRows rows, int layer, const bf16 *qkv,
                                                                    bf16 *out, Partial<D> *partials, int32_t *arrived) {
  extern __shared__ __align__(128) char shared[];
  TileMemory<D, P> &memory = *reinterpret_cast<TileMemory<D, P> *>(shared);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++)
      barrier_init(&memory.full[i], kCopyArrivals), barrier_init(&memory.empty[i], kConsumers);
    barrier_init_fence();
  }
  __syncthreads();
  if (layer == 0) wait_for_previous(); /* the plan may have been the kernel just before */
  Walk walk(rows, heads.kv_heads, layer);
  wait_for_previous();
  let_next_start();
  if (walk.tile >= walk.end) return;
  if (threadIdx.x / 32 == kConsumers)
    produce(cache, layer, memory, walk);
  else
    consume(heads, qkv, out, memory, partials, arrived, walk);
}

enum { kPlainWarps = 4, kPlainDims = DMS_CUDA_MAX_HEAD_DIM / 32 };

template <typename T, typename P>
__global__ void decode_attention_plain_kernel(DmsCudaHeads heads, DmsCudaCache cache, DmsCudaRows rows, int layer,
                                              const T *qkv, T *out) {
  __shared__ float sums[kPlainWarps][DMS_CUDA_MAX_HEAD_DIM], tops[kPlainWarps], weights[kPlainWarps];
  int head = blockIdx.x, row = blockIdx.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  wait_for_previous();
  let_next_start();
  int slot = rows.slots[row];
  if (slot < 0) return;
  int dim = heads.head_dim, kv_head = head / heads.group, pairs = cache.layers * cache.kv_heads;
  int length = rows.lengths[((size_t)layer * rows.rows + row) * cache.kv_heads + kv_head];
  const int32_t *table = cache.table + ((size_t)slot * pairs + layer * cache.kv_heads + kv_head) * cache.max_pages;
  const T *from = qkv + (size_t)row * heads.stride + (size_t)head * dim;
  float query[kPlainDims], sum[kPlainDims] = {}, top = -INFINITY, weight = 0;
#pragma unroll
  for (int j = 0; j < kPlainDims; j++) query[j] = lane + 32 * j < dim ? to_float(from[lane + 32 * j]) * heads.scale : 0;
  for (int item = warp; item < length; item += kPlainWarps) {
    int page = table[item / DMS_CUDA_PAGE];
    const P *key = page_base<P>(cache, page), *value = key + DMS_CUDA_PAGE * dim;
    float dot = 0;
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim)
        dot += query[j] * to_float(key[page_offset<P>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
    dot = warp_sum(dot) * scale_of<P>(cache, page, 0);
    float high = fmaxf(top, dot), factor = expf(top - high), p = expf(dot - high);
    top = high, weight = weight * factor + p, p *= scale_of<P>(cache, page, 1);
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim)
        sum[j] = sum[j] * factor + p * to_float(value[page_offset<P>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
  }
#pragma unroll
  for (int j = 0; j < kPlainDims; j++)
    if (lane + 32 * j < dim) sums[warp][lane + 32 * j] = sum[j];
  if (lane == 0) tops[warp] = top, weights[warp] = weight;
  __syncthreads();
  for (int d = threadIdx.x; d < dim; d += blockDim.x) {
    float high = -INFINITY, total = 0, x = 0;
    for (int w = 0; w < kPlainWarps; w++) high = fmaxf(high, tops[w]);
    for (int w = 0; w < kPlainWarps; w++) {
      float factor = expf(tops[w] - high);
      total += weights[w] * factor, x += sums[w][d] * factor;
    }
    out[((size_t)row * heads.heads + head) * dim + d] = from_float<T>(x / total);
  }
}

extern "C" int dms_cuda_decode_attention_tiled(const DmsCudaHeads *heads) {
  return heads->type == DMS_CUDA_BF16 && heads->group <= kColumns && (heads->head_dim == 64 || heads->head_dim == 128);
}

static gsize partial_bytes(const DmsCudaHeads *heads) {
  return heads->head_dim == 64 ? sizeof(Partial<64>) : sizeof(Partial<128>);
}

template <int D, typename P> static cudaError_t resident(int *per_processor) {
  constexpr int kBytes = sizeof(TileMemory<D, P>);
  auto kernel = decode_attention_kernel<D, P>;
  cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (status != cudaSuccess) return status;
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(per_processor, kernel, kThreads, kBytes);
}

/* D and P of the tiled kernel. */
#define DISPATCH_TILED(dim, cache_type, ...)                                                                           \
  do {                                                                                                                 \
    if ((dim) == 64) {                                                                                                 \
      constexpr int D = 64;                                                                                            \
      DISPATCH_TILED_TYPE(cache_type, __VA_ARGS__);                                                                    \
    } else {                                                                                                           \
      constexpr int D = 128;                                                                                           \
      DISPATCH_TILED_TYPE(cache_type, __VA_ARGS__);                                                                    \
    }                                                                                                                  \
  } while (0)
#define DISPATCH_TILED_TYPE(cache_type, ...)                                                                           \
  if ((cache_type) == DMS_CUDA_E4M3) {                                                                                 \
    using P = e4m3;                                                                                                    \
    __VA_ARGS__;                                                                                                       \
  } else {                                                                                                             \
    using P = bf16;                                                                                                    \
    __VA_ARGS__;                                                                                                       \
  }

extern "C" cudaError_t dms_cuda_decode_attention_plan(const DmsCudaHeads *heads, DmsCudaType cache, int lists,
                                                      int *parts, gsize *scratch_bytes) {
  *parts = 0, *scratch_bytes = 0;
  if (!dms_cuda_decode_attention_tiled(heads)) return cudaSuccess;
  int device, processors, per_processor;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) DISPATCH_TILED(heads->head_dim, cache, status = resident<D, P>(&per_processor));
  if (status != cudaSuccess) return status;
  *parts = processors * (per_processor < 1 ? 1 : per_processor);
  if (*parts > kMostParts) *parts = kMostParts;
  *scratch_bytes = 2 * *parts * partial_bytes(heads) + (gsize)lists * sizeof(int32_t);
  return cudaSuccess;
}

extern "C" cudaError_t dms_cuda_decode_attention(cudaStream_t stream, const DmsCudaHeads *heads,
                                                 const DmsCudaCache *cache, const DmsCudaRows *rows, int layer,
                                                 const void *qkv, void *out, void *scratch) {
  if (!dms_cuda_decode_attention_tiled(heads)) {
    dim3 grid(heads->heads, rows->rows);
    DISPATCH_CACHE(cache->type, return launch(stream, grid, kPlainWarps * 32, 0, decode_attention_plain_kernel<T, P>,
                                              *heads, *cache, *rows, layer, (const T *)qkv, (T *)out));
  }
  int32_t *arrived = (int32_t *)((char *)scratch + 2 * rows->parts * partial_bytes(heads));
  DISPATCH_TILED(heads->head_dim, cache->type,
                 return launch(stream, rows->parts, kThreads, sizeof(TileMemory<D, P>), decode_attention_kernel<D, P>,
                               *heads, *cache, *rows, layer, (const bf16 *)qkv, (bf16 *)out, (Partial<D> *)scratch,
                               arrived));
}
