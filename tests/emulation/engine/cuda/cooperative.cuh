/* What engine/cuda/cooperative.cuh names and what nvcc declares of launching, for the emulated device. */
#pragma once

#include "engine/cuda/kernels.h"

static cudaError_t ask_device(int *processors, int *shared_bytes) {
  *processors = emulated_processors, *shared_bytes = emulated_shared_bytes;
  return cudaSuccess;
}

template <typename Argument>
static cudaError_t launch_together(cudaStream_t, int grid, int threads, size_t shared, void (*kernel)(Argument),
                                   const Argument &argument) {
  emulate(grid, threads, shared, [&] { kernel(argument); });
  return cudaSuccess;
}

template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel *, cudaFuncAttribute, int) {
  return cudaSuccess;
}

inline int emulated_ranks(const cudaLaunchConfig_t *config) {
  for (unsigned i = 0; i < config->numAttrs; i++)
    if (config->attrs[i].id == cudaLaunchAttributeClusterDimension) return config->attrs[i].val.clusterDim.x;
  return 1;
}
template <typename Kernel>
cudaError_t cudaOccupancyMaxActiveClusters(int *clusters, Kernel *, const cudaLaunchConfig_t *config) {
  bool fits = (int)config->dynamicSmemBytes + EMULATED_STATIC_BYTES <= emulated_shared_bytes;
  *clusters = fits ? emulated_processors / emulated_ranks(config) : 0;
  return cudaSuccess;
}
/* Clusters that do not run at once would on a device run one after the other; none of the kernels here could. */
template <typename Argument>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Argument), const Argument &argument) {
  int clusters, ranks = emulated_ranks(config), grid = config->gridDim.x;
  cudaOccupancyMaxActiveClusters(&clusters, kernel, config);
  if (grid % ranks || grid / ranks > clusters) return cudaErrorInvalidConfiguration;
  emulate(
      grid, config->blockDim.x, config->dynamicSmemBytes, [&] { kernel(argument); }, ranks);
  return cudaSuccess;
}
