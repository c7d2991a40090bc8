/* Launches decode attention: the tensor cores' kernel where it takes the shapes, else rope_append.cu and
 * plain_attention.cu. */
#include "engine/cuda/decode_attention.cuh"

extern "C" int dms_cuda_decode_attention_tiled(const DmsCudaHeads *heads) {
  return heads->type == DMS_CUDA_BF16 && heads->group <= kColumns && (heads->head_dim == 64 || heads->head_dim == 128);
}

static gsize partial_bytes(const DmsCudaHeads *heads) {
  return heads->head_dim == 64 ? sizeof(Partial<64>) : sizeof(Partial<128>);
}

template <int D, typename P> static cudaError_t resident(int *per_processor) {
  constexpr int kBytes = sizeof(TileMemory<D, P>);
  auto kernel = decode_attention_kernel<D, P>;
  cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (status != cudaSuccess) return status;
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(per_processor, kernel, kThreads, kBytes);
}

/* D and P of the tiled kernel. */
#define DISPATCH_TILED(dim, cache_type, ...)                                                                           \
  do {                                                                                                                 \
    if ((dim) == 64) {                                                                                                 \
      constexpr int D = 64;                                                                                            \
      DISPATCH_TILED_TYPE(cache_type, __VA_ARGS__);                                                                    \
    } else {                                                                                                           \
      constexpr int D = 128;                                                                                           \
      DISPATCH_TILED_TYPE(cache_type, __VA_ARGS__);                                                                    \
    }                                                                                                                  \
  } while (0)
#define DISPATCH_TILED_TYPE(cache_type, ...)                                                                           \
  if ((cache_type) == DMS_CUDA_E4M3) {                                                                                 \
    using P = e4m3;                                                                                                    \
    __VA_ARGS__;                                                                                                       \
  } else {                                                                                                             \
    using P = bf16;                                                                                                    \
    __VA_ARGS__;                                                                                                       \
  }

extern "C" cudaError_t dms_cuda_decode_attention_plan(const DmsCudaHeads *heads, DmsCudaType cache, int *parts,
                                                      gsize *scratch_bytes) {
  *parts = 0, *scratch_bytes = 0;
  if (!dms_cuda_decode_attention_tiled(heads)) return cudaSuccess;
  int device, processors, per_processor;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) DISPATCH_TILED(heads->head_dim, cache, status = resident<D, P>(&per_processor));
  if (status != cudaSuccess) return status;
  *parts = processors * (per_processor < 1 ? 1 : per_processor);
  *scratch_bytes = *parts * partial_bytes(heads);
  return cudaSuccess;
}

extern "C" cudaError_t dms_cuda_decode_attention(cudaStream_t stream, const DmsCudaRope *rope,
                                                 const DmsCudaCache *cache, const DmsCudaRows *rows, void *out,
                                                 void *scratch) {
  const DmsCudaHeads *heads = &rope->heads;
  if (!dms_cuda_decode_attention_tiled(heads)) {
    cudaError_t status = dms_cuda_rope_append(stream, rope, cache, rows);
    return status == cudaSuccess ? dms_cuda_plain_attention(stream, rope, cache, rows, out) : status;
  }
  DISPATCH_TILED(heads->head_dim, cache->type,
                 return launch(stream, rows->parts, kThreads, sizeof(TileMemory<D, P>), decode_attention_kernel<D, P>,
                               *rope, *cache, *rows, (bf16 *)out, (Partial<D> *)scratch));
}
