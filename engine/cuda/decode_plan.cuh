/* Who attends to what in a step: the lists of each layer laid end to end and cut into equal shares. */
#pragma once

#include "engine/cuda/tensor_core.cuh"

enum { kScanRoom = 32 };
enum { kLeastItems = 4 * DMS_CUDA_PAGE + DMS_CUDA_LIST_COST }; /* of one CTA's share of a layer's attention */

/* The list that has place `place`: before[list] <= place < before[list + 1]. */
__device__ int list_at(const int *before, int lists, int place) {
  int low = 0, high = lists;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (before[middle] <= place)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* A CTA a layer. Places are counted in shared memory, [lists + 1] behind the scan's sums; then each list finds its
 * place and each part its last list. */
__global__ void plan_shares_kernel(DmsCudaCache cache, int block, DmsCudaRows rows) {
  int *shared = reinterpret_cast<int *>(dynamic_shared()), *before = shared + kScanRoom;
  wait_for_previous();
  let_next_start();
  int running = 0, cost = DMS_CUDA_LIST_COST / block, lists = rows.rows * cache.kv_heads;
  DmsCudaList *list = rows.lists + (size_t)blockIdx.x * lists;
  for (int first = 0; first < lists; first += blockDim.x) {
    int i = first + threadIdx.x, mine = i < lists ? (list[i].length + block - 1) / block : 0;
    int sum = running + block_scan(mine ? mine + cost : 0, shared);
    if (i < lists) before[i + 1] = list[i].end = sum;
    running += shared[blockDim.x / 32 - 1];
    __syncthreads();
  }
  if (threadIdx.x == 0) before[0] = 0;
  __syncthreads();
  /* A CTA fetches its first pages all at once, so fewer would only add partial results to merge. */
  int parts = min(rows.parts, max(running / (kLeastItems / block), 1)), chunk = (running + parts - 1) / parts;
  for (int part = threadIdx.x; part < rows.parts; part += blockDim.x) {
    DmsCudaShare share = {};
    int begin = part * chunk, end = min(begin + chunk, running), last = list_at(before, lists, end - 1);
    if (end <= before[last] + cost) {
      end = before[last];
      last = list_at(before, lists, end - 1);
    }
    if (begin < end) {
      int first = max(begin - before[last] - cost, 0) * block / DMS_CUDA_PAGE;
      share = DmsCudaShare{last, begin, end, chunk, list[last], rows.positions[last / cache.kv_heads]};
      share.page = table_of(cache, list[last].slot, blockIdx.x, last % cache.kv_heads)[first];
    }
    rows.shares[(size_t)blockIdx.x * rows.parts + part] = share;
  }
}
