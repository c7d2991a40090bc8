/* The eviction decision of one token, for the kernels that rotate its keys. */
#pragma once

#include "engine/cuda/element.cuh"

/* Whether the decision computed at `position` says evict. `logit` is what the rule's source gave, where it gives one:
 * a query channel or a value computed before. */
__device__ __forceinline__ bool says_evict(const DmsCudaRule &rule, int pair, int position, float logit) {
  switch (rule.decision) {
  case DMS_CUDA_KEEP:
    return false;
  case DMS_CUDA_SINKS:
    return position >= rule.sinks;
  case DMS_CUDA_RANDOM:
    return (uint32_t)dms_philox(pair, 0, position) < rule.rate * 4294967296.0;
  case DMS_CUDA_LOGITS:
  case DMS_CUDA_BORROWED:
    break;
  }
  return logit * rule.scale - rule.offset > 0;
}

/* Marks the token that a decision at `position` speaks of, where that says evict. One thread. */
__device__ __forceinline__ void flag_token(const DmsCudaCache &cache, const DmsCudaRule &rule, int slot, int pair,
                                           int position) {
  int flagged = position - rule.shift;
  if (flagged >= 0)
    cache.recent[((size_t)slot * cache.ring + flagged % cache.ring) * (cache.layers * cache.kv_heads) + pair] |= 1;
}
