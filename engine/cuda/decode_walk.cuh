/* How a warp of decode attention walks over what its CTA attends to: the places of plan_shares_kernel(), list by list
 * from the last to the first. So a list that goes on in the next CTA is done first, and whoever has a list's end, who
 * merges its parts, comes to it last. */
#pragma once

#include "engine/cuda/element.cuh"

template <typename P> constexpr int kBlock = sizeof(P) == 1 ? DMS_CUDA_PAGE : 16; /* as dms_cuda_block() */

template <typename P> struct Walk {
  const DmsCudaList *lists;
  int begin, end, chunk; /* places of the CTA */
  int index;             /* the list's number */
  DmsCudaList list;
  int batch_last;
  DmsCudaList batch; /* list number batch_last - lane */

  __device__ Walk(const DmsCudaShare &share, const DmsCudaRows &rows, int kv_heads, int layer) {
    lists = rows.lists + (size_t)layer * rows.rows * kv_heads;
    begin = share.begin, end = share.end, chunk = share.chunk, index = share.list, list = share.last;
    if (more()) load_batch(index);
  }
  __device__ bool any() const { return begin < end; }

  /* ---- This list: the CTA has its items first() .. stop() - 1 ---- */
  __device__ int list_begin() const { return list.end - (list.length + kBlock<P> - 1) / kBlock<P>; }
  __device__ int first() const { return max(begin - list_begin(), 0) * kBlock<P>; }
  __device__ int stop() const { return min((min(list.end, end) - list_begin()) * kBlock<P>, list.length); }
  __device__ bool ends_here() const { return list.end <= end; }
  __device__ bool appends() const { return first() <= list.arriving && list.arriving < stop(); }
  /* The first of the CTAs that have some of it. */
  __device__ int first_part() const { return list_begin() / chunk; }

  /* ---- On to the list before it that has items ---- */
  __device__ bool more() const { return list_begin() - DMS_CUDA_LIST_COST / kBlock<P> > begin; }
  __device__ void advance() {
    do {
      if (batch_last - --index == 32) load_batch(index);
      int lane = batch_last - index;
      list.slot = __shfl_sync(~0u, batch.slot, lane), list.length = __shfl_sync(~0u, batch.length, lane);
      list.arriving = __shfl_sync(~0u, batch.arriving, lane), list.end = __shfl_sync(~0u, batch.end, lane);
    } while (!list.length);
  }
  __device__ void load_batch(int last) { batch_last = last, batch = lists[max(last - (int)threadIdx.x % 32, 0)]; }
};
