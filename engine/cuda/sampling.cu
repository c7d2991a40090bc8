/* Sampling on the device: engine/sampling.h's rule, a CTA a row. Every sum is of integers, so the order in which threads add does not
 * matter and the tokens are the CPU's.
 *
 * Nucleus and top-k cuts are found without sorting: a histogram of the weights by leading bits, then of the one bin in which the cut falls
 * by the bits below, until one weight is left. Weights far below the top go into the histogram only if the cut turns out to lie there. */
#include "engine/cuda/element.cuh"

enum { kThreads = 1024, kWarps = kThreads / 32, kBins = 41 * 32, kTailBits = 20, kUnroll = 8 };

/* 64-bit sums of bins as two native 32-bit halves. */
struct Histogram {
  uint32_t low[kBins], high[kBins], count[kBins];

  __device__ void clear() {
    for (int i = threadIdx.x; i < kBins; i += kThreads) low[i] = high[i] = count[i] = 0;
    __syncthreads();
  }
  __device__ void add(int bin, uint64_t weight) {
    uint32_t part = (uint32_t)weight, rest = (uint32_t)(weight >> 32);
    rest += atomicAdd(&low[bin], part) + part < part;
    if (rest) atomicAdd(&high[bin], rest);
    atomicAdd(&count[bin], 1);
  }
  __device__ uint64_t sum(int bin) const { return (uint64_t)high[bin] << 32 | low[bin]; }
};

struct Shared {
  Histogram histogram;
  uint64_t sums[kWarps];
  uint32_t counts[kWarps];
  float tops[kWarps];
  int ids[kWarps];
  /* broadcast by the thread that finds them */
  uint64_t above, weight_sum;
  uint32_t above_count, bin_count;
  int bin, id;
};

__device__ uint64_t block_total(uint64_t x, uint64_t *shared) {
  for (int offset = 16; offset; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = 0;
  for (int w = 0; w < kWarps; w++) x += shared[w];
  __syncthreads();
  return x;
}

struct Row {
  const float *logits;
  int vocab;
  float max, scale;

  __device__ uint64_t weight(int i) const { return dms_weight(dms_weight_exponent(logits[i], max, scale)); }
};

/* Calls f(id, weight) for the ids whose weight may reach 2^bits; f checks. Loads run ahead of the arithmetic. */
template <typename F>
__device__ __forceinline__ void for_weights(const Row &row, int begin, int end, int lane, int step, float bits, F f) {
  float least = bits - 41; /* small weights are rounded to whole numbers */
  for (int i = begin + lane; i < end; i += step * kUnroll) {
    float x[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; u++) x[u] = i + u * step < end ? row.logits[i + u * step] : -INFINITY;
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      float exponent = dms_weight_exponent(x[u], row.max, row.scale);
      if (exponent >= least) f(i + u * step, dms_weight(exponent));
    }
  }
}

/* The leading bits of a weight: its power of two and the five bits below. */
__device__ __forceinline__ int leading_bin(uint64_t weight) {
  int power = 63 - __clzll(weight);
  return power * 32 + (int)(power >= 5 ? weight >> (power - 5) & 31 : weight << (5 - power) & 31);
}

/* The bin, from the heaviest down, in which the running count or sum reaches `target`; what lies above it and in it. Nothing is found when
 * all bins together fall short: bin -1. */
__device__ void find_bin(Shared &shared, bool by_count, uint64_t target, uint64_t above, uint32_t above_count) {
  if (threadIdx.x == 0) shared.bin = -1;
  __syncthreads();
  if (threadIdx.x < 32) { /* one warp: runs of bins, then the bins of the run */
    const int kRun = (kBins + 31) / 32;
    int lane = threadIdx.x, high = kBins - lane * kRun, low = max(high - kRun, 0);
    uint64_t sum = 0;
    uint32_t count = 0;
    for (int b = low; b < high; b++) sum += shared.histogram.sum(b), count += shared.histogram.count[b];
    uint64_t before = sum;
    uint32_t before_count = count;
    for (int offset = 1; offset < 32; offset <<= 1) {
      uint64_t s = __shfl_up_sync(~0u, before, offset);
      uint32_t c = __shfl_up_sync(~0u, before_count, offset);
      if (lane >= offset) before += s, before_count += c;
    }
    before += above - sum, before_count += above_count - count;
    bool reaches =
        by_count ? before_count < target && before_count + count >= target : before < target && before + sum >= target;
    if (reaches) {
      int b = high - 1;
      for (;; b--) {
        uint64_t s = shared.histogram.sum(b);
        uint32_t c = shared.histogram.count[b];
        if (by_count ? before_count + c >= target : before + s >= target) break;
        before += s, before_count += c;
      }
      shared.bin = b, shared.above = before, shared.above_count = before_count;
      shared.weight_sum = shared.histogram.sum(b), shared.bin_count = shared.histogram.count[b];
    }
  }
  __syncthreads();
}

/* A cut through the ids in order of weight: all heavier than `weight` are kept, and the first `ties` ids that weigh just that. */
struct Cut {
  uint64_t weight, sum; /* sum of what is kept */
  uint32_t ties;
};

__device__ Cut find_cut(const Row &row, Shared &shared, bool by_count, uint64_t target) {
  int tail = kTailBits;
  for (;; tail = 0) { /* once more with all weights if the cut lies among the smallest */
    shared.histogram.clear();
    for_weights(row, 0, row.vocab, threadIdx.x, kThreads, tail, [&](int, uint64_t w) {
      if (w >> tail) shared.histogram.add(leading_bin(w), w);
    });
    __syncthreads();
    find_bin(shared, by_count, target, 0, 0);
    if (shared.bin >= 0 || tail == 0) break;
  }
  if (shared.bin < 0) return Cut{0, 0, 0}; /* fewer ids than top_k: all are kept */
  int power = shared.bin / 32, bits = max(power - 5, 0);
  uint64_t low =
      power >= 5 ? (uint64_t)(32 + shared.bin % 32) << bits : (uint64_t)(32 + shared.bin % 32) >> (5 - power);
  while (bits && shared.bin_count > 1) {
    int width = min(bits, 10), shift = bits - width;
    uint64_t above = shared.above, high = low + ((uint64_t)1 << bits);
    uint32_t above_count = shared.above_count;
    shared.histogram.clear();
    for_weights(row, 0, row.vocab, threadIdx.x, kThreads, power, [&](int, uint64_t w) {
      if (w >= low && w < high) shared.histogram.add((int)((w - low) >> shift), w);
    });
    __syncthreads();
    find_bin(shared, by_count, target, above, above_count);
    low += (uint64_t)shared.bin << shift, bits = shift;
  }
  uint64_t weight = shared.weight_sum / shared.bin_count,
           missing = target - (by_count ? shared.above_count : shared.above);
  uint32_t ties = by_count ? (uint32_t)missing : (uint32_t)((missing + weight - 1) / weight);
  Cut cut = {weight, shared.above + weight * ties, ties};
  __syncthreads();
  return cut;
}

/* The id at which the running sum of kept weights, in id order, exceeds `draw`: the block narrows a range of ids by 32 until one is left. */
__device__ int find_id(const Row &row, Shared &shared, Cut cut, uint64_t draw) {
  int begin = 0, end = row.vocab, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  float bits = cut.weight ? 63 - __clzll(cut.weight) : 0;
  uint32_t ties = cut.ties;
  while (end - begin > 1) {
    int run = (end - begin + kWarps - 1) / kWarps, low = min(begin + warp * run, end), high = min(low + run, end);
    uint64_t heavier = 0;
    uint32_t equal = 0;
    for_weights(row, low, high, lane, 32, bits, [&](int, uint64_t w) {
      if (w > cut.weight) heavier += w;
      equal += w == cut.weight;
    });
    for (int offset = 16; offset; offset >>= 1)
      heavier += __shfl_xor_sync(~0u, heavier, offset), equal += __shfl_xor_sync(~0u, equal, offset);
    if (lane == 0) shared.sums[warp] = heavier, shared.counts[warp] = equal;
    __syncthreads();
    int w = 0;
    for (; w < kWarps - 1; w++) {
      uint32_t kept = min(shared.counts[w], ties);
      uint64_t sum = shared.sums[w] + cut.weight * kept;
      if (draw < sum) break;
      draw -= sum, ties -= kept;
    }
    begin = min(begin + w * run, end - 1), end = min(begin + run, end);
    __syncthreads();
  }
  return begin;
}

/* The largest logit's id, the lowest among equals, and whether all are numbers. */
__device__ bool find_top(const float *logits, int vocab, Shared &shared, float *top, int *id) {
  float best = -INFINITY;
  int at = vocab;
  bool sound = true;
  for (int i = threadIdx.x; i < vocab; i += kThreads * kUnroll) {
    float x[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; u++) x[u] = i + u * kThreads < vocab ? logits[i + u * kThreads] : -INFINITY;
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      sound &= x[u] == x[u];
      if (x[u] > best) best = x[u], at = i + u * kThreads;
    }
  }
  for (int offset = 16; offset; offset >>= 1) {
    float other = __shfl_xor_sync(~0u, best, offset);
    int other_at = __shfl_xor_sync(~0u, at, offset);
    if (other > best || (other == best && other_at < at)) best = other, at = other_at;
  }
  if (threadIdx.x % 32 == 0) shared.tops[threadIdx.x / 32] = best, shared.ids[threadIdx.x / 32] = at;
  sound = __syncthreads_and(sound);
  for (int w = 0; w < kWarps; w++)
    if (shared.tops[w] > best || (shared.tops[w] == best && shared.ids[w] < at))
      best = shared.tops[w], at = shared.ids[w];
  __syncthreads();
  *top = best, *id = at;
  return sound && fabsf(best) < INFINITY;
}

/* The token that `sampler` takes as number `step`, for the whole block. */
__device__ int sample(const DmsSampler &sampler, uint32_t step, const float *logits, int vocab, Shared &shared) {
  int id;
  Row row = {logits, vocab, 0, dms_weight_scale(sampler.temperature)};
  if (!find_top(logits, vocab, shared, &row.max, &id)) return DMS_TOKEN_INVALID;
  if (!(sampler.temperature > 0)) return id;
  Cut cut = {0, 0, 0};
  if (sampler.top_k > 0 && sampler.top_k < vocab) cut = find_cut(row, shared, true, sampler.top_k);
  if (!cut.sum) {
    uint64_t mine = 0;
    for_weights(row, 0, vocab, threadIdx.x, kThreads, 0, [&](int, uint64_t w) { mine += w; });
    cut.sum = block_total(mine, shared.sums);
  }
  if (sampler.top_p < 1) cut = find_cut(row, shared, false, dms_nucleus_target(cut.sum, sampler.top_p));
  return find_id(row, shared, cut, dms_draw(dms_philox(sampler.key, sampler.thread, step), cut.sum));
}

__global__ __launch_bounds__(kThreads) void sample_kernel(DmsCudaSamplers samplers, const int32_t *slots,
                                                          const float *logits, int vocab) {
  __shared__ Shared shared;
  wait_for_previous();
  int slot = slots[blockIdx.x];
  if (slot < 0) return;
  int id = sample(samplers.samplers[slot], samplers.drawn[slot], logits + (size_t)blockIdx.x * vocab, vocab, shared);
  if (threadIdx.x == 0) samplers.next[slot] = id;
}

__global__ __launch_bounds__(kThreads) void sample_first_kernel(DmsCudaSamplers samplers, int slot, DmsSampler sampler,
                                                                const float *logits, int vocab) {
  __shared__ Shared shared;
  int id = sample(sampler, 0, logits, vocab, shared);
  if (threadIdx.x == 0) samplers.next[slot] = id, samplers.drawn[slot] = 0, samplers.samplers[slot] = sampler;
}

extern "C" cudaError_t dms_cuda_sample(cudaStream_t stream, const DmsCudaSamplers *samplers, const int32_t *slots,
                                       int rows, const float *logits, int vocab) {
  return launch(stream, rows, kThreads, 0, sample_kernel, *samplers, slots, logits, vocab);
}

extern "C" cudaError_t dms_cuda_sample_first(cudaStream_t stream, const DmsCudaSamplers *samplers, int slot,
                                             DmsSampler sampler, const float *logits, int vocab) {
  sample_first_kernel<<<1, kThreads, 0, stream>>>(*samplers, slot, sampler, logits, vocab);
  return cudaGetLastError();
}
