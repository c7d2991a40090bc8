/* Launching kernels whose CTAs wait for each other. */
#pragma once

#include "engine/cuda/kernels.h"

/* Processors of the current device, 0 where it cannot run such kernels, and bytes of shared memory that a CTA can have.
 */
static cudaError_t ask_device(int *processors, int *shared_bytes) {
  int device, cooperates;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&cooperates, cudaDevAttrCooperativeLaunch, device);
  if (status == cudaSuccess && !cooperates) *processors = 0;
  return status;
}

/* All `grid` CTAs run at once, or the launch fails. */
template <typename Argument>
static cudaError_t launch_together(cudaStream_t stream, int grid, int threads, size_t shared, void (*kernel)(Argument),
                                   const Argument &argument) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative, attribute.val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid), config.blockDim = dim3(threads), config.dynamicSmemBytes = shared;
  config.stream = stream, config.attrs = &attribute, config.numAttrs = 1;
  cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
  return status == cudaSuccess ? cudaLaunchKernelEx(&config, kernel, argument) : status;
}
