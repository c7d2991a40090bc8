/* Decode attention of the shapes and types that decode_attention.cu leaves out: a CTA a query head, a warp an item. */
#include "engine/cuda/element.cuh"

enum { kWarps = 4, kDims = DMS_CUDA_MAX_HEAD_DIM / 32 };

template <typename T, typename P>
__global__ void plain_attention_kernel(DmsCudaHeads heads, DmsCudaCache cache, DmsCudaRows rows, int layer,
                                       const T *qkv, T *out) {
  __shared__ float sums[kWarps][DMS_CUDA_MAX_HEAD_DIM], tops[kWarps], weights[kWarps];
  int head = blockIdx.x, row = blockIdx.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  wait_for_previous();
  let_next_start();
  int slot = rows.slots[row];
  if (slot < 0) return;
  int dim = heads.head_dim, kv_head = head / heads.group;
  int length = rows.lists[((size_t)layer * rows.rows + row) * cache.kv_heads + kv_head].length;
  const int32_t *table = table_of(cache, slot, layer, kv_head);
  const T *from = qkv + (size_t)row * heads.stride + (size_t)head * dim;
  float query[kDims], sum[kDims] = {}, top = -INFINITY, weight = 0;
#pragma unroll
  for (int j = 0; j < kDims; j++) query[j] = lane + 32 * j < dim ? to_float(from[lane + 32 * j]) * heads.scale : 0;
  for (int item = warp; item < length; item += kWarps) {
    int page = table[item / DMS_CUDA_PAGE];
    const P *key = page_base<P>(cache, page), *value = key + DMS_CUDA_PAGE * dim;
    float dot = 0;
#pragma unroll
    for (int j = 0; j < kDims; j++)
      if (lane + 32 * j < dim)
        dot += query[j] * to_float(key[page_offset<P>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
    dot = warp_sum(dot) * scale_of<P>(cache, page, 0);
    float high = fmaxf(top, dot), factor = expf(top - high), p = expf(dot - high);
    top = high, weight = weight * factor + p, p *= scale_of<P>(cache, page, 1);
#pragma unroll
    for (int j = 0; j < kDims; j++)
      if (lane + 32 * j < dim)
        sum[j] = sum[j] * factor + p * to_float(value[page_offset<P>(item % DMS_CUDA_PAGE, lane + 32 * j, dim)]);
  }
#pragma unroll
  for (int j = 0; j < kDims; j++)
    if (lane + 32 * j < dim) sums[warp][lane + 32 * j] = sum[j];
  if (lane == 0) tops[warp] = top, weights[warp] = weight;
  __syncthreads();
  for (int d = threadIdx.x; d < dim; d += blockDim.x) {
    float high = -INFINITY, total = 0, x = 0;
    for (int w = 0; w < kWarps; w++) high = fmaxf(high, tops[w]);
    for (int w = 0; w < kWarps; w++) {
      float factor = expf(tops[w] - high);
      total += weights[w] * factor, x += sums[w][d] * factor;
    }
    out[((size_t)row * heads.heads + head) * dim + d] = from_float<T>(x / total);
  }
}

extern "C" cudaError_t dms_cuda_plain_attention(cudaStream_t stream, const DmsCudaRope *rope, const DmsCudaCache *cache,
                                                const DmsCudaRows *rows, void *out) {
  dim3 grid(rope->heads.heads, rows->rows);
  DISPATCH_CACHE(cache->type, return launch(stream, grid, kWarps * 32, 0, plain_attention_kernel<T, P>, rope->heads,
                                            *cache, *rows, rope->layer, (const T *)rope->qkv, (T *)out));
}
