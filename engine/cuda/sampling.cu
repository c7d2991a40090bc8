/* Sampling on the device: engine/sampling.h's rule, a cluster of CTAs a row. Every sum is of integers, so the order in
 * which threads add does not matter and the tokens are the CPU's.
 *
 * Each CTA keeps its slice of the logits in shared memory and builds its own sums; all CTAs add up the cluster's and
 * come to the same conclusion. Nucleus and top-k cuts are found without sorting: a histogram of the weights by leading
 * bits, then of the one bin in which the cut falls by the bits below, until one weight is left. Weights far below the
 * top go into the histogram only if the cut turns out to lie there. */
#include "engine/cuda/cluster.cuh"
#include "engine/cuda/element.cuh"

enum { kThreads = 512, kWarps = kThreads / 32, kBins = 41 * 32, kTailBits = 20, kUnroll = 8, kCandidates = 256 };
enum { kCluster = 8, kClusterVocab = 1 << 15, kMostCached = 20 << 10 /* logits of a slice in shared memory */ };

/* Sums and counts of bins; the sums as two native 32-bit halves. */
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
};

/* A cut through the ids in order of weight: all heavier than `weight` are kept, and the first `ties` ids that weigh
 * just that. */
struct Cut {
  uint64_t weight, sum; /* sum of what is kept */
  uint32_t ties;
};

struct Shared {
  union {
    Histogram histogram;        /* of this CTA's slice */
    uint64_t mine[kCandidates]; /* then: its weights in the bin of the cut */
  };
  union {
    uint64_t sums[kBins];      /* of the cluster */
    uint64_t all[kCandidates]; /* then: all its weights in the bin of the cut */
  };
  uint32_t counts[kBins];
  uint64_t warp_sums[kWarps];
  uint32_t warp_counts[kWarps];
  float tops[kWarps];
  int ids[kWarps];
  /* what the other CTAs of the cluster read, each written once a row */
  float top;
  int top_id, sound;
  uint64_t total, heavier;
  uint32_t equal;
  int found, gathered;
  Cut cut;
  /* found by one thread for the block */
  uint64_t above, bin_sum;
  uint32_t above_count, bin_count;
  int bin;
};

/* This CTA's slice of a row: ids first .. first + n - 1. */
struct Slice {
  const float *logits; /* [n] */
  int first, n;
  float max, scale;
};

/* The sum over the block, for all of it. */
__device__ uint64_t block_total(uint64_t x, Shared &shared) {
  for (int offset = 16; offset; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  if (threadIdx.x % 32 == 0) shared.warp_sums[threadIdx.x / 32] = x;
  __syncthreads();
  x = 0;
  for (int w = 0; w < kWarps; w++) x += shared.warp_sums[w];
  __syncthreads();
  return x;
}

/* Calls f(weight) for the logits begin + lane, begin + lane + step, ... before `end` whose weight may reach 2^bits; f
 * checks. */
template <typename F>
__device__ __forceinline__ void for_weights(const Slice &slice, int begin, int end, int lane, int step, float bits,
                                            F f) {
  float least = bits - 41; /* small weights are rounded to whole numbers */
#pragma unroll 4
  for (int i = begin + lane; i < end; i += step) {
    float exponent = dms_weight_exponent(slice.logits[i], slice.max, slice.scale);
    if (exponent >= least) f(dms_weight(exponent));
  }
}

/* The leading bits of a weight: its power of two and the five bits below. */
__device__ __forceinline__ int leading_bin(uint64_t weight) {
  int power = 63 - __clzll(weight);
  return power * 32 + (int)(power >= 5 ? weight >> (power - 5) & 31 : weight << (5 - power) & 31);
}

/* The cluster's histogram, in every CTA: each adds up its share of the bins, then all fetch what the others added up.
 */
__device__ void add_up(Shared &shared) {
  int ranks = cluster_size(), share = (kBins + ranks - 1) / ranks, first = cluster_rank() * share;
  cluster_sync();
  for (int i = first + threadIdx.x; i < min(first + share, (int)kBins); i += kThreads) {
    uint64_t sum = 0;
    uint32_t count = 0;
#pragma unroll 8
    for (int r = 0; r < ranks; r++) {
      const Histogram &other = of_rank(shared.histogram, r);
      sum += (uint64_t)other.high[i] << 32 | other.low[i], count += other.count[i];
    }
    shared.sums[i] = sum, shared.counts[i] = count;
  }
  cluster_sync();
#pragma unroll 3
  for (int i = threadIdx.x; i < kBins; i += kThreads) {
    if (i / share == cluster_rank()) continue;
    shared.sums[i] = of_rank(shared.sums[i], i / share), shared.counts[i] = of_rank(shared.counts[i], i / share);
  }
  __syncthreads();
}

/* The bin, from the heaviest down, in which the running count or sum reaches `target`; what lies above it and in it.
 * Nothing is found when all bins together fall short: bin -1. */
__device__ void find_bin(Shared &shared, bool by_count, uint64_t target, uint64_t above, uint32_t above_count) {
  if (threadIdx.x == 0) shared.bin = -1;
  __syncthreads();
  if (threadIdx.x < 32) { /* one warp: runs of bins, then the bins of the run */
    const int kRun = (kBins + 31) / 32;
    int lane = threadIdx.x, high = kBins - lane * kRun, low = max(high - kRun, 0);
    uint64_t sum = 0;
    uint32_t count = 0;
    for (int b = low; b < high; b++) sum += shared.sums[b], count += shared.counts[b];
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
        uint64_t s = shared.sums[b];
        uint32_t c = shared.counts[b];
        if (by_count ? before_count + c >= target : before + s >= target) break;
        before += s, before_count += c;
      }
      shared.bin = b, shared.above = before, shared.above_count = before_count;
      shared.bin_sum = shared.sums[b], shared.bin_count = shared.counts[b];
    }
  }
  __syncthreads();
}

/* The cut among the few weights low <= w < high, what lies above them being known: all CTAs gather them, and each
 * thread asks of one whether it is where the target is reached. */
__device__ Cut cut_candidates(const Slice &slice, Shared &shared, bool by_count, uint64_t target, int power,
                              uint64_t low, uint64_t high) {
  uint64_t above = shared.above;
  uint32_t above_count = shared.above_count;
  if (threadIdx.x == 0) shared.found = shared.gathered = 0;
  __syncthreads();
  for_weights(slice, 0, slice.n, threadIdx.x, kThreads, power, [&](uint64_t w) {
    if (w >= low && w < high) shared.mine[atomicAdd(&shared.found, 1)] = w;
  });
  cluster_sync();
  for (int r = 0, begin = 0; r < cluster_size(); r++) {
    int n = of_rank(shared.found, r);
    for (int i = threadIdx.x; i < n; i += kThreads) shared.all[begin + i] = of_rank(shared.mine[i], r);
    begin += n;
    if (threadIdx.x == 0) shared.gathered = begin;
  }
  __syncthreads();
  int n = shared.gathered;
  for (int i = threadIdx.x; i < n; i += kThreads) {
    uint64_t weight = shared.all[i], heavier = above;
    uint32_t heavier_count = above_count, equal = 0;
    for (int j = 0; j < n; j++) {
      uint64_t other = shared.all[j];
      if (other > weight) heavier += other, heavier_count++;
      equal += other == weight;
    }
    uint64_t before = by_count ? heavier_count : heavier, each = by_count ? 1 : weight;
    if (before < target && before + each * equal >= target) { /* the same for all that weigh as much */
      uint32_t ties = (uint32_t)((target - before + each - 1) / each);
      shared.cut = Cut{weight, heavier + weight * ties, ties};
    }
  }
  cluster_sync();
  return shared.cut;
}

/* The cut at a count of `target` ids or, where that is 0, at the share `top_p` of `total`, which is found on the way
 * where it is 0. */
__device__ Cut find_cut(const Slice &slice, Shared &shared, uint64_t target, float top_p, uint64_t total) {
  bool by_count = target > 0;
  for (int tail = kTailBits;; tail = 0) { /* once more with all weights if the cut lies among the smallest */
    shared.histogram.clear();
    uint64_t below = 0, all = 0;
    bool totals = !by_count && !total;
    for_weights(slice, 0, slice.n, threadIdx.x, kThreads, totals ? 0 : tail, [&](uint64_t w) {
      if (w >> tail)
        shared.histogram.add(leading_bin(w), w);
      else
        below += w;
    });
    if (totals) {
      below = block_total(below, shared);
      if (threadIdx.x == 0) shared.total = below;
    }
    add_up(shared);
    if (totals) {
      for (int i = threadIdx.x; i < kBins; i += kThreads) all += shared.sums[i];
      total = block_total(all, shared);
      for (int r = 0; r < cluster_size(); r++) total += of_rank(shared.total, r);
    }
    if (!by_count) target = dms_nucleus_target(total, top_p);
    find_bin(shared, by_count, target, 0, 0);
    if (shared.bin >= 0 || tail == 0) break;
  }
  if (shared.bin < 0) return Cut{0, 0, 0}; /* fewer ids than top_k: all are kept */
  int power = shared.bin / 32, bits = max(power - 5, 0);
  uint64_t low =
      power >= 5 ? (uint64_t)(32 + shared.bin % 32) << bits : (uint64_t)(32 + shared.bin % 32) >> (5 - power);
  if (bits && shared.bin_count > 1 && shared.bin_count <= kCandidates)
    return cut_candidates(slice, shared, by_count, target, power, low, low + ((uint64_t)1 << bits));
  while (bits && shared.bin_count > 1) {
    int width = min(bits, 10), shift = bits - width;
    uint64_t above = shared.above, high = low + ((uint64_t)1 << bits);
    uint32_t above_count = shared.above_count;
    shared.histogram.clear();
    for_weights(slice, 0, slice.n, threadIdx.x, kThreads, power, [&](uint64_t w) {
      if (w >= low && w < high) shared.histogram.add((int)((w - low) >> shift), w);
    });
    add_up(shared);
    find_bin(shared, by_count, target, above, above_count);
    low += (uint64_t)shared.bin << shift, bits = shift;
  }
  uint64_t weight = shared.bin_sum / shared.bin_count,
           missing = target - (by_count ? shared.above_count : shared.above);
  uint32_t ties = by_count ? (uint32_t)missing : (uint32_t)((missing + weight - 1) / weight);
  Cut cut = {weight, shared.above + weight * ties, ties};
  __syncthreads();
  return cut;
}

/* What a warp finds in logits begin .. end - 1: the sum of the weights above the cut, and how many lie on it. */
__device__ void count_kept(const Slice &slice, const Cut &cut, int begin, int end, uint64_t *heavier, uint32_t *equal) {
  float bits = cut.weight ? 63 - __clzll(cut.weight) : 0;
  uint64_t sum = 0;
  uint32_t count = 0;
  for_weights(slice, begin, end, threadIdx.x % 32, 32, bits, [&](uint64_t w) {
    if (w > cut.weight) sum += w;
    count += w == cut.weight;
  });
  for (int offset = 16; offset; offset >>= 1)
    sum += __shfl_xor_sync(~0u, sum, offset), count += __shfl_xor_sync(~0u, count, offset);
  *heavier = sum, *equal = count;
}

/* The id at which the running sum of kept weights, in id order, exceeds `draw`, or -1 in the CTAs whose slice it is not
 * in: the block narrows its slice by the number of its warps until one logit is left. */
__device__ int find_id(const Slice &slice, Shared &shared, Cut cut, uint64_t draw) {
  int begin = 0, end = slice.n, warp = threadIdx.x / 32;
  uint32_t ties = cut.ties;
  for (bool whole = true; whole || end - begin > 1; whole = false) {
    int run = (end - begin + kWarps - 1) / kWarps, low = min(begin + warp * run, end), high = min(low + run, end);
    uint64_t heavier;
    uint32_t equal;
    count_kept(slice, cut, low, high, &heavier, &equal);
    if (threadIdx.x % 32 == 0) shared.warp_sums[warp] = heavier, shared.warp_counts[warp] = equal;
    __syncthreads();
    if (whole) { /* whose slice is it? */
      if (threadIdx.x == 0) {
        shared.heavier = 0, shared.equal = 0;
        for (int w = 0; w < kWarps; w++) shared.heavier += shared.warp_sums[w], shared.equal += shared.warp_counts[w];
      }
      cluster_sync();
      int rank = 0, last = cluster_size() - 1;
      for (; rank < last; rank++) {
        uint32_t kept = min(of_rank(shared.equal, rank), ties);
        uint64_t sum = of_rank(shared.heavier, rank) + cut.weight * kept;
        if (draw < sum) break;
        draw -= sum, ties -= kept;
      }
      if (rank != cluster_rank()) return -1;
    }
    int w = 0;
    for (; w < kWarps - 1; w++) {
      uint32_t kept = min(shared.warp_counts[w], ties);
      uint64_t sum = shared.warp_sums[w] + cut.weight * kept;
      if (draw < sum) break;
      draw -= sum, ties -= kept;
    }
    begin = min(begin + w * run, end - 1), end = min(begin + run, end);
    __syncthreads();
  }
  return slice.first + begin;
}

/* The row's largest logit, its lowest id among equals, and whether all are numbers. Copies the slice to `cached` unless
 * that is NULL. */
__device__ bool find_top(Slice &slice, float *cached, Shared &shared, int *id) {
  float best = -INFINITY;
  int at = INT32_MAX;
  bool sound = true;
  for (int i = threadIdx.x; i < slice.n; i += kThreads * kUnroll) {
    float x[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; u++) x[u] = i + u * kThreads < slice.n ? slice.logits[i + u * kThreads] : -INFINITY;
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      sound &= x[u] == x[u];
      if (x[u] > best) best = x[u], at = slice.first + i + u * kThreads;
      if (cached && i + u * kThreads < slice.n) cached[i + u * kThreads] = x[u];
    }
  }
  for (int offset = 16; offset; offset >>= 1) {
    float other = __shfl_xor_sync(~0u, best, offset);
    int other_at = __shfl_xor_sync(~0u, at, offset);
    if (other > best || (other == best && other_at < at)) best = other, at = other_at;
  }
  if (threadIdx.x % 32 == 0) shared.tops[threadIdx.x / 32] = best, shared.ids[threadIdx.x / 32] = at;
  sound = __syncthreads_and(sound);
  if (cached) slice.logits = cached;
  if (threadIdx.x == 0) {
    for (int w = 1; w < kWarps; w++)
      if (shared.tops[w] > best || (shared.tops[w] == best && shared.ids[w] < at))
        best = shared.tops[w], at = shared.ids[w];
    shared.top = best, shared.top_id = at, shared.sound = sound;
  }
  cluster_sync();
  best = -INFINITY, *id = INT32_MAX;
  for (int r = 0; r < cluster_size(); r++) { /* ids rise with the rank, so the first of equals is the lowest */
    if (of_rank(shared.top, r) > best) best = of_rank(shared.top, r), *id = of_rank(shared.top_id, r);
    sound &= of_rank(shared.sound, r) != 0;
  }
  slice.max = best;
  return sound && fabsf(best) < INFINITY;
}

/* The token that `sampler` takes as number `step`, or -1 in the CTAs that do not know it. */
__device__ int sample(const DmsSampler &sampler, uint32_t step, const float *logits, int vocab, Shared &shared,
                      float *cached) {
  int per_cta = (vocab + cluster_size() - 1) / cluster_size(), first = min(cluster_rank() * per_cta, vocab), id;
  Slice slice = {logits + first, first, min(per_cta, vocab - first), 0, dms_weight_scale(sampler.temperature)};
  if (!find_top(slice, cached, shared, &id)) return DMS_TOKEN_INVALID;
  if (!(sampler.temperature > 0)) return id;
  Cut cut = {0, 0, 0};
  if (sampler.top_k > 0 && sampler.top_k < vocab) cut = find_cut(slice, shared, sampler.top_k, 1, 0);
  if (sampler.top_p < 1) cut = find_cut(slice, shared, 0, sampler.top_p, cut.sum);
  if (!cut.sum) { /* nothing is cut */
    uint64_t mine = 0;
    for_weights(slice, 0, slice.n, threadIdx.x, kThreads, 0, [&](uint64_t w) { mine += w; });
    mine = block_total(mine, shared);
    if (threadIdx.x == 0) shared.total = mine;
    cluster_sync();
    for (int r = 0; r < cluster_size(); r++) cut.sum += of_rank(shared.total, r);
  }
  return find_id(slice, shared, cut, dms_draw(dms_philox(sampler.key, sampler.thread, step), cut.sum));
}

/* Row blockIdx.x / cluster size of `logits`. */
__global__ __launch_bounds__(kThreads) void sample_kernel(DmsCudaSamplers samplers, const int32_t *slots,
                                                          const float *logits, int vocab, bool caches) {
  extern __shared__ float cached[];
  __shared__ Shared shared;
  wait_for_previous();
  let_next_start();
  int row = blockIdx.x / cluster_size(), slot = slots[row];
  if (slot < 0) return; /* the whole cluster */
  int id = sample(samplers.samplers[slot], samplers.drawn[slot], logits + (size_t)row * vocab, vocab, shared,
                  caches ? cached : nullptr);
  if (threadIdx.x == 0 && id != -1) samplers.next[slot] = id;
  cluster_sync(); /* nobody leaves while its shared memory is read */
}

__global__ void begin_kernel(DmsCudaSamplers samplers, int slot, DmsSampler sampler, int32_t *slots) {
  samplers.samplers[slot] = sampler, samplers.drawn[slot] = 0, slots[0] = slot;
}

extern "C" cudaError_t dms_cuda_sample(cudaStream_t stream, const DmsCudaSamplers *samplers, const int32_t *slots,
                                       int rows, const float *logits, int vocab) {
  bool hopper = overlaps((const void *)sample_kernel);
  int cluster = hopper && vocab >= kClusterVocab ? kCluster : 1, slice = (vocab + cluster - 1) / cluster;
  bool caches = slice <= kMostCached && (cluster > 1 || slice <= 4096);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = cluster, attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(rows * cluster), config.blockDim = dim3(kThreads), config.stream = stream;
  config.dynamicSmemBytes = caches ? slice * sizeof(float) : 0;
  config.attrs = attributes, config.numAttrs = hopper ? 2 : 0;
  cudaError_t status =
      cudaFuncSetAttribute(sample_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostCached * sizeof(float));
  if (status != cudaSuccess && caches && config.dynamicSmemBytes > 16 << 10) return status;
  return cudaLaunchKernelEx(&config, sample_kernel, *samplers, slots, logits, vocab, caches);
}

extern "C" cudaError_t dms_cuda_sample_first(cudaStream_t stream, const DmsCudaSamplers *samplers, int slot,
                                             DmsSampler sampler, const float *logits, int vocab, int32_t *slots) {
  begin_kernel<<<1, 1, 0, stream>>>(*samplers, slot, sampler, slots);
  cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? dms_cuda_sample(stream, samplers, slots, 1, logits, vocab) : status;
}
