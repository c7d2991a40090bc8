/* What becomes of the head vectors of one row of qkv on their way to attention and to the cache. */
#pragma once

#include "engine/cuda/decision.cuh"
#include "engine/cuda/head_vector.cuh"

/* Normalises and rotates a query or a key. `lends`: it is the query whose last channel speaks of eviction instead. */
template <typename T>
__device__ __forceinline__ void normalise_and_rotate(HeadVector<T> &v, const float *norm, float eps, const float2 *turn,
                                                     bool lends, bool rezero, int half) {
  if (norm) v.norm(norm, eps, half);
  if (lends) v.clear_last(half);
  v.rotate(turn, half);
  if (lends && rezero) v.clear_last(half);
}

/* Whether the decision computed at this token says evict; `row` is as the product left it. All lanes of the deciding
 * warp call it. */
template <typename T>
__device__ bool decide(const DmsCudaRope &rope, const T *row, int row_index, int head, int position) {
  const DmsCudaRule &rule = rope.rule;
  int dim = rope.heads.head_dim;
  float logit = 0;
  if (rule.decision == DMS_CUDA_LOGITS)
    logit = rope.logits[rule.per_layer ? row_index : row_index * rope.heads.kv_heads + head];
  if (rule.decision == DMS_CUDA_BORROWED) {
    HeadVector<T> q;
    q.load(row + (size_t)head * rope.heads.group * dim, dim / 2);
    if (rope.q_norm) q.norm(rope.q_norm, rope.eps, dim / 2);
    logit = q.last(dim / 2);
  }
  return says_evict(rule, rope.layer * rope.heads.kv_heads + head, position, logit);
}
