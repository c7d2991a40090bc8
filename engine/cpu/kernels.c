/* Which instruction sets were compiled in, and which of them this machine has. */
#include "engine/cpu/kernels.h"

extern const DmsKernels dms_kernels_base;
#if defined(__x86_64__)
extern const DmsKernels dms_kernels_v3, dms_kernels_v4;
#endif

const DmsKernels *const *dms_cpu_kernels_all(void) {
  static const DmsKernels *usable[4];
  static gsize ready;
  if (g_once_init_enter(&ready)) {
    int n = 0;
#if defined(__x86_64__)
    gboolean avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      usable[n++] = &dms_kernels_v4;
    if (avx2) usable[n++] = &dms_kernels_v3;
#endif
    usable[n++] = &dms_kernels_base;
    g_once_init_leave(&ready, 1);
  }
  return usable;
}

const DmsKernels *dms_cpu_kernels(void) {
  return dms_cpu_kernels_all()[0];
}

int32_t dms_sample(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab, uint64_t *scratch) {
  return dms_cpu_kernels()->sample(sampler, step, logits, vocab, scratch);
}
