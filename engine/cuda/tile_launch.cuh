/* What launching products of tiles takes: clusters of CTAs, and maps of matrices for the copy engine. */
#pragma once

#include "engine/cuda/cooperative.cuh"
#include "engine/cuda/element.cuh"

#include <cudaTypedefs.h>

enum { kUnit = 8 };                                      /* outputs that are never parted */
enum { kDepth = 64, kRowBytes = kDepth * sizeof(bf16) }; /* of a box */

/* A launch of clusters of `ranks` CTAs that lacks its grid. */
struct ClusterLaunch {
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config = {};

  ClusterLaunch(cudaStream_t stream, int ranks, int threads, int shared) {
    attributes[0].id = cudaLaunchAttributeClusterDimension;
    attributes[0].val.clusterDim.x = ranks, attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
    attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[1].val.programmaticStreamSerializationAllowed = 1;
    config.blockDim = dim3(threads), config.dynamicSmemBytes = shared, config.stream = stream;
    config.attrs = attributes, config.numAttrs = 2;
  }
};

/* How many clusters of `ranks` CTAs of `threads` run at once, each CTA with all of the shared memory that one can have
 * beside what `kernel` declares, `*shared` bytes. 0 where the kernel is not for the device: elsewhere than on Hopper it
 * is empty, and has no shared memory. */
template <typename Argument>
static cudaError_t ask_clusters(void (*kernel)(Argument), int ranks, int threads, int *clusters, int *shared) {
  cudaFuncAttributes attributes;
  int processors;
  *clusters = 0;
  cudaError_t status = ask_device(&processors, shared);
  if (status == cudaSuccess) status = cudaFuncGetAttributes(&attributes, (const void *)kernel);
  if (status != cudaSuccess || !attributes.sharedSizeBytes) return status;
  *shared -= (int)attributes.sharedSizeBytes;
  status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, *shared);
  ClusterLaunch launch(nullptr, ranks, threads, *shared);
  launch.config.gridDim = dim3(processors / ranks * ranks);
  return status == cudaSuccess ? cudaOccupancyMaxActiveClusters(clusters, kernel, &launch.config) : status;
}

static int round_up(int n, int by) {
  return (n + by - 1) / by;
}

static cudaError_t make_map(CUtensorMap *map, const void *matrix, int dimensions, const cuuint64_t *sizes,
                            const cuuint64_t *strides, const cuuint32_t *box) {
  static PFN_cuTensorMapEncodeTiled_v12000 encode;
  if (!encode) {
    cudaDriverEntryPointQueryResult found;
    cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void **)&encode, 12000, cudaEnableDefault, &found);
    if (status != cudaSuccess) return status;
    if (found != cudaDriverEntryPointSuccess) return cudaErrorSymbolNotFound;
  }
  cuuint32_t steps[] = {1, 1, 1, 1};
  CUresult result = encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, dimensions, (void *)matrix, sizes, strides, box,
                           steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                           CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

/* Units of 8 weight rows, of gate and up by turns. */
static cudaError_t map_weights(CUtensorMap *map, const DmsCudaLinear &linear, bool pairs, int height) {
  cuuint64_t row = (cuuint64_t)linear.k * sizeof(bf16), halves = pairs ? 2 : 1, units = linear.n / kUnit / halves;
  cuuint64_t sizes[] = {(cuuint64_t)linear.k, kUnit, halves, units},
             strides[] = {row, units * kUnit * row, kUnit * row};
  cuuint32_t box[] = {kDepth, kUnit, (cuuint32_t)halves, (cuuint32_t)(height / kUnit / halves)};
  return make_map(map, linear.weight, 4, sizes, strides, box);
}
static cudaError_t map_x(CUtensorMap *map, const void *x, int rows, int k, int box_rows) {
  cuuint64_t sizes[] = {(cuuint64_t)k, (cuuint64_t)rows}, strides[] = {(cuuint64_t)k * sizeof(bf16)};
  cuuint32_t box[] = {kDepth, (cuuint32_t)box_rows};
  return make_map(map, x, 2, sizes, strides, box);
}
