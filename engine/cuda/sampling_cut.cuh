/* The cut through a row's weights, for sampling: what the CTAs of a row's cluster share, and how they find together
 * which weights top_k and top_p keep.
 *
 * Each CTA reads its slice of the row three times, and the CTAs meet twice:
 *
 *   outline   the largest logit, then about how much weight lies in each eighth of an octave of it
 *   (meet)    from all outlines, a bracket: two weights between which the cut should lie
 *   collect   every weight, exactly: the sums of all, of those above the bracket and of the few within
 *   (meet)    where the cut lies among the few
 *
 * The outline only tells where to look. Where the sums show that the cut lies elsewhere, or many weights lie in the
 * bracket, histograms of the weights narrow it down, which takes a pass and a meeting each. Every sum that decides is
 * of integers, so the order in which threads add does not matter. */
#pragma once

#include "engine/cuda/cluster.cuh"
#include "engine/cuda/element.cuh"

enum {
  kMaxRanks = 16,          /* CTAs of a cluster */
  kClusterVocab = 1 << 15, /* from which more than one is worth it */
  kMinThreads = 512,       /* of a CTA, as one of several */
  kMaxThreads = 1024,      /* as the only one */
  kMaxWarps = kMaxThreads / 32,
  kUnroll = 10,
  kBins = 256,
  kBinsPerOctave = 8,
  kFew = 512, /* weights within the bracket that a CTA may find */
};
constexpr uint64_t kAboveAll = ((uint64_t)1 << 40) + 1;

/* A sum of weights, and of how many. */
struct Mass {
  uint64_t sum;
  uint32_t count;

  __device__ Mass operator+(Mass other) const { return {sum + other.sum, count + other.count}; }
  __device__ Mass operator-(Mass other) const { return {sum - other.sum, count - other.count}; }
  __device__ Mass shuffle_up(int offset) const {
    return {__shfl_up_sync(~0u, sum, offset), __shfl_up_sync(~0u, count, offset)};
  }
};

/* What a CTA tells the others of its slice: first roughly, */
struct Outline {
  float top;
  int first; /* the grid's line below it, INT_MIN where there is none */
  int padding[2];
  uint32_t masses[kBins]; /* of the eighths of an octave from its own largest logit down */
};
/* then of the weights relative to the bracket. */
struct Sums {
  uint64_t total, lightest; /* the latter of those inside */
  Mass above, inside;
};
__device__ __forceinline__ Sums no_sums() {
  return {0, ~(uint64_t)0};
}
struct alignas(16) Findings {
  Sums sums;
  uint64_t weights[kFew]; /* the first of those inside */
};
/* Weights between two bounds by their leading bits; the sums as two halves, of which the hardware adds each. */
struct Histogram {
  uint32_t low[kBins], high[kBins], count[kBins];

  __device__ void add(int bin, uint64_t weight) {
    uint32_t part = (uint32_t)weight, rest = (uint32_t)(weight >> 32);
    rest += atomicAdd(&low[bin], part) + part < part;
    if (rest) atomicAdd(&high[bin], rest);
    atomicAdd(&count[bin], 1);
  }
  __device__ Mass mass(int bin) const { return {(uint64_t)high[bin] << 32 | low[bin], count[bin]}; }
};

/* What one CTA wrote, as each of the cluster has it. Outlines and histograms on the one hand and findings on the other
 * take turns, so that nobody writes what another still reads: between two writes all have met. */
struct Exchange {
  union {
    Outline outline;
    Histogram histogram;
  };
  Findings findings;
};

/* The search for a cut through the weights in order: where the sum, or the count, of the heaviest reaches `target`. */
struct Search {
  bool by_count;
  uint64_t target;
  uint64_t low, high; /* the bracket: low <= weight < high */
  uint64_t total;
  Mass above, inside; /* weights from `high` up, and in the bracket */

  __device__ uint64_t measure(Mass mass) const { return by_count ? mass.count : mass.sum; }
};

/* All heavier than `weight` are kept, and the first `ties` ids that weigh just that: `sum` together. */
struct Cut {
  uint64_t weight, sum;
  uint32_t ties;
};

/* Where the draw falls: `draw` and `ties` less what the units before `unit` take of them. */
struct Place {
  int unit;
  uint64_t draw;
  uint32_t ties;
};

struct Shared {
  union {
    uint32_t columns[kBins][32]; /* the outline, a column a lane: no two lanes of a warp meet in a bank */
    uint8_t warps[kFew];         /* then: the warps that found findings.weights */
  };
  Sums warp_sums[kMaxWarps], row; /* of the warps' parts of the slice; of all CTAs */
  Mass scanned[kMaxWarps], parts[kMaxWarps];
  float tops[kMaxWarps];
  int first_top, found;
  uint32_t most_found; /* of a CTA */
  float bracket_high, bracket_low;
  Search search;
  Place place;
  Exchange from[kMaxRanks]; /* by rank; there is memory for those of the cluster */
};

/* This CTA's slice of a row: ids first .. first + n - 1, `run` of them a warp. */
struct Slice {
  const float *logits; /* [n] */
  int first, n, run;
  float max, scale;

  __device__ uint64_t weight(float logit) const { return dms_weight(dms_weight_exponent(logit, max, scale)); }
};

/* Calls f(i, x) for this lane's part of the warp's run, kUnroll logits i, i + 32, i + 64, ... at a time; past the end
 * they are no token's, -infinity. */
template <typename F> __device__ __forceinline__ void for_logits(Slice slice, F f) {
  int begin = threadIdx.x / 32 * slice.run, end = min(begin + slice.run, slice.n), lane = threadIdx.x % 32;
  for (; begin < end; begin += 32 * kUnroll) {
    const float *logits = slice.logits + begin + lane;
    float x[kUnroll];
    if (begin + 32 * kUnroll <= end) {
#pragma unroll
      for (int u = 0; u < kUnroll; u++) x[u] = logits[32 * u];
    } else {
#pragma unroll
      for (int u = 0; u < kUnroll; u++) x[u] = begin + lane + 32 * u < end ? logits[32 * u] : -INFINITY;
    }
    f(begin + lane, x);
  }
}
/* Calls f(i, logit) for each. */
template <typename F> __device__ __forceinline__ void for_each_logit(Slice slice, F f) {
  for_logits(slice, [&](int i, const float *logits) {
#pragma unroll
    for (int u = 0; u < kUnroll; u++) f(i + 32 * u, logits[u]);
  });
}

/* ---- Sums over a warp and a block ---- */

/* In parts of 24 bits, 32 of which the hardware adds at once. */
__device__ __forceinline__ uint64_t warp_sum(uint64_t x) {
  uint64_t low = __reduce_add_sync(~0u, (uint32_t)x & 0xFFFFFF),
           middle = __reduce_add_sync(~0u, (uint32_t)(x >> 24) & 0xFFFFFF),
           high = __reduce_add_sync(~0u, (uint32_t)(x >> 48));
  return low + (middle << 24) + (high << 48);
}
__device__ __forceinline__ uint64_t warp_least(uint64_t x) {
  uint32_t high = __reduce_min_sync(~0u, (uint32_t)(x >> 32));
  uint32_t low = __reduce_min_sync(~0u, x >> 32 == high ? (uint32_t)x : ~0u);
  return (uint64_t)high << 32 | low;
}
__device__ __forceinline__ Mass warp_sum(Mass x) {
  return {warp_sum(x.sum), __reduce_add_sync(~0u, x.count)};
}
__device__ __forceinline__ Sums warp_sum(const Sums &x) {
  return {warp_sum(x.total), warp_least(x.lightest), warp_sum(x.above), warp_sum(x.inside)};
}

/* The sum over the threads up to this one, of the first kUnits, and in *total over those; the others get nothing of
 * use. Between two scans there must be another __syncthreads(). */
template <int kUnits> __device__ __forceinline__ Mass block_scan(Mass x, Shared &shared, Mass *total) {
  constexpr int kFull = kUnits / 32;
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (warp < kFull) {
    for (int offset = 1; offset < 32; offset <<= 1) {
      Mass before = x.shuffle_up(offset);
      if (lane >= offset) x = x + before;
    }
    if (lane == 31) shared.scanned[warp] = x;
  }
  __syncthreads();
  *total = {};
  if (warp < kFull) {
    Mass before = {};
#pragma unroll
    for (int w = 0; w < kFull; w++) {
      if (w == warp) before = *total;
      *total = *total + shared.scanned[w];
    }
    x = x + before;
  }
  return x;
}

/* The larger, NaN if either is. */
__device__ __forceinline__ float larger(float a, float b) {
  float c;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
  return c;
}
__device__ __forceinline__ float warp_top(float x) {
  for (int offset = 16; offset; offset >>= 1) x = larger(x, __shfl_xor_sync(~0u, x, offset));
  return x;
}

/* ---- The outline ---- */

/* Where y lies among the whole numbers: the one below, plus a constant, and how far above it. Of numbers beyond 2^22
 * it is not that; but these are no logits from which a bracket could be told. */
__device__ __forceinline__ int whole_below(float y, float *above) {
  const float whole = 12582912.0f; /* 1.5 * 2^23: floats of its size are whole numbers */
  float shifted = __fadd_rd(y, whole);
  *above = y - (shifted - whole);
  return __float_as_int(shifted);
}

/* The row's largest logit, NaN if any is. Every CTA has the outlines of all then; their masses, or counts, only if
 * `masses`. The grid of their bins is the same for all, so the top bin of each is shifted by a whole number against
 * another's. */
__device__ float outline_row(Slice slice, Shared &shared, bool masses, bool by_count) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  Outline &mine = shared.from[cluster_rank()].outline;
  float top = -INFINITY, fraction;
  for_each_logit(slice, [&](int, float logit) { top = larger(top, logit); });
  top = warp_top(top);
  if (lane == 0) shared.tops[warp] = top;
  __syncthreads();
  top = warp_top(lane < warps ? shared.tops[lane] : -INFINITY);
  float bins = slice.scale * kBinsPerOctave;
  int first = top > -INFINITY ? whole_below(top * bins, &fraction) : INT32_MIN;
  if (threadIdx.x == 0) mine.top = top, mine.first = first;
  if (masses && fabsf(top) < INFINITY) {
    for_each_logit(slice, [&](int, float logit) {
      unsigned bin = (unsigned)first - (unsigned)whole_below(logit * bins, &fraction);
      /* 2^(fraction / 8), its relative error below 4e-6, in units of 2^-15 */
      float mass = fmaf(fmaf(128.46f, fraction, 2837.06f), fraction, 32768.6f);
      if (bin < kBins) atomicAdd(&shared.columns[bin][lane], by_count ? 1 : (uint32_t)mass);
    });
    __syncthreads();
    for (int bin = warp; bin < kBins; bin += warps) {
      uint32_t mass = __reduce_add_sync(~0u, shared.columns[bin][lane]);
      if (lane == 0) mine.masses[bin] = mass;
    }
  }
  __syncthreads();
  cluster_wait(); /* all have begun */
  publish(mine, masses ? sizeof mine : offsetof(Outline, masses));
  cluster_sync();
  return warp_top(lane < cluster_size() ? shared.from[lane].outline.top : -INFINITY);
}

/* The bracket that the outlines tell, for a target count or, where that is 0, the share top_p of the sum. A thread has
 * a bin, the heaviest first. */
__device__ void guess_bracket(Slice slice, Shared &shared, Search &search, float top_p) {
  const float unit = search.by_count ? 1 : exp2f(45 - (float)threadIdx.x / kBinsPerOctave); /* one id's mass */
  float fraction, sum = 0;
  unsigned first = (unsigned)whole_below(slice.max * (slice.scale * kBinsPerOctave), &fraction);
  if (threadIdx.x < kBins) {
#pragma unroll 4
    for (int r = 0; r < cluster_size(); r++) {
      const Outline &outline = shared.from[r].outline;
      unsigned bin = threadIdx.x + (unsigned)outline.first - first;
      if (bin < kBins) sum += outline.masses[bin];
    }
  }
  if (!search.by_count) sum *= exp2f(30 - (float)threadIdx.x / kBinsPerOctave);
  if (threadIdx.x == 0) shared.bracket_high = 0, shared.bracket_low = kBins;
  Mass total, upto = block_scan<kBins>({(uint64_t)sum, 0}, shared, &total);
  float after = upto.sum, before = upto.sum - (uint64_t)sum;
  /* What the masses may be off by, in sum; and within a bin, where ids need not lie evenly. */
  float error = search.by_count ? 0.5f : total.sum * (5e-5f + 1e-7f * fabsf(slice.max * slice.scale));
  float uneven = 0.03f * sum + 4 * sqrtf(sum * unit);
  float target = search.by_count ? search.target : top_p * total.sum, least = target - error, most = target + error;
  bool has_bin = threadIdx.x < kBins;
  if (has_bin && before < least && least <= after)
    shared.bracket_high = threadIdx.x + fmaxf((least - before - uneven) / sum, -0.01f);
  if (has_bin && before < most && most <= after)
    shared.bracket_low = threadIdx.x + fminf((most - before + uneven) / sum, 1.01f);
  __syncthreads();
  float edge = 1 - fraction, high = (edge - shared.bracket_high) / kBinsPerOctave,
        low = (edge - shared.bracket_low) / kBinsPerOctave;
  search.low = shared.bracket_low < kBins && low < 0 ? max(dms_weight(low), (uint64_t)1) : 1;
  search.high = high < 0 ? max(dms_weight(high), search.low + 1) : kAboveAll;
}

/* ---- The cut ---- */

/* The sums of the row's weights relative to the bracket low <= weight < high, of each warp, each CTA and the row, into
 * shared memory. Its loop has the registers to itself. */
__device__ __noinline__ void collect(Slice slice, Shared &shared, uint64_t low, uint64_t high) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Findings &mine = shared.from[cluster_rank()].findings;
  if (threadIdx.x == 0) shared.found = 0;
  __syncthreads();
  Sums sums = no_sums();
  /* Most weights lie far enough from the bracket for their exponents to tell, which these bounds do with a margin for
   * rounding; the others are looked at one by one. */
  float above = log2f(high - 0.5f) - 40 + 1e-4f, below = log2f(low - 0.5f) - 40 - 1e-4f;
  for_logits(slice, [&](int i, const float *logits) {
    uint32_t over = 0, under = 0; /* a bit each, the first logit's the highest: the signs of differences */
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      float exponent = dms_weight_exponent(logits[u], slice.max, slice.scale);
      uint32_t factor, weight = dms_weight_factors(exponent, &factor);
      sums.total += (uint64_t)weight * factor;
      sums.above.sum += (uint64_t)weight * (exponent > above ? factor : 0);
      over = __funnelshift_l(__float_as_uint(above - exponent), over, 1);
      under = __funnelshift_l(__float_as_uint(exponent - below), under, 1);
    }
    sums.above.count += __popc(over);
    for (uint32_t near = ~(over | under) & ((1 << kUnroll) - 1); near; near &= near - 1) {
      uint64_t weight = slice.weight(slice.logits[i + 32 * (kUnroll - __ffs(near))]);
      if (weight >= high) sums.above = sums.above + Mass{weight, 1};
      if (weight < low || weight >= high) continue;
      sums.inside = sums.inside + Mass{weight, 1}, sums.lightest = min(sums.lightest, weight);
      int at = atomicAdd(&shared.found, 1);
      if (at < kFew) mine.weights[at] = weight, shared.warps[at] = warp;
    }
  });
  sums = warp_sum(sums);
  if (lane == 0) shared.warp_sums[warp] = sums;
  __syncthreads();
  if (warp == 0) {
    sums = warp_sum(lane < blockDim.x / 32 ? shared.warp_sums[lane] : no_sums());
    if (lane == 0) mine.sums = sums;
  }
  __syncthreads();
  publish(mine, (sizeof(Sums) + min(shared.found, (int)kFew) * sizeof(uint64_t) + 15) / 16 * 16);
  cluster_sync();
  if (warp == 0) {
    uint32_t most = lane < cluster_size() ? shared.from[lane].findings.sums.inside.count : 0;
    sums = warp_sum(lane < cluster_size() ? shared.from[lane].findings.sums : no_sums());
    most = __reduce_max_sync(~0u, most);
    if (lane == 0) shared.row = sums, shared.most_found = most;
  }
  __syncthreads();
}

/* Calls f(weight) for this thread's part of the weights that collect() found in the bracket. */
template <typename F> __device__ void for_found(Shared &shared, F f) {
  RankShare share = rank_share();
  const Findings &findings = shared.from[share.rank].findings;
  int n = min(findings.sums.inside.count, (uint32_t)kFew);
  for (int i = share.thread; i < n; i += share.threads) f(findings.weights[i]);
}

/* Narrows the bracket, in which the cut lies, to what one of 256 equal parts of it holds. `visit` calls what it is
 * given with weights: all of the row, or this CTA's part of it if the CTAs are to `meet`. */
template <typename F> __device__ void narrow(Shared &shared, Search &search, bool meet, F visit) {
  int shift = max(56 - __clzll(search.high - search.low - 1), 0), bin = kBins - 1 - (int)threadIdx.x;
  Histogram &mine = shared.from[cluster_rank()].histogram;
  if (bin >= 0) mine.low[bin] = mine.high[bin] = mine.count[bin] = 0;
  __syncthreads();
  uint64_t low = search.low, high = search.high;
  visit([&](uint64_t weight) {
    if (weight >= low && weight < high) mine.add((int)((weight - low) >> shift), weight);
  });
  __syncthreads();
  if (meet) {
    publish(mine, sizeof mine);
    cluster_sync();
  }
  Mass mass = {};
  if (bin >= 0 && !meet) mass = mine.mass(bin);
  for (int r = 0; bin >= 0 && meet && r < cluster_size(); r++) mass = mass + shared.from[r].histogram.mass(bin);
  Mass all, above = search.above + block_scan<kBins>(mass, shared, &all) - mass;
  if (bin >= 0 && search.measure(above) < search.target && search.measure(above + mass) >= search.target) {
    search.low = low + ((uint64_t)bin << shift), search.high = min(high, search.low + ((uint64_t)1 << shift));
    search.above = above, search.inside = mass;
    shared.search = search;
  }
  __syncthreads();
  search = shared.search;
}

/* Collects around the cut at search.target or, where that is 0, at the share top_p of the row's sum, until it is known:
 * all ids in the bracket weigh the same, or the few are all found and narrowed down. Nothing is cut where the bracket
 * lies below all weights that count. */
__device__ __forceinline__ Cut find_cut(Slice slice, Shared &shared, Search &search, float top_p) {
  for (;;) {
    collect(slice, shared, search.low, search.high);
    search.total = shared.row.total, search.above = shared.row.above, search.inside = shared.row.inside;
    if (search.high == 1) return {0, search.total, 0};
    if (!search.target) search.target = dms_nucleus_target(search.total, top_p);
    if (search.measure(search.above) >= search.target) { /* the cut lies above the bracket */
      search.low = search.high, search.high = kAboveAll, search.above = {};
    } else if (search.measure(search.above + search.inside) < search.target) { /* below */
      search.high = search.low, search.low = 1, search.above = search.above + search.inside;
    } else {
      uint64_t lightest = shared.row.lightest; /* do all weigh that? */
      if (search.inside.sum == lightest * search.inside.count) search.low = lightest, search.high = lightest + 1;
      if (search.high - search.low == 1 || shared.most_found <= kFew) break;
    }
    if (search.high == 1) /* fewer ids than top_k weigh anything */
      cluster_sync();     /* all have read the findings */
    else
      narrow(shared, search, true,
             [&](auto f) { for_each_logit(slice, [&](int, float logit) { f(slice.weight(logit)); }); });
  }
  Search inner = search;
  while (inner.inside.count > 1 && inner.high - inner.low > 1)
    narrow(shared, inner, false, [&](auto f) { for_found(shared, f); });
  uint64_t missing = inner.target - inner.measure(inner.above);
  if (inner.inside.count == 1) return {inner.inside.sum, inner.above.sum + inner.inside.sum, 1};
  uint64_t ties = inner.by_count ? missing : (missing + inner.low - 1) / inner.low;
  return {inner.low, inner.above.sum + inner.low * ties, (uint32_t)ties};
}
