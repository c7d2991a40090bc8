/* What engine/cuda/cooperative.cuh names, for the emulated device. */
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
