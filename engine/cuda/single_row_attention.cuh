/* Decode attention of one row within single_row.cu, appending the arriving token on the way.
 *
 * The items of a KV head are dealt out, 16 at a time, to the warps of the CTAs that the head has. A warp reads its
 * keys straight into registers, before the queries are there, rotates the head's queries by itself and publishes what
 * it found. The arriving token is one more finding, by a warp for each query head, the first of which also puts it into
 * its page; its place there is left out by whoever reads that page. All CTAs then merge what was found, 32 channels
 * each.
 *
 * S = Q K^T and O = P V by mma.m16n8k16 with up to 8 query heads as the rows. In both products which channel a lane
 * holds is free as long as both operands agree, so a lane loads 16 neighbouring bytes of K, and of V 8 neighbouring
 * channels of the four items that its part of P speaks of. */
#pragma once

#include "engine/cuda/decision.cuh"
#include "engine/cuda/exchange.cuh"
#include "engine/cuda/head_vector.cuh"
#include "engine/cuda/tensor_core.cuh"
#include "engine/cuda/weight_stream.cuh"

/* Below every score, and finite, so that differences are numbers. */
constexpr float kNothing = -1e30f;

enum { kItems = 16, kMergeChannels = 32, kMostGroup = 8 };

/* What a warp has to do in a layer, found out well before it is done. */
struct Errand {
  int length; /* items of the list */
  int place;  /* page * 64 + row where the arriving token goes */
  int page;   /* of the first items */
};

/* What does not change from layer to layer, and this layer's norms, in shared memory. */
template <int D> struct RowMemory {
  float2 turn[D / 2];                                             /* cos, sin at the row's position */
  float norm[2][2][D];                                            /* of queries and keys, by the layer's parity */
  float sum[kWarps][kMergeChannels], top[kWarps], weight[kWarps]; /* while findings are merged */
  Errand errand[kWarps];
};

/* Groups of 16 items of a head that a CTA can be at. */
template <int D> constexpr int kAtATime = kWarps / (D / 64);

/* Where the warps of all CTAs leave what they found. Heads have `parts` CTAs each. */
struct Findings {
  float *sums;  /* [kv_heads][parts * kAtATime + 1][group][D]; the last is the arriving token's */
  float2 *tops; /* [kv_heads][parts * kAtATime + 1][group] highest score, sum of weights */
};

/* A query head in the places of mma's operands: of head lane / 4, channels 32 s + 8 (lane % 4) .. + 7 in x[s]. */
template <int D> struct SpreadVector {
  float x[D / 32][8];

  __device__ static int channel(int s) { return 32 * s + threadIdx.x % 4 * 8; }
  /* The i-th four of a lane's channels, of a vector that begins at `from`. */
  __device__ static const float4 *place(const float *from, int i) {
    return reinterpret_cast<const float4 *>(from + channel(i / 2)) + i % 2;
  }
  __device__ __forceinline__ void take(const float4 *four) {
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      float4 u = untagged(four[i]);
      float *to = &x[i / 2][i % 2 * 4];
      to[0] = u.x, to[1] = u.y, to[2] = u.z, to[3] = u.w;
    }
  }
  __device__ __forceinline__ void scale(const float *weight, float eps) {
    float sum = 0;
#pragma unroll
    for (int s = 0; s < D / 32; s++)
      for (int i = 0; i < 8; i++) sum += x[s][i] * x[s][i];
    sum += __shfl_xor_sync(~0u, sum, 1), sum += __shfl_xor_sync(~0u, sum, 2);
    float factor = rsqrtf(sum / D + eps);
#pragma unroll
    for (int s = 0; s < D / 32; s++)
      for (int i = 0; i < 8; i++) x[s][i] *= factor * weight[channel(s) + i];
  }
  __device__ __forceinline__ void rotate(const float2 *turn) {
#pragma unroll
    for (int s = 0; s < D / 64; s++)
      for (int i = 0; i < 8; i++) {
        float2 t = turn[channel(s) + i];
        float low = x[s][i], high = x[s + D / 64][i];
        x[s][i] = low * t.x - high * t.y, x[s + D / 64][i] = high * t.x + low * t.y;
      }
  }
  __device__ __forceinline__ uint4 packed(int s) const {
    return {pack(x[s][0], x[s][1]), pack(x[s][2], x[s][3]), pack(x[s][4], x[s][5]), pack(x[s][6], x[s][7])};
  }
};

/* 16 items of a page, from row `first` on: the keys of items lane / 4 and 8 further, channels as of a SpreadVector. */
template <int D> struct Keys {
  uint4 key[2][D / 32];

  __device__ static uint4 *place(const bf16 *page, int row, int s) {
    return (uint4 *)(page + page_offset<bf16>(row, SpreadVector<D>::channel(s), D));
  }
  __device__ __forceinline__ void load(const bf16 *page, int first) {
#pragma unroll
    for (int r = 0; r < 2; r++)
      for (int s = 0; s < D / 32; s++) key[r][s] = *place(page, first + threadIdx.x % 32 / 4 + 8 * r, s);
  }
};

/* Their values: of the four items that item() names, 8 channels from channel() on. A warp has 64 channels: heads of
 * 128 take two warps, or the registers would not suffice. */
template <int D> struct Values {
  uint4 value[4];

  __device__ static int item(int i) { return threadIdx.x % 4 * 2 + i % 2 + i / 2 * 8; }
  __device__ static int first_channel() { return threadIdx.x / 32 % (D / 64) * 64; }
  __device__ static int channel() { return first_channel() + threadIdx.x % 32 / 4 * 8; }
  __device__ static uint4 *place(const bf16 *page, int row) {
    return (uint4 *)(page + DMS_CUDA_PAGE * D + page_offset<bf16>(row, channel(), D));
  }
  /* Those that are not among the first `n` or are `absent` are zero: their weight is, but what lies there may be
   * anything. */
  __device__ __forceinline__ void load(const bf16 *page, int first, int n, int absent) {
#pragma unroll
    for (int i = 0; i < 4; i++) value[i] = item(i) < n && item(i) != absent ? *place(page, first + item(i)) : uint4{};
  }
};

/* One warp's running softmax. A lane has query head lane / 4: sums of the warp's channels 16 (lane % 4) + 8 i + t in
 * sum[t][i]. */
template <int D> struct Softmax {
  float sum[8][2] = {}, top = kNothing, weight = 0;

  /* The weights of the items that Values::item() names; what was summed up before is made to agree with them. */
  __device__ __forceinline__ void weigh(const uint4 *query, const Keys<D> &keys, int n, int absent, float scale,
                                        float *p) {
    float score[2][4] = {}, high = top;
#pragma unroll
    for (int s = 0; s < D / 32; s++) {
      uint32_t low[4] = {query[s].x, 0, query[s].y, 0}, rest[4] = {query[s].z, 0, query[s].w, 0};
#pragma unroll
      for (int r = 0; r < 2; r++) {
        uint32_t low_key[2] = {keys.key[r][s].x, keys.key[r][s].y}, rest_key[2] = {keys.key[r][s].z, keys.key[r][s].w};
        multiply(score[r], low, low_key);
        multiply(score[r], rest, rest_key);
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int item = Values<D>::item(i);
      p[i] = item < n && item != absent ? score[i / 2][i % 2] * scale : -INFINITY;
      high = fmaxf(high, p[i]);
    }
    high = fmaxf(high, __shfl_xor_sync(~0u, high, 1)), high = fmaxf(high, __shfl_xor_sync(~0u, high, 2));
    high = untagged(high); /* any value about as high will do, and this one can be published */
    float factor = exp2f(top - high);
    top = high, weight *= factor;
#pragma unroll
    for (int i = 0; i < 4; i++) p[i] = exp2f(p[i] - high), weight += p[i];
#pragma unroll
    for (int t = 0; t < 8; t++) sum[t][0] *= factor, sum[t][1] *= factor;
  }
  __device__ __forceinline__ void add(const float *p, const Values<D> &values) {
    uint32_t a[4] = {pack(p[0], p[1]), 0, pack(p[2], p[3]), 0};
#pragma unroll
    for (int t = 0; t < 8; t++) {
      auto word = [&](const uint4 &v) { return t / 2 == 0 ? v.x : t / 2 == 1 ? v.y : t / 2 == 2 ? v.z : v.w; };
      /* Channel t of two items. */
      auto two = [&](int i) {
        return __byte_perm(word(values.value[i]), word(values.value[i + 1]), t % 2 ? 0x7632 : 0x5410);
      };
      uint32_t b[2] = {two(0), two(2)};
      float d[4] = {sum[t][0], sum[t][1], 0, 0};
      multiply(d, a, b);
      sum[t][0] = d[0], sum[t][1] = d[1];
    }
  }
  __device__ __forceinline__ void publish_all(const Findings &findings, size_t at, int group, uint32_t tag) {
    int head = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
    weight += __shfl_xor_sync(~0u, weight, 1), weight += __shfl_xor_sync(~0u, weight, 2);
    if (head >= group) return;
    float *to = findings.sums + (at * group + head) * D + Values<D>::first_channel() + 16 * c;
#pragma unroll
    for (int i = 0; i < 2; i++)
      for (int t = 0; t < 8; t += 4)
        publish(reinterpret_cast<float4 *>(to + 8 * i + t), {sum[t][i], sum[t + 1][i], sum[t + 2][i], sum[t + 3][i]},
                tag);
    if (c == 0 && Values<D>::first_channel() == 0) publish(findings.tops + at * group + head, top, weight, tag);
  }
};

/* A warp's share of a layer's attention: groups of 16 items of one KV head, `first`, `first` + `step`, ... */
template <int D> struct Share {
  const DmsCudaSingleRow &m;
  RowMemory<D> &memory;
  const float *qkv;
  int layer, slot, head, first, step, length, place;

  __device__ Share(const DmsCudaSingleRow &m, RowMemory<D> &memory, const float *qkv, int layer, int slot)
      : m(m), memory(memory), qkv(qkv), layer(layer), slot(slot) {
    int kv_heads = m.cache.kv_heads, parts = gridDim.x / kv_heads, part = blockIdx.x / kv_heads;
    head = blockIdx.x % kv_heads, step = parts * kAtATime<D>;
    first = part < parts ? part + parts * (threadIdx.x / 32 / (D / 64)) : INT32_MAX;
  }
  __device__ int pair() const { return layer * m.cache.kv_heads + head; }
  __device__ uint32_t tag() const { return layer + 1; }
  __device__ float scale() const { return m.rope.heads.scale * 1.44269504088896341f; }
  __device__ bool any() const { return (int64_t)first * kItems < length; }
  __device__ int page(int group) const {
    size_t list = (size_t)slot * m.cache.layers * m.cache.kv_heads + pair();
    return m.cache.table[list * m.cache.max_pages + group / (DMS_CUDA_PAGE / kItems)];
  }
  __device__ static int row(int group) { return group % (DMS_CUDA_PAGE / kItems) * kItems; }
  __device__ size_t finding(int i) const { return (size_t)head * (step + 1) + i; }

  /* Looks up what there is to do, and asks for the first items. */
  __device__ void prepare() {
    length = m.rows.lengths[pair()], place = m.rows.items[pair()];
    int number = any() ? page(first) : 0;
    if (threadIdx.x % 32 == 0) memory.errand[threadIdx.x / 32] = {length, place, number};
    if (!any()) return;
    const char *keys = (const char *)(page_base<bf16>(m.cache, number) + row(first) * D);
    if (threadIdx.x % 32 * 128 < kItems * D * 2)
      for (int h = 0; h < 2; h++) prefetch_to_l2(keys + h * DMS_CUDA_PAGE * D * 2 + threadIdx.x % 32 * 128);
  }
  /* After that, and a barrier: does it. */
  __device__ void run(const Findings &findings) {
    const Errand &errand = memory.errand[threadIdx.x / 32];
    length = errand.length, place = errand.place;
    if (any()) attend(findings, errand.page);
    /* A warp a query head, of the CTA that has the fewest items of the KV head. */
    int query = (int)threadIdx.x / 32 - (kWarps - m.rope.heads.group);
    if (query >= 0 && blockIdx.x / m.cache.kv_heads == gridDim.x / m.cache.kv_heads - 1) append(findings, query);
  }

  /* Which of a group's items is the arriving token's place, if any. */
  __device__ __forceinline__ int absent(int group, int page) const {
    return page == place / DMS_CUDA_PAGE ? place % DMS_CUDA_PAGE - row(group) : -1;
  }
  __device__ __forceinline__ const float *query() const {
    return qkv + (size_t)(head * m.rope.heads.group + threadIdx.x % 32 / 4) * D;
  }
  __device__ static bool has_query(const DmsCudaHeads &heads) { return threadIdx.x % 32 / 4 < heads.group; }
  /* The queries, a lane's of head lane / 4, as they are multiplied with keys. */
  __device__ __forceinline__ void turn_queries(SpreadVector<D> &q) const {
    bool lends = m.rope.rule.borrowed && threadIdx.x % 32 == 3; /* the first head's last channel, to the decision */
    if (m.rope.q_norm) q.scale(memory.norm[layer & 1][0], m.rope.eps);
    if (lends) q.x[D / 32 - 1][7] = 0;
    q.rotate(memory.turn);
    if (lends && m.rope.rule.rezero) q.x[D / 32 - 1][7] = 0;
  }

  __device__ __forceinline__ void attend(const Findings &findings, int number) const {
    Softmax<D> softmax;
    Keys<D> keys;
    Values<D> values;
    uint4 query_of[D / 32];
    bool waits = true;
#pragma unroll 1
    for (int group = first;;) {
      int n = length - group * kItems, without = absent(group, number);
      const bf16 *rows = page_base<bf16>(m.cache, number);
      float p[4];
      keys.load(rows, row(group));
      if (waits) {
        SpreadVector<D> q;
        float4 four[D / 16];
        await<D / 16>(four, tag(), kTagMask,
                      [&](int i) { return has_query(m.rope.heads) ? q.place(query(), i) : nullptr; });
        q.take(four);
        turn_queries(q);
#pragma unroll
        for (int s = 0; s < D / 32; s++) query_of[s] = q.packed(s);
        waits = false;
      }
      values.load(rows, row(group), n, without);
      softmax.weigh(query_of, keys, n, without, scale(), p);
      softmax.add(p, values);
      group += step;
      if ((int64_t)group * kItems >= length) break;
      number = page(group);
    }
    softmax.publish_all(findings, finding(first), m.rope.heads.group, tag());
  }

  /* What query head `query` finds in the arriving token; the first one's warp also puts the token into its page and
   * takes its decision. */
  __device__ __forceinline__ void append(const Findings &findings, int query) const {
    const DmsCudaHeads &heads = m.rope.heads;
    constexpr int kHalf = D / 2, kLows = D / 64; /* pairs of a lane */
    int lane = threadIdx.x % 32, number = place / DMS_CUDA_PAGE, row = place % DMS_CUDA_PAGE;
    const float *from[3] = {qkv + (head * heads.group + query) * D, qkv + (heads.heads + head) * D,
                            qkv + (heads.heads + heads.kv_heads + head) * D};
    float x[3][2][kLows];
    HeadVector<bf16> vector[3] = {}, &q = vector[0], &k = vector[1], &v = vector[2];
    await<3 * 2 * kLows>(&x[0][0][0], tag(), kTagMask,
                         [&](int i) { return from[i / (2 * kLows)] + i / kLows % 2 * kHalf + i % kLows * 32 + lane; });
#pragma unroll
    for (int i = 0; i < 3; i++)
      for (int p = 0; p < kLows; p++) vector[i].low[p] = untagged(x[i][0][p]), vector[i].high[p] = untagged(x[i][1][p]);
    if (m.rope.q_norm) q.norm(memory.norm[layer & 1][0], m.rope.eps, kHalf);
    if (m.rope.k_norm) k.norm(memory.norm[layer & 1][1], m.rope.eps, kHalf);
    bool lends = query == 0 && m.rope.rule.borrowed;
    float borrowed = q.last(kHalf), score = 0;
    if (lends) q.clear_last(kHalf);
    q.rotate(memory.turn, kHalf), k.rotate(memory.turn, kHalf);
    if (lends && m.rope.rule.rezero) q.clear_last(kHalf);
    size_t to = finding(step) * heads.group + query;
#pragma unroll
    for (int p = 0; p < kLows; p++) {
      float *sum = findings.sums + to * D + lane + 32 * p;
      score += q.low[p] * k.low[p] + q.high[p] * k.high[p];
      publish(sum, v.low[p], tag()), publish(sum + kHalf, v.high[p], tag());
    }
    score = warp_sum(score) * scale();
    if (lane == 0) publish(findings.tops + to, score, 1, tag());
    if (query) return;
    bf16 *page = page_base<bf16>(m.cache, number);
    k.store_item(page, row, 1, kHalf), v.store_item(page + DMS_CUDA_PAGE * D, row, 1, kHalf);
    if (row % kItems == 0 && row == (length - 1) % DMS_CUDA_PAGE && number == this->page((length - 1) / kItems))
      clear_values_behind<bf16>(m.cache, number, row, D, lane, 32);
    int position = m.rows.positions[0];
    if (m.cache.ring && says_evict(m.rope.rule, pair(), position, borrowed) && lane == 0)
      flag_token(m.cache, m.rope.rule, slot, pair(), position);
  }

  /* So that the next step takes none of this one's findings for its own; the arriving token's are written in any case.
   */
  __device__ void forget(const Findings &findings) const {
    int group = m.rope.heads.group, lane = threadIdx.x % 32;
    if (first >= step) return;
#pragma unroll 1
    for (int i = lane; i < group * D; i += 32) findings.sums[finding(first) * group * D + i] = 0;
    if (lane < group) findings.tops[finding(first) * group + lane] = float2{};
  }
};

/* All CTAs: `attended` [heads * D] from what the warps found. Where there are more blocks of channels than CTAs, the
 * warps of a CTA fall into sets that have one each. */
template <int D>
__device__ void merge(const DmsCudaSingleRow &m, int layer, const Findings &findings, RowMemory<D> &memory,
                      float *attended) {
  const DmsCudaHeads &heads = m.rope.heads;
  uint32_t tag = layer + 1;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, step = gridDim.x / heads.kv_heads * kAtATime<D>;
  int blocks = heads.heads * D / kMergeChannels, sets = 1;
  while (sets * (int)gridDim.x < blocks) sets *= 2;
  int of_set = kWarps / sets, block = blockIdx.x + warp / of_set * gridDim.x;
  float sum = 0, top = kNothing, weight = 0;
  if (block < blocks) {
    int query_head = block / (D / kMergeChannels), kv_head = query_head / heads.group;
    int channel = block % (D / kMergeChannels) * kMergeChannels + lane;
    int groups = (m.rows.lengths[layer * heads.kv_heads + kv_head] + kItems - 1) / kItems, n = min(groups, step);
    const float2 *tops = findings.tops + (size_t)kv_head * (step + 1) * heads.group + query_head % heads.group;
    const float *sums = findings.sums + (tops - findings.tops) * D + channel;
    enum { kAtOnce = 5 };
#pragma unroll 1
    for (int first = warp % of_set; first <= n; first += kAtOnce * of_set) {
      float x[kAtOnce];
      float2 y[kAtOnce];
      auto in = [&](int i) { return first + i * of_set <= n; };
      /* Behind the others, the arriving token's. */
      auto found = [&](int i) { return (first + i * of_set < n ? first + i * of_set : step) * heads.group; };
      await_both<kAtOnce>(
          y, [&](int i) { return in(i) ? tops + found(i) : nullptr; }, x,
          [&](int i) { return in(i) ? sums + found(i) * D : nullptr; }, tag);
#pragma unroll
      for (int i = 0; i < kAtOnce; i++) {
        if (!in(i)) continue;
        float part_top = untagged(y[i].x), high = fmaxf(top, part_top), factor = exp2f(part_top - high),
              old = exp2f(top - high);
        sum = sum * old + untagged(x[i]) * factor, weight = weight * old + untagged(y[i].y) * factor, top = high;
      }
    }
  }
  memory.sum[warp][lane] = sum;
  if (lane == 0) memory.top[warp] = top, memory.weight[warp] = weight;
  named_barrier(1, kWorkers);
  if (warp % of_set || block >= blocks) return;
  float high = kNothing, all = 0, total = 0;
#pragma unroll 4
  for (int w = warp; w < warp + of_set; w++) high = fmaxf(high, memory.top[w]);
#pragma unroll 4
  for (int w = warp; w < warp + of_set; w++) {
    float factor = exp2f(memory.top[w] - high);
    all += memory.sum[w][lane] * factor, total += memory.weight[w] * factor;
  }
  publish(attended + block * kMergeChannels + lane, all / total, tag);
}
