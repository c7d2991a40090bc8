/* What the device itself can do, and values to measure with. */
#include "engine/cuda/element.cuh"

__global__ void read_memory_kernel(const uint4 *memory, size_t n, int *sink) {
  uint32_t seen = 0;
  size_t step = (size_t)gridDim.x * blockDim.x, i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
  for (; i + 7 * step < n; i += 8 * step) {
    uint4 v[8];
#pragma unroll
    for (int u = 0; u < 8; u++) v[u] = __ldcs(memory + i + u * step);
#pragma unroll
    for (int u = 0; u < 8; u++) seen ^= v[u].x ^ v[u].y ^ v[u].z ^ v[u].w;
  }
  for (; i < n; i += step) seen ^= memory[i].x;
  if (seen == 0x9E3779B9u) *sink = 1; /* so that the reads count */
}

/* About normal: the sum of four uniform bytes pairs, which is enough to fill weights with. */
__device__ float normal(uint64_t seed, size_t i) {
  uint64_t x = (i + 1) * 0x9E3779B97F4A7C15ull + seed;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull, x = (x ^ x >> 27) * 0x94D049BB133111EBull, x ^= x >> 31;
  float sum = (float)(x & 0xFFFF) + (float)(x >> 16 & 0xFFFF) + (float)(x >> 32 & 0xFFFF) + (float)(x >> 48);
  return (sum / 65535.0f - 2.0f) * 1.7320508f;
}

template <typename T> __global__ void random_kernel(T *out, size_t n, uint64_t seed, float mean, float scale) {
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x)
    out[i] = from_float<T>(mean + scale * normal(seed, i));
}

__global__ void pause_kernel(uint64_t nanoseconds) {
  uint64_t begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    __nanosleep(1000);
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}

extern "C" cudaError_t dms_cuda_pause(cudaStream_t stream, uint64_t nanoseconds) {
  pause_kernel<<<1, 1, 0, stream>>>(nanoseconds);
  return cudaGetLastError();
}

extern "C" cudaError_t dms_cuda_read_memory(cudaStream_t stream, const void *memory, gsize bytes, int *sink) {
  read_memory_kernel<<<132 * 16, 256, 0, stream>>>((const uint4 *)memory, bytes / 16, sink);
  return cudaGetLastError();
}

extern "C" cudaError_t dms_cuda_random(cudaStream_t stream, DmsCudaType type, void *out, gsize n, uint64_t seed,
                                       float mean, float scale) {
  DISPATCH_CACHE(type, random_kernel<<<2048, 256, 0, stream>>>((P *)out, n, seed, mean, scale));
  return cudaGetLastError();
}
