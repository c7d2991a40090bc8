/* How the CTAs of one kernel give each other values without meeting: a value carries in its last bits which layer it is
 * of, and who needs it reads until it finds that. So a value takes one way to the L2 cache and one back, where a
 * barrier takes two of each and the fences besides.
 *
 * Values that are multiplied as bf16 anyway have half of their word for the tag; sums are floats but for 7 bits, which
 * cost 2^-17 of them. A place that is written in every layer may hold no other tag than those of this layer and the one
 * before; one that is not has to be cleared before the kernel ends, lest an older value be taken for a new one. All
 * CTAs must run at once.
 *
 * Looking is not free for the others: all CTAs look at the same few lines, and what is looked at in vain there delays
 * the values themselves. So a CTA should wait only when its own values are written, and pause before the first look if
 * the others' cannot have come yet. */
#pragma once

#include "engine/cuda/tensor_core.cuh"

enum { kFirstPause = 150 };                                                  /* nanoseconds */
enum { kValueMask = 0xFFFF };                                                /* the tag of a value */
enum { kTagBits = 7, kTagMask = (1 << kTagBits) - 1, kMostTags = kTagMask }; /* and of a sum */

__device__ __forceinline__ void publish_value(uint32_t *to, float x, uint32_t tag) {
  store_relaxed(to, pack(0, x) | tag);
}
__device__ __forceinline__ float value_of(uint32_t word) {
  return __uint_as_float(word & ~(uint32_t)kValueMask);
}
/* Two of them as a pair of bf16. */
__device__ __forceinline__ uint32_t both_values(uint32_t low, uint32_t high) {
  return __byte_perm(low, high, 0x7632);
}

__device__ __forceinline__ uint32_t tagged(float x, uint32_t tag) {
  return (__float_as_uint(x) & ~(uint32_t)kTagMask) | tag;
}
__device__ __forceinline__ float untagged(float x) {
  return __uint_as_float(__float_as_uint(x) & ~(uint32_t)kTagMask);
}
__device__ __forceinline__ float4 untagged(const float4 &x) {
  return {untagged(x.x), untagged(x.y), untagged(x.z), untagged(x.w)};
}

__device__ __forceinline__ void publish(float *to, float x, uint32_t tag) {
  store_relaxed(to, tagged(x, tag));
}
__device__ __forceinline__ void publish(float2 *to, float x, float y, uint32_t tag) {
  store_relaxed(to, tagged(x, tag), tagged(y, tag));
}
__device__ __forceinline__ void publish(float4 *to, const float4 &x, uint32_t tag) {
  store_relaxed(to, tagged(x.x, tag), tagged(x.y, tag), tagged(x.z, tag), tagged(x.w, tag));
}

/* The bits in which a tag is not the one that is waited for. */
__device__ __forceinline__ uint32_t missing(uint32_t x, uint32_t tag, uint32_t mask) {
  return (x ^ tag) & mask;
}
__device__ __forceinline__ uint32_t missing(const uint2 &x, uint32_t tag, uint32_t mask) {
  return missing(x.x, tag, mask) | missing(x.y, tag, mask);
}
__device__ __forceinline__ uint32_t missing(float x, uint32_t tag, uint32_t mask) {
  return missing(__float_as_uint(x), tag, mask);
}
__device__ __forceinline__ uint32_t missing(const float2 &x, uint32_t tag, uint32_t mask) {
  return missing(x.x, tag, mask) | missing(x.y, tag, mask);
}
__device__ __forceinline__ uint32_t missing(const float4 &x, uint32_t tag, uint32_t mask) {
  return missing(x.x, tag, mask) | missing(x.y, tag, mask) | missing(x.z, tag, mask) | missing(x.w, tag, mask);
}

/* Two values that belong together. */
template <typename V, typename W> struct Pair {
  V first;
  W second;
};
template <typename V, typename W>
__device__ __forceinline__ uint32_t missing(const Pair<V, W> &x, uint32_t tag, uint32_t mask) {
  return missing(x.first, tag, mask) | missing(x.second, tag, mask);
}

/* Looks, by `look`, at `n` values until all have the tag, except those that are not `in`; what has been found is not
 * looked at again. Between looks the warp leaves the memory to those that have work. A mask of 0 takes any tag. */
template <int n, typename V, typename Look, typename In>
__device__ __forceinline__ void await_all(V *v, uint32_t tag, uint32_t mask, const Look &look, const In &in) {
  bool open[n];
#pragma unroll
  for (int i = 0; i < n; i++) open[i] = in(i), v[i] = V{};
#pragma unroll 1
  for (;;) {
    bool any = false;
#pragma unroll
    for (int i = 0; i < n; i++)
      if (open[i]) v[i] = look(i);
#pragma unroll
    for (int i = 0; i < n; i++) open[i] = open[i] && missing(v[i], tag, mask), any |= open[i];
    if (!any) return;
    __nanosleep(40);
  }
}
