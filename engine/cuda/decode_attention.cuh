/* Decode attention over ragged lists of pages, from the qkv product on.
 *
 * The kernel reads memory and nothing else should show: the items of a layer's lists are dealt out evenly to as many
 * CTAs as stay resident, whatever the raggedness. A producer warp streams K and V pages into a ring of shared memory
 * stages across list borders; it begins before the product of queries, keys and values has ended, which these pages do
 * not depend on. Another warp waits for that, rotates the queries of each list and, where the CTA has the place of the
 * arriving token, its key. Four warps take 16 items of each page on the tensor cores, with K as the 16-row operand
 * (S^T = K Q^T, then O^T = V^T P^T), so that a group of up to 8 query heads costs one column tile; the one that comes
 * to the arriving token's place puts it there, and into the page in memory. A list cut by a border is merged by the CTA
 * that has its end. What depends on the type of the cache, bf16 or e4m3, is in decode_products.cuh. */
#pragma once

#include "engine/cuda/decode_products.cuh"
#include "engine/cuda/decode_walk.cuh"
#include "engine/cuda/exchange.cuh"
#include "engine/cuda/head_group.cuh"

template <int D, typename P> constexpr int kPageBytes = int(sizeof(P)) * D * 2 * DMS_CUDA_PAGE;
/* CTAs of a processor. A third would have to do with 96 registers a thread. */
enum { kResident = 2 };
/* The ring's stages, of a page each, and how many pages a CTA fetches at a time. With 64 KB on their way to a processor
 * all get theirs in the same time; with 192 KB some wait a third longer than others (measured on an H200). */
template <int D, typename P> constexpr int kStages = 96 * 1024 / kPageBytes<D, P>;
template <int D, typename P> constexpr int kInFlight = 32 * 1024 / kPageBytes<D, P>;
enum { kColumns = 8, kConsumers = 4, kThreads = (kConsumers + 2) * 32 };
enum { kSumWidth = 128 + 4 }; /* padded: the accumulator's lanes fall into different banks */

/* What a row of qkv has for one KV head, ready for attention. */
template <int D> struct HeadGroup {
  bf16 query[kColumns][D + 8]; /* padded likewise */
  bf16 item[2][D];             /* the arriving token's K and V, where the CTA has its place in `page` */
  uint32_t largest_bits[2];    /* of their magnitudes */
  int page;
  float2 turn[D / 2]; /* cos, sin at the row's position */
};

template <int D, typename P> struct TileMemory {
  alignas(128) Tile<D, P> tile[kStages<D, P>];
  float sum[kConsumers / 2][kColumns][kSumWidth], top[kConsumers / 2][kColumns], weight[kConsumers / 2][kColumns];
  HeadGroup<D> heads[2]; /* of this list and the next */
  float norm[2][D];      /* of queries and keys; they and the first list's turn are `staged` */
  uint64_t full[kStages<D, P>], empty[kStages<D, P>], staged, ready[2], taken[2];
};

/* What a CTA leaves of a list that goes on in the next one, for the CTA that has the list's end. */
template <int D> struct Partial {
  float4 sum[kColumns * D / 4];
  float2 top_weight[kColumns * D / 4]; /* of the head of each four channels */
};
enum { kLeft = 1 };   /* tag of what is left; whoever has taken it clears it */
enum { kAtOnce = 8 }; /* parts that are looked at together */

/* `first_page` is the first that the walk comes to, which is asked for before the others are looked up. */
template <int D, typename P>
__device__ void produce(const DmsCudaCache &cache, int layer, TileMemory<D, P> &memory, Walk<P> walk, int first_page) {
  constexpr int kScales = sizeof(P) == 1 ? kScaleBytes : 0, kRing = kStages<D, P>;
  int lane = threadIdx.x % 32, fetched = 0;
  auto fetch = [&](const Walk<P> &at, int number, int page) {
    /* Whole k-steps of 16 items; behind the last item keys are masked and values are zero. */
    int before = number * DMS_CUDA_PAGE, row = max(at.first() - before, 0),
        rows = min((int)DMS_CUDA_PAGE, (at.stop() - before + 15) & ~15) - row, bytes = rows * D * (int)sizeof(P);
    const P *source = page_base<P>(cache, page) + row * D;
    int stage = fetched % kRing, earlier = fetched - kInFlight<D, P>;
    Tile<D, P> &tile = memory.tile[stage];
    if (earlier >= 0) barrier_wait(&memory.full[earlier % kRing], earlier / kRing % 2);
    barrier_wait(&memory.empty[stage], fetched / kRing % 2 ^ 1);
    copy_to_shared((char *)(tile.keys + row * D) - kScales, (const char *)source - kScales, bytes + kScales,
                   tile.values + row * D, source + DMS_CUDA_PAGE * D, bytes, &memory.full[stage]);
    fetched++;
  };
  /* A lane's page of a list, counted from page number `number`; 0 where the CTA has none of it. */
  auto page_at = [&](const Walk<P> &at, int number) {
    number += lane;
    if (number * DMS_CUDA_PAGE >= at.stop()) return 0;
    return table_of(cache, at.list.slot, layer, at.index % cache.kv_heads)[number];
  };
  int number = walk.first() / DMS_CUDA_PAGE;
  fetch(walk, number++, first_page);
  for (int page = page_at(walk, number);;) {
    bool more = walk.more();
    Walk<P> next = walk;
    int next_page = 0, stop = walk.stop();
    if (more) {
      next.advance();
      next_page = page_at(next, next.first() / DMS_CUDA_PAGE);
    }
    if (number * DMS_CUDA_PAGE >= stop) page = next_page;
    for (; number * DMS_CUDA_PAGE < stop; number += 32) {
      int following = (number + 32) * DMS_CUDA_PAGE < stop ? page_at(walk, number + 32) : next_page;
      for (int i = 0; i < 32 && (number + i) * DMS_CUDA_PAGE < stop; i++)
        fetch(walk, number + i, __shfl_sync(~0u, page, i));
      page = following;
    }
    if (!more) return;
    walk = next;
    number = walk.first() / DMS_CUDA_PAGE;
  }
}

/* Warp `part` of `parts` that share the work on the walk's list: its queries and, where the CTA has the place of the
 * arriving token, its key and value. */
template <int D, typename P>
__device__ void prepare(const DmsCudaRope &rope, const Walk<P> &walk, TileMemory<D, P> &memory, int n, int part,
                        int parts) {
  constexpr int kHalf = D / 2;
  const DmsCudaHeads &heads = rope.heads;
  HeadGroup<D> &to = memory.heads[n % 2];
  int row = walk.index / heads.kv_heads, head = walk.index % heads.kv_heads, lane = threadIdx.x % 32;
  const bf16 *vectors = (const bf16 *)rope.qkv + (size_t)row * heads.stride;
  for (int v = part; v < heads.group + 2 * walk.appends(); v += parts) {
    int i = v - heads.group; /* 0: the key, 1: the value */
    HeadVector<bf16> x;
    x.load(vectors + (i < 0 ? head * heads.group + v : heads.heads + i * heads.kv_heads + head) * D, kHalf);
    barrier_wait(&memory.staged, 0);
    const float *norm = i < 0 ? rope.q_norm : rope.k_norm;
    if (i < 1)
      normalise_and_rotate(x, norm ? memory.norm[i == 0] : nullptr, rope.eps, to.turn, v == 0 && rope.rule.borrowed,
                           rope.rule.rezero, kHalf);
    x.store(i < 0 ? to.query[v] : to.item[i], kHalf);
    if (sizeof(P) > 1 || i < 0) continue;
    x.round();
    uint32_t bits = x.largest_bits();
    if (lane == 0) to.largest_bits[i] = bits;
  }
  __syncwarp();
  if (lane < (kConsumers + 1) / parts) barrier_arrive(&memory.ready[n % 2]);
}

/* Keeps the queries of lists ready, ahead of the consumers, and decides about tokens whose place the CTA has. With the
 * first list, which everyone waits for, the consumers help. */
template <int D, typename P>
__device__ void prepare_all(const DmsCudaRope &rope, const DmsCudaCache &cache, const DmsCudaRows &rows,
                            TileMemory<D, P> &memory, Walk<P> walk, int position) {
  int lane = threadIdx.x % 32, kv_heads = cache.kv_heads;
  for (int i = lane; i < D; i += 32) {
    if (rope.q_norm) memory.norm[0][i] = rope.q_norm[i];
    if (rope.k_norm) memory.norm[1][i] = rope.k_norm[i];
  }
  for (int n = 0;; n++) {
    HeadGroup<D> &to = memory.heads[n % 2];
    int row = walk.index / kv_heads, head = walk.index % kv_heads;
    bool appends = walk.appends();
    int page = appends ? arriving_page(cache, walk.list, rope.layer, head) : 0;
    barrier_wait(&memory.taken[n % 2], n / 2 % 2 ^ 1);
    for (int i = lane; i < D / 2; i += 32) to.turn[i] = rope.rope[(size_t)position * (D / 2) + i];
    __syncwarp();
    if (n == 0) {
      if (lane == 0) barrier_arrive(&memory.staged);
      wait_for_previous();
    }
    if (lane == 0) to.page = page;
    prepare(rope, walk, memory, n, n ? 0 : kConsumers, n ? 1 : kConsumers + 1);
    if (appends && cache.ring &&
        decide<bf16>(rope, (const bf16 *)rope.qkv + (size_t)row * rope.heads.stride, row, head, position) && lane == 0)
      flag_token(cache, rope.rule, walk.list.slot, rope.layer * kv_heads + head, position);
    if (!walk.more()) return;
    walk.advance();
    position = rows.positions[walk.index / kv_heads];
  }
}

/* The arriving token into its place, in shared memory and in the page, by all consumer warps, each for the 16 rows from
 * `first` on that it alone reads. Where its page's scales do not suffice all rows are brought to new ones. */
template <int D, typename P>
__device__ __forceinline__ void append(const DmsCudaCache &cache, const DmsCudaList &list, const HeadGroup<D> &heads,
                                       Tile<D, P> &tile, int first, float *scale) {
  int row = list.arriving % DMS_CUDA_PAGE, lane = threadIdx.x % 32;
  bool mine = row / 16 * 16 == first;
  if (sizeof(P) == sizeof(bf16) && !mine) return;
  P *page = page_base<P>(cache, heads.page);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    P *rows = i ? tile.values : tile.keys, *stored = page + i * DMS_CUDA_PAGE * D;
    if constexpr (sizeof(P) == 1) {
      float old = scale[i];
      scale[i] = fitting_scale(old, heads.largest_bits[i]);
      if (change_scale(rows + first * D, 16 * D, old, scale[i])) {
        __syncwarp();
        for (int at = (first * D + 16 * lane); at < (first + 16) * D; at += 32 * 16)
          *reinterpret_cast<uint4 *>(stored + at) = *reinterpret_cast<const uint4 *>(rows + at);
        __syncwarp();
      }
      if (mine && lane == 0) page_scales(cache, heads.page)[i] = scale[i];
    }
    if (!mine) continue;
    HeadVector<bf16> item;
    item.load(heads.item[i], D / 2);
    item.store_item(rows, row, scale[i], D / 2);
    item.store_item(stored, row, scale[i], D / 2);
    if (i == 0 || !begins_rows(list)) continue;
    clear_rows_behind(rows, row, D, lane, 32);
    clear_rows_behind(stored, row, D, lane, 32);
  }
  /* The next copy into this stage comes after these stores. */
  fence_before_copies();
  __syncwarp();
}

/* One warp's 16 items of a tile into its running softmax. `sum` is in units of `unit`, the scale of the values last
 * added. */
template <int D, typename P>
__device__ __forceinline__ void attend(const Tile<D, P> &tile, int first, int items, float score_scale, float new_unit,
                                       const Products<D, P> &products, float *top, float *weight, float *unit,
                                       float (*sum)[4]) {
  int item = first + threadIdx.x % 32 / 4;
  float s[4] = {};
  products.score(tile, first, s);
#pragma unroll
  for (int i = 0; i < 4; i++) s[i] = item + (i & 2) * 4 < items ? s[i] * score_scale : -INFINITY;
  float p[4], factor[2];
#pragma unroll
  for (int c = 0; c < 2; c++) {
    float high = fmaxf(s[c], s[c + 2]);
    for (int offset = 4; offset < 32; offset <<= 1) high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    high = fmaxf(high, top[c]);
    factor[c] = exp2f(top[c] - high), top[c] = high;
    p[c] = products.weight_of(s[c] - high), p[c + 2] = products.weight_of(s[c + 2] - high);
    weight[c] = weight[c] * factor[c] + p[c] + p[c + 2];
    factor[c] *= *unit / new_unit;
  }
  *unit = new_unit;
  products.add_values(tile, first, p, factor, sum);
}

__device__ __forceinline__ void store_four(bf16 *to, const float4 &sum, float weight) {
  *reinterpret_cast<uint2 *>(to) =
      make_uint2(pack(sum.x / weight, sum.y / weight), pack(sum.z / weight, sum.w / weight));
}

/* The four warps' softmaxes into two, those of the first two warps, in shared memory. */
template <int D, typename P>
__device__ __forceinline__ void halve(TileMemory<D, P> &memory, float *top, float *weight, float (*sum)[4]) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, at = warp % (kConsumers / 2), column = lane % 4 * 2;
  auto place = [&](int d, int i) -> float & { return memory.sum[at][column + (i & 1)][Products<D, P>::channel(d, i)]; };
  auto put = [&] {
#pragma unroll
    for (int d = 0; d < D / 16; d++)
      for (int i = 0; i < 4; i++) place(d, i) = sum[d][i];
    for (int c = 0; c < 2; c++)
      if (lane < 4) memory.top[at][column + c] = top[c], memory.weight[at][column + c] = weight[c];
  };
  if (warp != at) put();
  named_barrier(1, kConsumers * 32);
  if (warp == at) {
    float mine[2], other[2];
#pragma unroll
    for (int c = 0; c < 2; c++) {
      float high = fmaxf(top[c], memory.top[at][column + c]);
      mine[c] = exp2f(top[c] - high), other[c] = exp2f(memory.top[at][column + c] - high), top[c] = high;
      weight[c] = weight[c] * mine[c] + memory.weight[at][column + c] * other[c];
    }
    __syncwarp();
#pragma unroll
    for (int d = 0; d < D / 16; d++)
      for (int i = 0; i < 4; i++) sum[d][i] = sum[d][i] * mine[i & 1] + place(d, i) * other[i & 1];
    put();
  }
  named_barrier(1, kConsumers * 32);
}

/* The list's result from what the CTA found and what those before it left; or what the CTA leaves. */
template <int D, typename P>
__device__ void finish(const DmsCudaHeads &heads, const Walk<P> &walk, TileMemory<D, P> &memory, bf16 *out,
                       Partial<D> *partials) {
  int row = walk.index / heads.kv_heads, head = walk.index % heads.kv_heads;
  bf16 *to = out + ((size_t)row * heads.heads + head * heads.group) * D;
  for (int i = threadIdx.x * 4; i < heads.group * D; i += kConsumers * 32 * 4) {
    int g = i / D, d = i % D;
    float top = kNothing, weight = 0;
    float4 sum = {};
    auto add = [&](const float4 &x, float part_top, float part_weight) {
      float high = fmaxf(top, part_top), old = exp2f(top - high), factor = exp2f(part_top - high);
      sum.x = sum.x * old + x.x * factor, sum.y = sum.y * old + x.y * factor;
      sum.z = sum.z * old + x.z * factor, sum.w = sum.w * old + x.w * factor;
      weight = weight * old + part_weight * factor, top = high;
    };
    for (int half = 0; half < 2; half++)
      add(*reinterpret_cast<const float4 *>(&memory.sum[half][g][d]), memory.top[half][g], memory.weight[half][g]);
    if (!walk.ends_here()) {
      publish(&partials[blockIdx.x].sum[i / 4], sum, kLeft);
      publish(&partials[blockIdx.x].top_weight[i / 4], top, weight, kLeft);
      continue;
    }
    for (int first = walk.first_part(), n = blockIdx.x - first; n > 0; first += kAtOnce, n -= kAtOnce) {
      Pair<float4, float2> x[kAtOnce]; /* sum; top and weight */
      await_all<kAtOnce>(
          x, kLeft, kTagMask,
          [&](int p) {
            const Partial<D> &part = partials[first + p];
            return Pair<float4, float2>{load_relaxed(&part.sum[i / 4]), load_relaxed(&part.top_weight[i / 4])};
          },
          [&](int p) { return p < n; });
#pragma unroll
      for (int p = 0; p < kAtOnce; p++) {
        if (p >= n) break;
        add(untagged(x[p].first), untagged(x[p].second.x), untagged(x[p].second.y));
        partials[first + p].sum[i / 4] = {}, partials[first + p].top_weight[i / 4] = {};
      }
    }
    store_four(to + i, sum, weight);
  }
}

template <int D, typename P>
__device__ void consume(const DmsCudaRope &rope, const DmsCudaCache &cache, bf16 *out, TileMemory<D, P> &memory,
                        Partial<D> *partials, Walk<P> walk) {
  const DmsCudaHeads &heads = rope.heads;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mine = 16 * warp, stage = 0;
  uint32_t phase = 0;
  float scale = heads.scale * 1.44269504088896341f * Products<D, P>::kUnit;
  wait_for_previous();
  prepare(rope, walk, memory, 0, warp, kConsumers + 1);
  for (int n = 0;; n++) {
    const HeadGroup<D> &group = memory.heads[n % 2];
    Products<D, P> products;
    barrier_wait(&memory.ready[n % 2], n / 2 % 2);
    products.load_query(lane / 4 < heads.group ? group.query[lane / 4] : nullptr);
    float top[2] = {kNothing, kNothing}, weight[2] = {}, unit = 1, sum[D / 16][4] = {};
    int first = walk.first(), stop = walk.stop();
    for (int before = first & -DMS_CUDA_PAGE; before < stop; before += DMS_CUDA_PAGE) {
      Tile<D, P> &tile = memory.tile[stage];
      barrier_wait(&memory.full[stage], phase);
      if (before + mine >= first && before + mine < stop) {
        float page_scale[2] = {scale_in(tile, 0), scale_in(tile, 1)};
        if ((walk.list.arriving & -DMS_CUDA_PAGE) == before) append(cache, walk.list, group, tile, mine, page_scale);
        attend(tile, mine, stop - before, scale * page_scale[0], page_scale[1] * Products<D, P>::kUnit, products, top,
               weight, &unit, sum);
      }
      __syncwarp();
      if (lane == 0) barrier_arrive(&memory.empty[stage]);
      if (++stage == kStages<D, P>) stage = 0, phase ^= 1;
    }
#pragma unroll
    for (int c = 0; c < 2; c++)
      for (int offset = 4; offset < 32; offset <<= 1) weight[c] += __shfl_xor_sync(~0u, weight[c], offset);
#pragma unroll
    for (int d = 0; d < D / 16; d++)
      for (int i = 0; i < 4; i++) sum[d][i] *= unit;
    halve(memory, top, weight, sum);
    finish(heads, walk, memory, out, partials);
    if (!walk.more()) return;
    if (lane == 0) barrier_arrive(&memory.taken[n % 2]);
    named_barrier(1, kConsumers * 32);
    walk.advance();
  }
}

template <int D, typename P>
__global__ __launch_bounds__(kThreads, kResident) void decode_attention_kernel(DmsCudaRope rope, DmsCudaCache cache,
                                                                               DmsCudaRows rows, bf16 *out,
                                                                               Partial<D> *partials) {
  TileMemory<D, P> &memory = *reinterpret_cast<TileMemory<D, P> *>(dynamic_shared());
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages<D, P>; i++)
      barrier_init(&memory.full[i], kCopyArrivals), barrier_init(&memory.empty[i], kConsumers);
    for (int i = 0; i < 2; i++)
      barrier_init(&memory.ready[i], kConsumers + 1), barrier_init(&memory.taken[i], kConsumers);
    barrier_init(&memory.staged, 1);
    barrier_init_fence();
  }
  __syncthreads();
  if (rope.layer == 0) wait_for_previous(); /* the plan may have been the kernel just before */
  let_next_start();
  const DmsCudaShare share = rows.shares[(size_t)rope.layer * rows.parts + blockIdx.x];
  Walk<P> walk(share, rows, cache.kv_heads, rope.layer);
  int warp = threadIdx.x / 32;
  if (!walk.any())
    wait_for_previous(); /* or this kernel might end before the one before it */
  else if (warp == kConsumers)
    produce(cache, rope.layer, memory, walk, share.page);
  else if (warp > kConsumers)
    prepare_all(rope, cache, rows, memory, walk, share.position);
  else
    consume(rope, cache, out, memory, partials, walk);
}
