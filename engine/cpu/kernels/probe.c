/* What the vector units and the memory reach when they do nothing else. */
#include "engine/cpu/kernels/lanes.h"

float DMS_KERNEL(dms_probe_multiply)(int rounds) {
  DmsVector chains[DMS_PROBE_CHAINS * DMS_PARTS], x = dms_splat(0.5f);
  for (int i = 0; i < DMS_PROBE_CHAINS * DMS_PARTS; i++) chains[i] = dms_splat((float)i); /* or one chain would do */
  for (int round = 0; round < rounds; round++)
#pragma GCC unroll 48
    for (int i = 0; i < DMS_PROBE_CHAINS * DMS_PARTS; i++) chains[i] = dms_fma(chains[i], x, x);
  for (int i = 1; i < DMS_PROBE_CHAINS * DMS_PARTS; i++) chains[0] += chains[i];
  return chains[0][0];
}

float DMS_KERNEL(dms_probe_read)(const float *array, gsize n) {
  DmsVector sums[4] = {0};
  for (gsize i = 0; i < n; i += 4 * DMS_WIDTH)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) sums[j] += dms_load(array + i + j * DMS_WIDTH);
  return (sums[0] + sums[1] + sums[2] + sums[3])[0];
}
