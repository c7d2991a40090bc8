/* What kernels' launchers ask of the CUDA runtime and of the driver. */
#include "tests/emulation/emulation.h"
#include "tests/emulation/tensor_map.h"

#include <cudaTypedefs.h>

/* Makes a map if the driver would. Of its many kinds those of 2-byte elements with the 128-byte swizzle. */
static CUresult encode(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t dimensions, void *address,
                       const cuuint64_t *sizes, const cuuint64_t *strides, const cuuint32_t *box,
                       const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                       CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  bool good = dimensions >= 1 && dimensions <= 5 && (uintptr_t)map % 64 == 0 && (uintptr_t)address % 16 == 0 &&
              type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
              swizzle == CU_TENSOR_MAP_SWIZZLE_128B && fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && box[0] * 2 <= 128 &&
              box[0] * 2 % 16 == 0;
  EmulatedMap made = {};
  made.address = (const char *)address, made.dimensions = dimensions;
  for (cuuint32_t i = 0; good && i < dimensions; i++) {
    good = sizes[i] > 0 && sizes[i] <= (cuuint64_t)1 << 32 && box[i] > 0 && box[i] <= 256 && steps[i] == 1;
    if (i) good = good && strides[i - 1] % 16 == 0 && strides[i - 1] < (cuuint64_t)1 << 40;
    made.size[i] = (uint32_t)sizes[i], made.box[i] = box[i];
    if (i) made.stride[i - 1] = strides[i - 1];
  }
  if (!good) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(map, &made, sizeof made);
  return CUDA_SUCCESS;
}

extern "C" {

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult *found) {
  bool known = !std::strcmp(name, "cuTensorMapEncodeTiled");
  PFN_cuTensorMapEncodeTiled_v12000 encoder = encode;
  *function = known ? (void *)encoder : nullptr;
  *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

/* What the kernels were compiled for, and the shared memory that they declare. */
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *) {
  *attributes = {};
  attributes->ptxVersion = 90, attributes->sharedSizeBytes = EMULATED_STATIC_BYTES;
  return cudaSuccess;
}
}
