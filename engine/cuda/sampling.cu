/* Sampling on the device: engine/sampling.h's rule, a cluster of CTAs a row, and the CPU's tokens. Once the cut is
 * known (sampling_cut.cuh), every CTA tells from the sums in whose slice the draw falls, and that one at which id. */
#include "engine/cuda/sampling_cut.cuh"

/* Among kUnits runs of ids in id order, one a thread, of each of which the sum above the cut and the count on it are
 * known: the one in which the running sum of what is kept exceeds the draw. */
template <int kUnits>
__device__ __forceinline__ Place locate(Shared &shared, uint64_t cut_weight, Place within, Mass unit) {
  Mass all, after = block_scan<kUnits>(unit, shared, &all), before = after - unit;
  auto kept = [&](Mass mass) { return mass.sum + cut_weight * min(mass.count, within.ties); };
  if (threadIdx.x < kUnits && kept(before) <= within.draw && within.draw < kept(after))
    shared.place = {(int)threadIdx.x, within.draw - kept(before), within.ties - min(before.count, within.ties)};
  __syncthreads();
  return shared.place;
}

/* The drawn id, for the one thread of the cluster that finds it, -1 for the others. `bracket` is what was collected. */
__device__ int find_id(Slice slice, Shared &shared, const Search &bracket, const Cut &cut, uint64_t draw) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32, ranks = cluster_size();
  bool listed = bracket.high - bracket.low > 1; /* else all within weigh the same, however many */
  auto add = [&](Mass &mass, uint64_t weight) {
    if (weight > cut.weight) mass.sum += weight;
    mass.count += weight == cut.weight;
  };
  Mass part = {}, unit = {};
  if (listed) for_found(shared, [&](uint64_t weight) { add(part, weight); }); /* which CTA's slice */
  part = warp_sum(part);
  if (lane == 0) shared.parts[warp] = part;
  __syncthreads();
  if (threadIdx.x < ranks) {
    const Sums &sums = shared.from[threadIdx.x].findings.sums;
    unit = {sums.above.sum, listed ? 0 : sums.inside.count};
    for (int w = threadIdx.x; w < warps; w += ranks) unit = unit + shared.parts[w];
  }
  Place place = locate<32>(shared, cut.weight, {0, draw, cut.ties}, unit);
  if (place.unit != cluster_rank()) return -1;

  const Findings &mine = shared.from[cluster_rank()].findings; /* which warp's run of it */
  part = {};
  for (int i = lane; listed && i < min(mine.sums.inside.count, (uint32_t)kFew); i += 32)
    if (shared.warps[i] == warp) add(part, mine.weights[i]);
  part = warp_sum(part);
  if (lane == 0) shared.parts[warp] = part;
  __syncthreads();
  unit = {};
  if (threadIdx.x < warps) {
    const Sums &sums = shared.warp_sums[threadIdx.x];
    unit = shared.parts[threadIdx.x] + Mass{sums.above.sum, listed ? 0 : sums.inside.count};
  }
  place = locate<kMaxWarps>(shared, cut.weight, place, unit);

  /* which thread's share of that, if it is dealt out anew, and which id */
  int run = (slice.run + kMinThreads - 1) / kMinThreads, end = min((place.unit + 1) * slice.run, slice.n),
      i = min(place.unit * slice.run + (int)threadIdx.x * run, end);
  unit = {};
  if (threadIdx.x < kMinThreads)
    for (int j = i; j < min(i + run, end); j++) add(unit, slice.weight(slice.logits[j]));
  place = locate<kMinThreads>(shared, cut.weight, place, unit);
  if (place.unit != threadIdx.x) return -1;
  for (;; i++) {
    uint64_t weight = slice.weight(slice.logits[i]);
    if (weight < cut.weight || (weight == cut.weight && place.ties == 0)) continue;
    if (weight == cut.weight) place.ties--;
    if (place.draw < weight) return slice.first + i;
    place.draw -= weight;
  }
}

/* The first id of the largest logit, likewise. */
__device__ int find_top(Slice slice, Shared &shared) {
  for (int r = 0; r < cluster_rank(); r++)
    if (shared.from[r].outline.top == slice.max) return -1;
  if (shared.from[cluster_rank()].outline.top != slice.max) return -1;
  for_each_logit(slice, [&](int i, float logit) {
    if (logit == slice.max) atomicMin(&shared.first_top, slice.first + i);
  });
  __syncthreads();
  return threadIdx.x == 0 ? shared.first_top : -1;
}

/* The token that `sampler` takes as number `step`, for one thread of the cluster, -1 for the others. */
__device__ int sample(const DmsSampler &sampler, uint32_t step, Slice &slice, int vocab, Shared &shared) {
  bool greedy = !(sampler.temperature > 0), by_count = sampler.top_k > 0 && sampler.top_k < vocab;
  bool cuts = !greedy && (by_count || sampler.top_p < 1);
  slice.scale = dms_weight_scale(sampler.temperature);
  slice.max = outline_row(slice, shared, cuts, by_count);
  if (!(fabsf(slice.max) < INFINITY)) return threadIdx.x + cluster_rank() == 0 ? DMS_TOKEN_INVALID : -1;
  if (greedy) return find_top(slice, shared);
  Search search = {by_count, by_count ? (uint64_t)sampler.top_k : 0, 1, 1};
  if (cuts) guess_bracket(slice, shared, search, sampler.top_p);
  Cut cut;
  for (;;) {
    cut = find_cut(slice, shared, search, sampler.top_p);
    if (!search.by_count || !(sampler.top_p < 1)) break;
    cluster_sync(); /* all have read the findings */
    /* then the nucleus of what is left, whose cut is no lower */
    search = {false, dms_nucleus_target(cut.sum, sampler.top_p), max(cut.weight, (uint64_t)1), kAboveAll};
  }
  return find_id(slice, shared, search, cut, dms_draw(dms_philox(sampler.key, sampler.thread, step), cut.sum));
}

/* Row blockIdx.x / cluster size of `logits`. */
__global__ __launch_bounds__(kMaxThreads) void sample_kernel(DmsCudaSamplers samplers, const int32_t *slots,
                                                             const float *logits, int vocab) {
  extern __shared__ uint4 memory[];
  Shared &shared = *reinterpret_cast<Shared *>(memory);
  for (int i = threadIdx.x; i < kBins * 32; i += blockDim.x) shared.columns[0][i] = 0;
  if (threadIdx.x == 0) shared.first_top = INT32_MAX;
  wait_for_previous();
  let_next_start();
  int row = blockIdx.x / cluster_size(), slot = slots[row];
  if (slot < 0) return; /* the whole cluster */
  cluster_arrive();     /* outline_row() waits */
  int share = (vocab + cluster_size() - 1) / cluster_size(), first = min(cluster_rank() * share, vocab),
      n = min(share, vocab - first), warps = blockDim.x / 32;
  Slice slice = {logits + (size_t)row * vocab + first, first, n, (n + warps - 1) / warps};
  int id = sample(samplers.samplers[slot], samplers.drawn[slot], slice, vocab, shared);
  if (id != -1) samplers.next[slot] = id;
}

__global__ void begin_kernel(DmsCudaSamplers samplers, int slot, DmsSampler sampler, int32_t *slots) {
  samplers.samplers[slot] = sampler, samplers.drawn[slot] = 0, slots[0] = slot;
}

/* How many clusters of the launch that is configured the device runs at once, -1 if none. */
static int resident_clusters(const cudaLaunchConfig_t *config, bool portable) {
  int n = 0;
  cudaFuncAttributes now;
  cudaError_t status = cudaFuncGetAttributes(&now, sample_kernel);
  if (status == cudaSuccess && now.maxDynamicSharedSizeBytes < (int)config->dynamicSmemBytes)
    status = cudaFuncSetAttribute(sample_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, config->dynamicSmemBytes);
  if (status == cudaSuccess && !portable)
    status = cudaFuncSetAttribute(sample_kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  if (status == cudaSuccess) status = cudaOccupancyMaxActiveClusters(&n, sample_kernel, config);
  if (status != cudaSuccess) cudaGetLastError(); /* a smaller cluster will do */
  return status == cudaSuccess && n > 0 ? n : -1;
}

/* A row is taken by a cluster, all rows at once where they can: so by the largest of which the device runs as many as
 * there are rows, which depends on how its multiprocessors are grouped. */
extern "C" cudaError_t dms_cuda_sample(cudaStream_t stream, const DmsCudaSamplers *samplers, const int32_t *slots,
                                       int rows, const float *logits, int vocab) {
  static int resident[kMaxRanks + 1]; /* clusters by size, 0 if not asked yet */
  bool hopper = overlaps((const void *)sample_kernel);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.stream = stream, config.attrs = attributes, config.numAttrs = hopper ? 2 : 0;
  for (int size = hopper && vocab >= kClusterVocab ? kMaxRanks : 1;; size /= 2) {
    attributes[1].val.clusterDim.x = size;
    config.gridDim = dim3(rows * size), config.blockDim = dim3(size > 1 ? kMinThreads : kMaxThreads);
    config.dynamicSmemBytes = offsetof(Shared, from) + size * sizeof(Exchange);
    if (size == 1) break;
    if (!resident[size]) resident[size] = resident_clusters(&config, size <= 8);
    if (resident[size] >= (size > 2 ? rows : 1)) break;
  }
  return cudaLaunchKernelEx(&config, sample_kernel, *samplers, slots, logits, vocab);
}

extern "C" cudaError_t dms_cuda_sample_first(cudaStream_t stream, const DmsCudaSamplers *samplers, int slot,
                                             DmsSampler sampler, const float *logits, int vocab, int32_t *slots) {
  begin_kernel<<<1, 1, 0, stream>>>(*samplers, slot, sampler, slots);
  cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? dms_cuda_sample(stream, samplers, slots, 1, logits, vocab) : status;
}
