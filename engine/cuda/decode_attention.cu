/* Decode attention over ragged lists of pages.
 *
 * The tiled kernel reads memory and nothing else should show: the lists of a layer, cut into tiles of one page each, are dealt out evenly to
 * as many CTAs as stay resident, whatever the raggedness. A producer warp streams K and V pages into a ring of shared memory stages across
 * list borders; four warps take 16 items of each tile on the tensor cores, with K as the 16-row operand (S^T = K Q^T, then O^T = V^T P^T),
 * so that a group of up to 8 query heads costs one column tile. A list cut by a border is merged by the last CTA that arrives.
 *
 * The plain kernel takes every other shape: a CTA a query head, a warp an item. */
#include "engine/cuda/element.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kStages = 3, kColumns = 8, kConsumers = 4, kThreads = (kConsumers + 1) * 32 };

template <int D> struct TileMemory {
  alignas(128) bf16 tile[kStages][2][DMS_CUDA_PAGE * D]; /* K, V */
  float sum[kConsumers][kColumns][D + 4];                /* padded: the accumulator's lanes fall into different banks */
  float top[kConsumers][kColumns], weight[kConsumers][kColumns];
  uint64_t full[kStages], empty[kStages];
  int last;
};

/* What a CTA leaves for the merge of a list that it has only part of. */
template <int D> struct Partial { float sum[kColumns][D], top[kColumns], weight[kColumns]; };

/* A CTA's walk over its share of a layer's tiles, list by list. */
struct Walk {
  const int32_t *tiles;
  int lists, total, parts, part, tile, end, list, list_begin, list_end;

  __device__ Walk(const DmsCudaRows &rows, int kv_heads, int layer) {
    lists = rows.rows * kv_heads;
    tiles = rows.tiles + (size_t)layer * (lists + 1);
    total = tiles[lists], parts = min(rows.parts, total), part = blockIdx.x;
    tile = end = 0;
    if (part >= parts) return;
    tile = begin_of(part), end = begin_of(part + 1);
    list = rows.starts[(size_t)layer * (rows.parts + 1) + part] - 1;
    list_end = 0;
  }
  __device__ int begin_of(int p) const { return (int)((long long)p * total / parts); }
  __device__ int part_of(int t) const { return (int)((((long long)t + 1) * parts - 1) / total); }
  /* The next list with tiles of this CTA; FALSE at the end. The caller moves `tile` to `list_end` or `end` when it is done with it. */
  __device__ bool next() {
    if (tile >= end) return false;
    do {
      list++;
      list_end = tiles[list + 1];
    } while (list_end <= tile);
    list_begin = tiles[list];
    return true;
  }
  __device__ int stop() const { return min(list_end, end); }
};

template <int D>
__device__ void produce(const DmsCudaCache &cache, const DmsCudaRows &rows, int layer, TileMemory<D> &memory,
                        Walk walk) {
  int lane = threadIdx.x % 32, stage = 0, pairs = cache.layers * cache.kv_heads;
  uint32_t phase = 1;
  while (walk.next()) {
    int row = walk.list / cache.kv_heads, head = walk.list % cache.kv_heads;
    int length = rows.lengths[(size_t)layer * walk.lists + walk.list];
    const int32_t *table =
        cache.table + ((size_t)rows.slots[row] * pairs + layer * cache.kv_heads + head) * cache.max_pages;
    for (int first = walk.tile - walk.list_begin, stop = walk.stop() - walk.list_begin; first < stop; first += 32) {
      int page = first + lane < stop ? table[first + lane] : 0;
      for (int i = 0; i < 32 && first + i < stop; i++) {
        const bf16 *source = page_base<bf16>(cache, __shfl_sync(~0u, page, i));
        /* Whole k-steps of 16 items; what lies behind the last item is finite and masked. */
        int items = min(DMS_CUDA_PAGE, (length - (first + i) * DMS_CUDA_PAGE + 15) & ~15);
        barrier_wait(&memory.empty[stage], phase);
        copy_to_shared(memory.tile[stage][0], source, items * D * 2, memory.tile[stage][1], source + DMS_CUDA_PAGE * D,
                       &memory.full[stage]);
        if (++stage == kStages) stage = 0, phase ^= 1;
      }
    }
    walk.tile = walk.stop();
  }
}

/* One warp's 16 items of a tile into its running softmax. */
template <int D>
__device__ __forceinline__ void attend(const bf16 *keys, const bf16 *values, int first, int items, float scale,
                                       const uint32_t (*query)[2], float *top, float *weight, float (*sum)[4]) {
  int lane = threadIdx.x % 32;
  float s[4] = {};
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    uint32_t a[4];
    load_matrices(a, keys + page_offset<bf16>(first + (lane / 8 & 1) * 8 + lane % 8, 16 * k + lane / 16 * 8, D));
    multiply(s, a, query[k]);
  }
  int item = first + lane / 4;
#pragma unroll
  for (int i = 0; i < 4; i++) s[i] = item + (i & 2) * 4 < items ? s[i] * scale : -INFINITY;
  float p[4], factor[2];
#pragma unroll
  for (int c = 0; c < 2; c++) {
    float high = fmaxf(s[c], s[c + 2]);
    for (int offset = 4; offset < 32; offset <<= 1) high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    high = fmaxf(high, top[c]);
    factor[c] = exp2f(top[c] - high), top[c] = high;
    p[c] = exp2f(s[c] - high), p[c + 2] = exp2f(s[c + 2] - high);
    weight[c] = weight[c] * factor[c] + p[c] + p[c + 2];
  }
  uint32_t b[2] = {transpose(pack(p[0], p[1])), transpose(pack(p[2], p[3]))};
#pragma unroll
  for (int d = 0; d < D / 16; d++) {
    uint32_t a[4];
    load_matrices_transposed(
        a, values + page_offset<bf16>(first + lane / 16 * 8 + lane % 8, 16 * d + (lane / 8 & 1) * 8, D));
    sum[d][0] *= factor[0], sum[d][1] *= factor[1], sum[d][2] *= factor[0], sum[d][3] *= factor[1];
    multiply(sum[d], a, b);
  }
}

/* The list's result from the four warps, or this CTA's part of it; the last part to arrive merges all. */
template <int D>
__device__ void finish(const DmsCudaHeads &heads, const Walk &walk, TileMemory<D> &memory, bf16 *out,
                       Partial<D> *partials, int32_t *arrived) {
  int row = walk.list / heads.kv_heads, head = walk.list % heads.kv_heads, thread = threadIdx.x;
  bool whole = walk.tile == walk.list_begin && walk.stop() == walk.list_end;
  bf16 *to = out + ((size_t)row * heads.heads + head * heads.group) * D;
  /* A CTA has at most two cut lists: one that began before it (0) and one that goes on after it (1). */
  Partial<D> &mine = partials[2 * walk.part + (walk.begin_of(walk.part) <= walk.list_begin)];
  for (int i = thread; i < heads.group * D; i += kConsumers * 32) {
    int g = i / D, d = i % D;
    float top = -INFINITY, weight = 0, sum = 0;
    for (int w = 0; w < kConsumers; w++) top = fmaxf(top, memory.top[w][g]);
    for (int w = 0; w < kConsumers; w++) {
      float factor = exp2f(memory.top[w][g] - top);
      weight += memory.weight[w][g] * factor, sum += memory.sum[w][g][d] * factor;
    }
    if (whole) {
      to[i] = __float2bfloat16(sum / weight);
    } else {
      mine.sum[g][d] = sum;
      if (d == 0) mine.top[g] = top, mine.weight[g] = weight;
    }
  }
  if (whole) return;
  int first = walk.part_of(walk.list_begin), last = walk.part_of(walk.list_end - 1);
  __threadfence();
  named_barrier(1, kConsumers * 32);
  if (thread == 0) {
    memory.last = atomicAdd(&arrived[walk.list], 1) == last - first;
    if (memory.last) arrived[walk.list] = 0;
    __threadfence();
  }
  named_barrier(1, kConsumers * 32);
  if (!memory.last) return;
  for (int i = thread; i < heads.group * D; i += kConsumers * 32) {
    int g = i / D, d = i % D;
    float top = -INFINITY, weight = 0, sum = 0;
    for (int part = first; part <= last; part++) {
      const Partial<D> &other = partials[2 * part + (part == first)];
      float other_top = __ldcg(&other.top[g]), high = fmaxf(top, other_top);
      float keep = exp2f(top - high), factor = exp2f(other_top - high);
      weight = weight * keep + __ldcg(&other.weight[g]) * factor, sum = sum * keep + __ldcg(&other.sum[g][d]) * factor;
      top = high;
    }
    to[i] = __float2bfloat16(sum / weight);
  }
}

template <int D>
__device__ void consume(const DmsCudaHeads &heads, const DmsCudaRows &rows, int layer, const bf16 *qkv, bf16 *out,
                        TileMemory<D> &memory, Partial<D> *partials, int32_t *arrived, Walk walk) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, stage = 0;
  uint32_t phase = 0;
  float scale = heads.scale * 1.44269504088896341f;
  while (walk.next()) {
    int row = walk.list / heads.kv_heads, head = walk.list % heads.kv_heads;
    int length = rows.lengths[(size_t)layer * walk.lists + walk.list];
    uint32_t query[D / 16][2];
    const bf16 *q = qkv + (size_t)row * heads.stride + (size_t)(head * heads.group + lane / 4) * D + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < D / 16; k++)
      for (int j = 0; j < 2; j++)
        query[k][j] = lane / 4 < heads.group ? *reinterpret_cast<const uint32_t *>(q + 16 * k + 8 * j) : 0;
    float top[2] = {-INFINITY, -INFINITY}, weight[2] = {}, sum[D / 16][4] = {};
    for (int tile = walk.tile; tile < walk.stop(); tile++) {
      int items = length - (tile - walk.list_begin) * DMS_CUDA_PAGE;
      barrier_wait(&memory.full[stage], phase);
      if (items > 16 * warp)
        attend<D>(memory.tile[stage][0], memory.tile[stage][1], 16 * warp, items, scale, query, top, weight, sum);
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
      for (int i = 0; i < 4; i++) memory.sum[warp][lane % 4 * 2 + (i & 1)][16 * d + lane / 4 + (i & 2) * 4] = sum[d][i];
    named_barrier(1, kConsumers * 32);
    finish<D>(heads, walk, memory, out, partials, arrived);
    named_barrier(1, kConsumers * 32);
    walk.tile = walk.stop();
  }
}

template <int D>
__global__ __launch_bounds__(kThreads) void decode_attention_kernel(DmsCudaHeads heads, DmsCudaCache cache,
                                                                    DmsCudaRows rows, int layer, const bf16 *qkv,
                                                                    bf16 *out, Partial<D> *partials, int32_t *arrived) {
  extern __shared__ __align__(128) char shared[];
  TileMemory<D> &memory = *reinterpret_cast<TileMemory<D> *>(shared);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++)
      barrier_init(&memory.full[i], kCopyArrivals), barrier_init(&memory.empty[i], kConsumers);
    barrier_init_fence();
  }
  __syncthreads();
  Walk walk(rows, heads.kv_heads, layer);
  if (threadIdx.x / 32 == kConsumers)
    produce<D>(cache, rows, layer, memory, walk);
  else
    consume<D>(heads, rows, layer, qkv, out, memory, partials, arrived, walk);
}

enum { kPlainWarps = 4, kPlainDims = DMS_CUDA_MAX_HEAD_DIM / 32 };

template <typename T>
__global__ void decode_attention_plain_kernel(DmsCudaHeads heads, DmsCudaCache cache, DmsCudaRows rows, int layer,
                                              const T *qkv, T *out) {
  __shared__ float sums[kPlainWarps][DMS_CUDA_MAX_HEAD_DIM], tops[kPlainWarps], weights[kPlainWarps];
  int head = blockIdx.x, row = blockIdx.y, slot = rows.slots[row], lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (slot < 0) return;
  int dim = heads.head_dim, kv_head = head / heads.group, pairs = cache.layers * cache.kv_heads;
  int length = rows.lengths[((size_t)layer * rows.rows + row) * cache.kv_heads + kv_head];
  const int32_t *table = cache.table + ((size_t)slot * pairs + layer * cache.kv_heads + kv_head) * cache.max_pages;
  const T *from = qkv + (size_t)row * heads.stride + (size_t)head * dim;
  float query[kPlainDims], sum[kPlainDims] = {}, top = -INFINITY, weight = 0;
#pragma unroll
  for (int j = 0; j < kPlainDims; j++) query[j] = lane + 32 * j < dim ? to_float(from[lane + 32 * j]) * heads.scale : 0;
  for (int item = warp; item < length; item += kPlainWarps) {
    const T *key = page_base<T>(cache, table[item / DMS_CUDA_PAGE]), *value = key + DMS_CUDA_PAGE * dim;
    float dot = 0;
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim)
        dot += query[j] * to_float(key[page_offset<T>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
    dot = warp_sum(dot);
    float high = fmaxf(top, dot), factor = expf(top - high), p = expf(dot - high);
    top = high, weight = weight * factor + p;
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim)
        sum[j] = sum[j] * factor + p * to_float(value[page_offset<T>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
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

template <int D> static cudaError_t resident(int *per_processor) {
  cudaError_t status = cudaFuncSetAttribute(decode_attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            sizeof(TileMemory<D>));
  if (status != cudaSuccess) return status;
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(per_processor, decode_attention_kernel<D>, kThreads,
                                                       sizeof(TileMemory<D>));
}

extern "C" cudaError_t dms_cuda_decode_attention_plan(const DmsCudaHeads *heads, int lists, int *parts,
                                                      gsize *scratch_bytes) {
  *parts = 0, *scratch_bytes = 0;
  if (!dms_cuda_decode_attention_tiled(heads)) return cudaSuccess;
  int device, processors, per_processor;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess)
    status = heads->head_dim == 64 ? resident<64>(&per_processor) : resident<128>(&per_processor);
  if (status != cudaSuccess) return status;
  *parts = processors * (per_processor < 1 ? 1 : per_processor);
  *scratch_bytes = 2 * *parts * partial_bytes(heads) + (gsize)lists * sizeof(int32_t);
  return cudaSuccess;
}

extern "C" cudaError_t dms_cuda_decode_attention(cudaStream_t stream, const DmsCudaHeads *heads,
                                                 const DmsCudaCache *cache, const DmsCudaRows *rows, int layer,
                                                 const void *qkv, void *out, void *scratch) {
  if (!dms_cuda_decode_attention_tiled(heads)) {
    dim3 grid(heads->heads, rows->rows);
    DISPATCH_TYPE(heads->type, decode_attention_plain_kernel<T>
                  <<<grid, kPlainWarps * 32, 0, stream>>>(*heads, *cache, *rows, layer, (const T *)qkv, (T *)out));
    return cudaGetLastError();
  }
  int32_t *arrived = (int32_t *)((char *)scratch + 2 * rows->parts * partial_bytes(heads));
  if (heads->head_dim == 64)
    decode_attention_kernel<64><<<rows->parts, kThreads, sizeof(TileMemory<64>), stream>>>(
        *heads, *cache, *rows, layer, (const bf16 *)qkv, (bf16 *)out, (Partial<64> *)scratch, arrived);
  else
    decode_attention_kernel<128><<<rows->parts, kThreads, sizeof(TileMemory<128>), stream>>>(
        *heads, *cache, *rows, layer, (const bf16 *)qkv, (bf16 *)out, (Partial<128> *)scratch, arrived);
  return cudaGetLastError();
}
