/* Decode attention of one row within single_row.cu, appending the arriving token on the way.
 *
 * The items of a KV head are dealt out, 16 at a time, to the warps of the CTAs that the head has. What a warp will have
 * to do a scout looks up a layer ahead. A warp reads its first keys and values straight into registers, before the
 * queries are there; these the first warps of every CTA rotate, one each, for all. The arriving token is one more
 * finding, by a warp for each query head, the first of which also puts it into its page; its place there is left out by
 * whoever reads that page. All CTAs then merge what was found, 32 channels each.
 *
 * S = Q K^T and O = P V by mma.m16n8k16 with up to 8 query heads as the rows. In both products which channel a lane
 * holds is free as long as both operands agree, so a lane loads 16 neighbouring bytes of K, and of V 8 neighbouring
 * channels of the four items that its part of P speaks of. */
#pragma once

#include "engine/cuda/exchange.cuh"
#include "engine/cuda/head_group.cuh"
#include "engine/cuda/tensor_core.cuh"
#include "engine/cuda/weight_stream.cuh"

enum { kItems = 16, kMergeChannels = 32, kMostGroup = 8 };

/* What a warp has to do in a layer: with a list of items, and with a block of 32 channels of `attended`, which it helps
 * to merge. */
struct Errand {
  int length;   /* items of the list */
  int place;    /* page * 64 + row where the arriving token goes */
  int page;     /* of the first items */
  int block;    /* or -1 */
  int found;    /* findings of its query head, the arriving token's left out */
  int found_at; /* the first one */
};

/* A warp has 64 channels of the values: heads of 128 take two warps, or the registers would not suffice. Of the keys
 * each of them has 8 items. */
template <int D> constexpr int kTogether = D / 64;
/* Groups of 16 items of a head that a CTA can be at. */
template <int D> constexpr int kAtATime = kWarps / kTogether<D>;

/* In shared memory, layers by parity. */
template <int D> struct RowMemory {
  float2 turn[D / 2];                               /* cos, sin at the row's position */
  float norm[2][2][D];                              /* of queries and keys */
  uint4 query[D / 16][32];                          /* rotated, as a lane's part of the product's first operand */
  float score[kAtATime<D>][kMostGroup][kItems + 4]; /* rows begin in other banks */
  float borrowed;                                   /* the first query head's last channel */
  alignas(16) float top[kWarps], weight[kWarps];    /* while findings are merged */
  float sum[kWarps][kMergeChannels];
  Errand errand[2][kWarps];
  int head, part;             /* the CTA's KV head, and which of the head's CTAs it is */
  uint64_t known[2], done[2]; /* the scout has been ahead; its errands are done */
};

/* Where the warps of all CTAs leave what they found. */
struct Findings {
  float *sums;  /* [kv_heads][parts * kAtATime + 1][group][D]; the last is the arriving token's */
  float2 *tops; /* [kv_heads][parts * kAtATime + 1][group] highest score, sum of weights */
  int parts;    /* CTAs of a KV head */
  int mergers;  /* warps of a block: a CTA has more than one block where there are more blocks than CTAs */
};

/* Of a query head or a key a lane has channels 32 s + 8 (lane % 4) .. + 7. */
__device__ __forceinline__ int channel_of(int thread, int s) {
  return 32 * s + thread % 4 * 8;
}
/* Where channel `channel` of a query head is put so. Every other word of the operand is zero: heads 8 to 15. */
template <int D> __device__ __forceinline__ bf16 *query_place(RowMemory<D> &memory, int head, int channel) {
  bf16 *operand =
      reinterpret_cast<bf16 *>(&memory.query[channel / 32 * 2 + channel / 4 % 2][head * 4 + channel / 8 % 4]);
  return operand + channel / 2 % 2 * 4 + channel % 2;
}

/* A warp's keys of 16 items of a page, from row `first` on: of items lane / 4 and, if it has all, 8 further. */
template <int D> struct Keys {
  enum { kRows = 2 / kTogether<D> };
  uint4 key[kRows][D / 32];
  int thread;

  __device__ int item(int r) const { return thread / 32 % kTogether<D> * 8 + 8 * r; }
  __device__ __forceinline__ void load(const bf16 *page, int first) {
#pragma unroll
    for (int r = 0; r < kRows; r++)
      for (int s = 0; s < D / 32; s++) {
        int row = first + item(r) + thread % 32 / 4;
        key[r][s] = *reinterpret_cast<const uint4 *>(page + page_offset<bf16>(row, channel_of(thread, s), D));
      }
  }
  /* Their products with the queries: [head][item] */
  __device__ __forceinline__ void score(const uint4 (*query)[32], float (*scores)[kItems + 4]) const {
    int lane = thread % 32;
    float sum[kRows][2][4] = {}; /* of even and odd fours of channels, so that two products are under way */
#pragma unroll
    for (int s = 0; s < D / 32; s++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        uint4 q = query[2 * s + h][lane];
        uint32_t a[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
        for (int r = 0; r < kRows; r++) {
          uint32_t b[2] = {h ? key[r][s].z : key[r][s].x, h ? key[r][s].w : key[r][s].y};
          multiply(sum[r][h], a, b);
        }
      }
#pragma unroll
    for (int r = 0; r < kRows; r++)
      *reinterpret_cast<float2 *>(&scores[lane / 4][item(r) + lane % 4 * 2]) = {sum[r][0][0] + sum[r][1][0],
                                                                                sum[r][0][1] + sum[r][1][1]};
  }
};

/* Their values: of the four items that item() names, 8 channels from channel() on. */
template <int D> struct Values {
  uint4 value[4];
  int thread;

  __device__ static int item(int thread, int i) { return thread % 4 * 2 + i % 2 + i / 2 * 8; }
  __device__ static int first_channel(int thread) { return thread / 32 % kTogether<D> * 64; }
  /* Those that are not among the first `n` or are `absent` are zero: their weight is, but what lies there may be
   * anything. */
  __device__ __forceinline__ void load(const bf16 *page, int first, int n, int absent) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int at = item(thread, i), channel = first_channel(thread) + thread % 32 / 4 * 8;
      value[i] =
          at < n && at != absent
              ? *reinterpret_cast<const uint4 *>(page + DMS_CUDA_PAGE * D + page_offset<bf16>(first + at, channel, D))
              : uint4{};
    }
  }
};

/* One warp's running softmax. A lane has query head lane / 4: sums of the warp's channels 16 (lane % 4) + 8 i + t in
 * sum[t][i]. */
template <int D> struct Softmax {
  float sum[8][2] = {}, top = kNothing, weight = 0;
  int thread;

  __device__ explicit Softmax(int thread) : thread(thread) {}

  /* The weights of the items that Values::item() names, from the lane's head's scores; what was summed up before is
   * made to agree with them. */
  __device__ __forceinline__ void weigh(const float *scores, int n, int absent, float scale, float *p) {
    float high = top;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int item = Values<D>::item(thread, i);
      p[i] = item < n && item != absent ? scores[item] * scale : -INFINITY;
      high = fmaxf(high, p[i]);
    }
    high = fmaxf(high, __shfl_xor_sync(~0u, high, 1)), high = fmaxf(high, __shfl_xor_sync(~0u, high, 2));
    high = untagged(high); /* any value about as high will do, and this one can be published */
    float factor = power_of_two(top - high);
    top = high, weight *= factor;
#pragma unroll
    for (int i = 0; i < 4; i++) p[i] = power_of_two(p[i] - high), weight += p[i];
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
    int head = thread % 32 / 4, c = thread % 4;
    weight += __shfl_xor_sync(~0u, weight, 1), weight += __shfl_xor_sync(~0u, weight, 2);
    if (head >= group) return;
    float *to = findings.sums + (at * group + head) * D + Values<D>::first_channel(thread) + 16 * c;
#pragma unroll
    for (int i = 0; i < 2; i++)
      for (int t = 0; t < 8; t += 4)
        publish(reinterpret_cast<float4 *>(to + 8 * i + t), {sum[t][i], sum[t + 1][i], sum[t + 2][i], sum[t + 3][i]},
                tag);
    if (c == 0 && Values<D>::first_channel(thread) == 0) publish(findings.tops + at * group + head, top, weight, tag);
  }
};

/* A warp's share of a layer's attention: groups of 16 items of one KV head, `first`, `first` + `step`, ... */
template <int D> struct Share {
  const DmsCudaSingleRow &m;
  const Findings &findings;
  RowMemory<D> &memory;
  int layer, slot, thread, warp, head, first, step, length, place;

  /* `thread` of the workers */
  __device__ __forceinline__ Share(const DmsCudaSingleRow &m, const Findings &findings, RowMemory<D> &memory, int layer,
                                   int slot, int thread)
      : m(m), findings(findings), memory(memory), layer(layer), slot(slot), thread(thread), warp(thread / 32),
        head(memory.head), first(memory.part + findings.parts * (warp / kTogether<D>)),
        step(findings.parts * kAtATime<D>) {}
  __device__ int pair() const { return layer * m.cache.kv_heads + head; }
  __device__ uint32_t tag() const { return layer + 1; }
  __device__ float scale() const { return m.rope.heads.scale * 1.44269504088896341f; }
  __device__ bool any() const { return first < (length + kItems - 1) / kItems && memory.part < findings.parts; }
  __device__ int page(int group) const {
    size_t list = (size_t)slot * m.cache.layers * m.cache.kv_heads + pair();
    return m.cache.table[list * m.cache.max_pages + group / (DMS_CUDA_PAGE / kItems)];
  }
  __device__ static int row(int group) { return group % (DMS_CUDA_PAGE / kItems) * kItems; }
  __device__ size_t finding(int i) const { return (size_t)head * (step + 1) + i; }
  __device__ Errand &errand() const { return memory.errand[layer & 1][warp]; }

  /* The scout's: a lane looks up what a warp has to do, and asks for its first items. */
  __device__ void look_up() {
    const DmsCudaHeads &heads = m.rope.heads;
    int block = blockIdx.x + warp / findings.mergers * gridDim.x, query_head = block / (D / kMergeChannels);
    bool merges = query_head < heads.heads;
    int kv_head = merges ? query_head / heads.group : head;
    length = m.rows.lists[pair()].length, place = m.rows.items[pair()];
    int groups = (m.rows.lists[pair() - head + kv_head].length + kItems - 1) / kItems, number = any() ? page(first) : 0;
    errand() = {length,
                place,
                number,
                merges ? block : -1,
                min(groups, step),
                kv_head * (step + 1) * heads.group + query_head - kv_head * heads.group};
    if (!any()) return;
    const char *keys = (const char *)(page_base<bf16>(m.cache, number) + row(first) * D);
#pragma unroll 1
    for (int i = 0; i < kItems * D * 2; i += 128)
      prefetch_to_l2(keys + i), prefetch_to_l2(keys + DMS_CUDA_PAGE * D * 2 + i);
  }

  /* All workers: does it. */
  __device__ __forceinline__ void run(const uint32_t *qkv) {
    length = errand().length, place = errand().place;
    int number = errand().page, group = m.rope.heads.group, query = warp - (kWarps - group);
    bool appends = query >= 0 && memory.part == findings.parts - 1; /* that CTA has the fewest items */
    Keys<D> keys;
    Values<D> values;
    HeadVector<bf16> token[2] = {};
    keys.thread = values.thread = thread;
    if (any()) load(keys, values, first, number);
    if (warp < group) turn_query(qkv);
    if (appends) await_heads(qkv, token, m.rope.heads.heads + head, m.cache.kv_heads);
    named_barrier(1, kWorkers);
    if (appends) append(query, token[0], token[1]);
    if (any()) attend(keys, values, number);
  }

  /* Which of a group's items is the arriving token's place, if any. */
  __device__ __forceinline__ int absent(int group, int page) const {
    return page == place / DMS_CUDA_PAGE ? place % DMS_CUDA_PAGE - row(group) : -1;
  }
  __device__ __forceinline__ void load(Keys<D> &keys, Values<D> &values, int group, int number) const {
    const bf16 *rows = page_base<bf16>(m.cache, number);
    keys.load(rows, row(group));
    values.load(rows, row(group), length - group * kItems, absent(group, number));
  }
  /* Heads `at`, `at` + `apart`, ... of the qkv product, when they are there. */
  template <int n>
  __device__ __forceinline__ void await_heads(const uint32_t *qkv, HeadVector<bf16> (&vector)[n], int at,
                                              int apart) const {
    constexpr int kLows = D / 64; /* pairs of a lane */
    uint32_t x[n][2][kLows];
    const uint32_t *from = qkv + at * D + thread % 32;
    __nanosleep(kFirstPause);
    await_all<n * 2 * kLows>(
        &x[0][0][0], tag(), kValueMask,
        [&](int i) {
          return load_relaxed(from + i / (2 * kLows) * apart * D + i / kLows % 2 * (D / 2) + i % kLows * 32);
        },
        [](int) { return true; });
#pragma unroll
    for (int i = 0; i < n; i++)
      for (int p = 0; p < kLows; p++) vector[i].low[p] = value_of(x[i][0][p]), vector[i].high[p] = value_of(x[i][1][p]);
  }
  /* Query head number `warp` of the KV head, as it is multiplied with keys. */
  __device__ __forceinline__ void turn_query(const uint32_t *qkv) const {
    HeadVector<bf16> vector[1] = {}, &q = vector[0];
    await_heads(qkv, vector, head * m.rope.heads.group + warp, 0);
    if (m.rope.q_norm) q.norm(memory.norm[layer & 1][0], m.rope.eps, D / 2);
    if (warp == 0) { /* it lends its last channel to the decision */
      float last = q.last(D / 2);
      if (thread % 32 == 0) memory.borrowed = last;
    }
    normalise_and_rotate(q, nullptr, m.rope.eps, memory.turn, warp == 0 && m.rope.rule.borrowed, m.rope.rule.rezero,
                         D / 2);
#pragma unroll
    for (int p = 0; p < D / 64; p++) {
      int channel = thread % 32 + 32 * p;
      *query_place(memory, warp, channel) = __float2bfloat16(q.low[p]);
      *query_place(memory, warp, channel + D / 2) = __float2bfloat16(q.high[p]);
    }
  }

  /* The warps that are at the same items. */
  __device__ __forceinline__ void meet() const {
    if (kTogether < D >> 1)
      named_barrier(2 + warp / kTogether<D>, kTogether<D> * 32);
    else
      __syncwarp();
  }
  __device__ __forceinline__ void attend(Keys<D> &keys, Values<D> &values, int number) const {
    Softmax<D> softmax(thread);
    auto scores = memory.score[warp / kTogether<D>];
#pragma unroll 1
    for (int group = first;;) {
      float p[4];
      keys.score(memory.query, scores);
      meet();
      softmax.weigh(scores[thread % 32 / 4], length - group * kItems, absent(group, number), scale(), p);
      softmax.add(p, values);
      group += step;
      if (group >= (length + kItems - 1) / kItems) break;
      number = page(group);
      load(keys, values, group, number);
      meet();
    }
    softmax.publish_all(findings, finding(first), m.rope.heads.group, tag());
  }

  /* What query head `query` finds in the arriving token; the first one's warp also puts the token into its page and
   * takes its decision. */
  __device__ __forceinline__ void append(int query, HeadVector<bf16> &k, const HeadVector<bf16> &v) const {
    constexpr int kHalf = D / 2, kLows = D / 64;
    int lane = thread % 32, number = place / DMS_CUDA_PAGE, row = place % DMS_CUDA_PAGE;
    if (m.rope.k_norm) k.norm(memory.norm[layer & 1][1], m.rope.eps, kHalf);
    k.rotate(memory.turn, kHalf);
    size_t to = finding(step) * m.rope.heads.group + query;
    float score = 0;
#pragma unroll
    for (int p = 0; p < kLows; p++) {
      float *sum = findings.sums + to * D + lane + 32 * p;
      score += to_float(*query_place(memory, query, lane + 32 * p)) * k.low[p] +
               to_float(*query_place(memory, query, lane + 32 * p + kHalf)) * k.high[p];
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
    if (m.cache.ring && says_evict(m.rope.rule, pair(), position, memory.borrowed) && lane == 0)
      flag_token(m.cache, m.rope.rule, slot, pair(), position);
  }

  /* So that the next step takes none of this one's findings for its own; the arriving token's are written in any case.
   */
  __device__ void forget() const {
    int group = m.rope.heads.group, lane = thread % 32;
    if (memory.part >= findings.parts) return;
#pragma unroll 1
    for (int i = lane; i < group * D; i += 32) findings.sums[finding(first) * group * D + i] = 0;
    if (lane < group) findings.tops[finding(first) * group + lane] = float2{};
  }
};

/* All CTAs: `attended` [heads * D] from what the warps found. */
template <int D>
__device__ __forceinline__ void merge(const DmsCudaSingleRow &m, const Findings &findings, RowMemory<D> &memory,
                                      int layer, int thread, uint32_t *attended) {
  int lane = thread % 32, warp = thread / 32, mergers = findings.mergers, group = m.rope.heads.group;
  const Errand &errand = memory.errand[layer & 1][warp];
  uint32_t tag = layer + 1;
  float sum = 0, top = kNothing, weight = 0;
  if (errand.block >= 0) {
    int n = errand.found, last = findings.parts * kAtATime<D>;
    const float2 *tops = findings.tops + errand.found_at;
    const float *sums =
        findings.sums + (size_t)errand.found_at * D + errand.block % (D / kMergeChannels) * kMergeChannels + lane;
    enum { kAtOnce = 5 };
    __nanosleep(kFirstPause);
#pragma unroll 1
    for (int first = warp & (mergers - 1); first <= n; first += kAtOnce * mergers) {
      Pair<float2, float> x[kAtOnce]; /* top and weight; sum */
      auto in = [&](int i) { return first + i * mergers <= n; };
      /* Behind the others, the arriving token's. */
      auto found = [&](int i) { return (first + i * mergers < n ? first + i * mergers : last) * group; };
      await_all<kAtOnce>(
          x, tag, kTagMask,
          [&](int i) {
            return Pair<float2, float>{load_relaxed(tops + found(i)), load_relaxed(sums + found(i) * D)};
          },
          in);
      float high = top;
#pragma unroll
      for (int i = 0; i < kAtOnce; i++)
        if (in(i)) high = fmaxf(high, untagged(x[i].first.x));
      float factor = power_of_two(top - high);
      top = high, sum *= factor, weight *= factor;
#pragma unroll
      for (int i = 0; i < kAtOnce; i++) {
        factor = in(i) ? power_of_two(untagged(x[i].first.x) - high) : 0;
        sum += untagged(x[i].second) * factor, weight += untagged(x[i].first.y) * factor;
      }
    }
  }
  memory.sum[warp][lane] = sum;
  if (lane == 0) memory.top[warp] = top, memory.weight[warp] = weight;
  named_barrier(1, kWorkers);
  if (warp & (mergers - 1) || errand.block < 0) return;
  /* All of them at once: what lies behind the last is the last once more, with no weight. */
  float tops[kWarps], high = kNothing, all = 0, total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; w++) {
    tops[w] = w < mergers ? memory.top[warp + min(w, mergers - 1)] : -INFINITY;
    high = fmaxf(high, tops[w]);
  }
#pragma unroll
  for (int w = 0; w < kWarps; w++) {
    int from = warp + min(w, mergers - 1);
    float factor = power_of_two(tops[w] - high);
    all += memory.sum[from][lane] * factor, total += memory.weight[from] * factor;
  }
  publish_value(attended + errand.block * kMergeChannels + lane, __fdividef(all, total), tag);
}
