/* q/k norm, eviction decision, RoPE and cache append in one pass over a row of qkv. A block takes one KV head of one
 * token, a warp one vector of it: the group's queries, K, V and, where a query channel decides, one more warp for the
 * decision. */
#include "engine/cuda/head_group.cuh"

/* The scale by which an item whose largest magnitude has these bits is to be stored: the page's own, which is first set
 * or raised, its `n` elements with it, where it does not suffice. A warp. */
__device__ float fit_scale(float *page_scale, e4m3 *rows, int n, uint32_t largest_bits) {
  float old = *page_scale, scale = fitting_scale(old, largest_bits);
  __syncwarp();
  if (threadIdx.x % 32 == 0) *page_scale = scale;
  change_scale(rows, n, old, scale);
  __syncwarp();
  return scale;
}

/* What warp `part` of the block does to the row in place: queries and K are normalised and rotated. */
template <typename T>
__device__ void rotate_in_place(const DmsCudaRope &rope, HeadVector<T> &v, T *vector, bool query, bool first,
                                int position) {
  int half = rope.heads.head_dim / 2;
  v.load(vector, half);
  normalise_and_rotate(v, query ? rope.q_norm : rope.k_norm, rope.eps, rope.rope + (size_t)position * half,
                       query && first && rope.rule.borrowed, rope.rule.rezero, half);
}

template <typename T, typename P>
__global__ void rope_append_kernel(DmsCudaRope rope, DmsCudaCache cache, DmsCudaRows rows) {
  int head = blockIdx.x, row = blockIdx.y, part = threadIdx.x / 32, group = rope.heads.group, dim = rope.heads.head_dim;
  wait_for_previous();
  let_next_start();
  int slot = rows.slots[row];
  if (slot < 0) return;
  int position = rows.positions[row];
  T *qkv = (T *)rope.qkv + (size_t)row * rope.heads.stride;
  size_t at = ((size_t)rope.layer * rows.rows + row) * cache.kv_heads + head;
  /* The borrowed channel is read by the deciding warp before a query warp clears it in place. */
  bool evict = part == group + 2 && decide<T>(rope, qkv, row, head, position);
  HeadVector<T> v;
  if (part < group) {
    T *vector = qkv + (size_t)(head * group + part) * dim;
    rotate_in_place(rope, v, vector, true, part == 0, position);
  } else if (part <= group + 1) {
    bool is_value = part == group + 1;
    T *vector = qkv + (size_t)(rope.heads.heads + (is_value ? rope.heads.kv_heads : 0) + head) * dim;
    const DmsCudaList &list = rows.lists[at];
    int page = arriving_page(cache, list, rope.layer, head), item = list.arriving % DMS_CUDA_PAGE;
    P *to = page_base<P>(cache, page) + (is_value ? DMS_CUDA_PAGE * dim : 0);
    float scale = 1;
    if (is_value)
      v.load(vector, dim / 2);
    else
      rotate_in_place(rope, v, vector, false, false, position);
    if constexpr (sizeof(P) == 1) {
      v.round();
      scale = fit_scale(&page_scales(cache, page)[is_value], to, DMS_CUDA_PAGE * dim, v.largest_bits());
    }
    v.store_item(to, item, scale, dim / 2);
    if (is_value && begins_rows(list)) clear_rows_behind(to, item, dim, threadIdx.x % 32, 32);
  }
  __syncthreads();
  if (part < group) v.store(qkv + (size_t)(head * group + part) * dim, dim / 2);
  if (part == group + 2 && threadIdx.x % 32 == 0 && cache.ring && evict)
    flag_token(cache, rope.rule, slot, rope.layer * cache.kv_heads + head, position);
}

template <typename T> __global__ void rope_prefill_kernel(DmsCudaRope rope, DmsCudaPrompts prompts, uint8_t *flags) {
  int head = blockIdx.x, row = blockIdx.y, part = threadIdx.x / 32, group = rope.heads.group, dim = rope.heads.head_dim;
  int position = prompts.positions[row];
  T *qkv = (T *)rope.qkv + (size_t)row * rope.heads.stride;
  bool evict = part == group + 1 && decide<T>(rope, qkv, row, head, position);
  T *vector = qkv + (size_t)(part < group ? head * group + part : rope.heads.heads + head) * dim;
  HeadVector<T> v;
  if (part <= group) rotate_in_place(rope, v, vector, part < group, part == 0, position);
  __syncthreads();
  if (part <= group) v.store(vector, dim / 2);
  if (part == group + 1 && threadIdx.x % 32 == 0 && flags && position >= rope.rule.shift)
    flags[(size_t)head * prompts.tokens + row - rope.rule.shift] = evict;
}

template <typename T> __global__ void borrowed_logits_kernel(DmsCudaRope rope, int rows, float *out) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, half = rope.heads.head_dim / 2;
  wait_for_previous();
  let_next_start();
  if (row >= rows) return;
  HeadVector<T> q;
  q.load((const T *)rope.qkv + (size_t)row * rope.heads.stride, half);
  if (rope.q_norm) q.norm(rope.q_norm, rope.eps, half);
  float logit = q.last(half);
  if (threadIdx.x % 32 == 0) out[row] = logit;
}

extern "C" cudaError_t dms_cuda_borrowed_logits(cudaStream_t stream, const DmsCudaRope *rope, int rows, float *out) {
  DISPATCH_TYPE(rope->heads.type,
                return launch(stream, (rows + 3) / 4, 128, 0, borrowed_logits_kernel<T>, *rope, rows, out));
}

extern "C" cudaError_t dms_cuda_rope_append(cudaStream_t stream, const DmsCudaRope *rope, const DmsCudaCache *cache,
                                            const DmsCudaRows *rows) {
  dim3 grid(cache->kv_heads, rows->rows);
  int threads = (rope->heads.group + 3) * 32;
  DISPATCH_CACHE(cache->type, return launch(stream, grid, threads, 0, rope_append_kernel<T, P>, *rope, *cache, *rows));
}

extern "C" cudaError_t dms_cuda_rope_prefill(cudaStream_t stream, const DmsCudaRope *rope,
                                             const DmsCudaPrompts *prompts, uint8_t *flags) {
  /* Rows are the grid's second dimension, 65535 at most, so a longer prompt takes several launches. */
  int threads = (rope->heads.group + 2) * 32;
  for (int first = 0; first < prompts->tokens; first += 32768) {
    DmsCudaRope part = *rope;
    DmsCudaPrompts some = *prompts;
    int rows = prompts->tokens - first < 32768 ? prompts->tokens - first : 32768;
    gsize element = rope->heads.type == DMS_CUDA_F32 ? 4 : 2;
    part.qkv = (char *)rope->qkv + (gsize)first * rope->heads.stride * element;
    if (rope->logits) part.logits = rope->logits + (gsize)first * (rope->rule.per_layer ? 1 : rope->heads.kv_heads);
    some.positions += first;
    dim3 grid(rope->heads.kv_heads, rows);
    DISPATCH_TYPE(rope->heads.type,
                  rope_prefill_kernel<T><<<grid, threads, 0, stream>>>(part, some, flags ? flags + first : NULL));
  }
  return cudaGetLastError();
}
