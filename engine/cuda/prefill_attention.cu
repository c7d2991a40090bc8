/* Attention of whole prompts under the DMS mask: token j is visible to query i iff j <= i and (i - j <= window or it is
 * not flagged).
 *
 * The tiled kernel is flash attention with mma.m16n8k16: 64 queries of one head a CTA, 64 keys a tile, two tiles in
 * flight, flags as a bit mask a tile; tiles of which no query sees anything cost no arithmetic. The plain kernel takes
 * every other shape, a warp a query. */
#include "engine/cuda/element.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kTile = 64, kStages = 2, kThreads = 128 };

template <int D> struct TileMemory {
  alignas(128) bf16 tile[kStages][2][kTile * D]; /* K, V */
  uint32_t flagged[kStages][2];
};

/* Queues the copy of a tile's K and V; rows behind the prompt repeat its last one and are masked. */
template <int D>
__device__ void load_tile(const bf16 *keys, int stride, int value_offset, int first, int length, bf16 *k, bf16 *v) {
  for (int i = threadIdx.x; i < kTile * D / 8; i += kThreads) {
    int row = i / (D / 8), dim = i % (D / 8) * 8;
    const bf16 *source = keys + (size_t)min(first + row, length - 1) * stride + dim;
    int to = page_offset<bf16>(row, dim, D);
    copy_16(k + to, source), copy_16(v + to, source + value_offset);
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Scores of a warp's 16 queries against a tile; element (n, i) is query lane / 4 (+ 8), key 8 n + lane % 4 * 2 (+ 1).
 */
template <int D> __device__ __forceinline__ void score(const bf16 *keys, const uint32_t (*query)[4], float (*s)[4]) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int n = 0; n < kTile / 8; n += 2) {
    for (int i = 0; i < 4; i++) s[n][i] = s[n + 1][i] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint32_t b[4];
      load_matrices(b, keys + page_offset<bf16>(8 * n + lane / 16 * 8 + lane % 8, 16 * k + (lane / 8 & 1) * 8, D));
      multiply(s[n], query[k], b), multiply(s[n + 1], query[k], b + 2);
    }
  }
}

template <int D>
__global__ __launch_bounds__(kThreads) void prefill_attention_kernel(DmsCudaHeads heads, DmsCudaPrompts prompts,
                                                                     const bf16 *qkv, const uint8_t *flags, int window,
                                                                     bf16 *out) {
  extern __shared__ __align__(128) char shared[];
  TileMemory<D> &memory = *reinterpret_cast<TileMemory<D> *>(shared);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, head = blockIdx.y, kv_head = head / heads.group;
  const int32_t *tile_of = prompts.tiles + 2 * (prompts.n_tiles - 1 - blockIdx.x); /* long rows first */
  int start = prompts.starts[tile_of[0]], length = prompts.starts[tile_of[0] + 1] - start, first_query = tile_of[1];
  const bf16 *keys = qkv + (size_t)start * heads.stride + (size_t)(heads.heads + kv_head) * D;
  const uint8_t *flag = flags ? flags + (size_t)kv_head * prompts.tokens + start : nullptr;
  int value_offset = heads.kv_heads * D,
      tiles = min(first_query + kTile, length) / kTile + (min(first_query + kTile, length) % kTile != 0);
  float scale = heads.scale * 1.44269504088896341f;

  uint32_t query[D / 16][4];
  int query_row[2] = {first_query + 16 * warp + lane / 4, first_query + 16 * warp + lane / 4 + 8};
#pragma unroll
  for (int k = 0; k < D / 16; k++)
    for (int i = 0; i < 4; i++) {
      size_t row = start + min(query_row[i & 1], length - 1);
      query[k][i] = *reinterpret_cast<const uint32_t *>(qkv + row * heads.stride + head * D + 16 * k + lane % 4 * 2 +
                                                        (i & 2) * 4);
    }

  float sum[D / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, weight[2] = {};
  load_tile<D>(keys, heads.stride, value_offset, 0, length, memory.tile[0][0], memory.tile[0][1]);
  bool flagged = flag && threadIdx.x < kTile && (int)threadIdx.x < length && flag[threadIdx.x];
  for (int tile = 0; tile < tiles; tile++) {
    int stage = tile % kStages, first = tile * kTile;
    if (tile + 1 < tiles)
      load_tile<D>(keys, heads.stride, value_offset, first + kTile, length, memory.tile[stage ^ 1][0],
                   memory.tile[stage ^ 1][1]);
    else
      asm volatile("cp.async.commit_group;" ::: "memory");
    uint32_t bits = __ballot_sync(~0u, flagged);
    if (warp < 2 && lane == 0) memory.flagged[stage][warp] = bits;
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    int next = first + kTile + threadIdx.x;
    flagged = flag && threadIdx.x < kTile && next < length && flag[next];
    uint64_t mask = (uint64_t)memory.flagged[stage][1] << 32 | memory.flagged[stage][0];
    if (mask != ~0ull || first_query - (first + kTile - 1) <= window) {
      float s[kTile / 8][4];
      score<D>(memory.tile[stage][0], query, s);
      /* Flags matter only for keys that some query no longer has in its window. */
      bool by_flag = mask && first_query + kTile - 1 - first > window, by_order = first + kTile - 1 > first_query;
#pragma unroll
      for (int n = 0; n < kTile / 8; n++)
        for (int i = 0; i < 4; i++) {
          int key = 8 * n + lane % 4 * 2 + (i & 1), back = query_row[i / 2] - (first + key);
          bool hidden = (by_order && back < 0) || (by_flag && back > window && (mask >> key & 1));
          s[n][i] = hidden ? -INFINITY : s[n][i] * scale;
        }
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float high = top[r];
        for (int n = 0; n < kTile / 8; n++) high = fmaxf(high, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
        high = fmaxf(high, __shfl_xor_sync(~0u, high, 1)), high = fmaxf(high, __shfl_xor_sync(~0u, high, 2));
        float finite = high == -INFINITY ? 0 : high, factor = exp2f(top[r] - finite), total = 0;
        for (int n = 0; n < kTile / 8; n++)
          for (int i = 2 * r; i < 2 * r + 2; i++) total += s[n][i] = exp2f(s[n][i] - finite);
        top[r] = high, weight[r] = weight[r] * factor + total;
        for (int d = 0; d < D / 8; d++) sum[d][2 * r] *= factor, sum[d][2 * r + 1] *= factor;
      }
#pragma unroll
      for (int k = 0; k < kTile / 16; k++) {
        uint32_t a[4] = {pack(s[2 * k][0], s[2 * k][1]), pack(s[2 * k][2], s[2 * k][3]),
                         pack(s[2 * k + 1][0], s[2 * k + 1][1]), pack(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
        for (int d = 0; d < D / 16; d++) {
          uint32_t b[4];
          load_matrices_transposed(b, memory.tile[stage][1] + page_offset<bf16>(16 * k + (lane / 8 & 1) * 8 + lane % 8,
                                                                                16 * d + lane / 16 * 8, D));
          multiply(sum[2 * d], a, b), multiply(sum[2 * d + 1], a, b + 2);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    weight[r] += __shfl_xor_sync(~0u, weight[r], 1), weight[r] += __shfl_xor_sync(~0u, weight[r], 2);
    if (query_row[r] >= length) continue;
    bf16 *to = out + ((size_t)(start + query_row[r]) * heads.heads + head) * D;
    for (int d = 0; d < D / 8; d++)
      *reinterpret_cast<uint32_t *>(to + 8 * d + lane % 4 * 2) =
          pack(sum[d][2 * r] / weight[r], sum[d][2 * r + 1] / weight[r]);
  }
}

enum { kPlainDims = DMS_CUDA_MAX_HEAD_DIM / 32, kPlainWarps = 4 };

template <typename T>
__global__ void prefill_attention_plain_kernel(DmsCudaHeads heads, DmsCudaPrompts prompts, const T *qkv,
                                               const uint8_t *flags, int window, T *out) {
  int lane = threadIdx.x % 32, row = blockIdx.x * kPlainWarps + threadIdx.x / 32, head = blockIdx.y,
      kv_head = head / heads.group;
  if (row >= prompts.tokens) return;
  int dim = heads.head_dim, start = prompts.starts[prompts.prompt_of[row]];
  const uint8_t *flag = flags ? flags + (size_t)kv_head * prompts.tokens : nullptr;
  float query[kPlainDims], sum[kPlainDims] = {}, top = -INFINITY, weight = 0;
  const T *from = qkv + (size_t)row * heads.stride + (size_t)head * dim;
#pragma unroll
  for (int j = 0; j < kPlainDims; j++) query[j] = lane + 32 * j < dim ? to_float(from[lane + 32 * j]) * heads.scale : 0;
  for (int key = start; key <= row; key++) {
    if (flag && row - key > window && flag[key]) continue;
    const T *k = qkv + (size_t)key * heads.stride + (size_t)(heads.heads + kv_head) * dim,
            *v = k + heads.kv_heads * dim;
    float dot = 0;
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim) dot += query[j] * to_float(k[lane + 32 * j]);
    dot = warp_sum(dot);
    float high = fmaxf(top, dot), factor = expf(top - high), p = expf(dot - high);
    top = high, weight = weight * factor + p;
#pragma unroll
    for (int j = 0; j < kPlainDims; j++)
      if (lane + 32 * j < dim) sum[j] = sum[j] * factor + p * to_float(v[lane + 32 * j]);
  }
#pragma unroll
  for (int j = 0; j < kPlainDims; j++)
    if (lane + 32 * j < dim)
      out[((size_t)row * heads.heads + head) * dim + lane + 32 * j] = from_float<T>(sum[j] / weight);
}

template <int D>
static cudaError_t launch(cudaStream_t stream, const DmsCudaHeads *heads, const DmsCudaPrompts *prompts,
                          const void *qkv, const uint8_t *flags, int window, void *out) {
  cudaError_t status = cudaFuncSetAttribute(prefill_attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            sizeof(TileMemory<D>));
  if (status != cudaSuccess) return status;
  dim3 grid(prompts->n_tiles, heads->heads);
  prefill_attention_kernel<D><<<grid, kThreads, sizeof(TileMemory<D>), stream>>>(*heads, *prompts, (const bf16 *)qkv,
                                                                                 flags, window, (bf16 *)out);
  return cudaGetLastError();
}

extern "C" cudaError_t dms_cuda_prefill_attention(cudaStream_t stream, const DmsCudaHeads *heads,
                                                  const DmsCudaPrompts *prompts, const void *qkv, const uint8_t *flags,
                                                  int window, void *out) {
  if (heads->type == DMS_CUDA_BF16 && heads->head_dim == 128)
    return launch<128>(stream, heads, prompts, qkv, flags, window, out);
  if (heads->type == DMS_CUDA_BF16 && heads->head_dim == 64)
    return launch<64>(stream, heads, prompts, qkv, flags, window, out);
  dim3 grid((prompts->tokens + kPlainWarps - 1) / kPlainWarps, heads->heads);
  DISPATCH_TYPE(heads->type, prefill_attention_plain_kernel<T>
                <<<grid, kPlainWarps * 32, 0, stream>>>(*heads, *prompts, (const T *)qkv, flags, window, (T *)out));
  return cudaGetLastError();
}
