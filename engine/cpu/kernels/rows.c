/* What is done to one row or one item at a time: norms, rotations, the copy into a KV page. */
#include "engine/cpu/kernels/lanes.h"

float DMS_KERNEL(dms_dot)(const float *a, const float *b, int n) {
  DmsVector lanes[DMS_PARTS] = {0};
  int i = 0;
  for (; i + DMS_LANES <= n; i += DMS_LANES)
    for (int p = 0; p < DMS_PARTS; p++)
      lanes[p] = dms_fma(dms_load(a + i + p * DMS_WIDTH), dms_load(b + i + p * DMS_WIDTH), lanes[p]);
  float sum = dms_sum_lanes(lanes);
  for (; i < n; i++) sum = dms_fma1(a[i], b[i], sum);
  return sum;
}

void DMS_KERNEL(dms_rms_norm)(const float *in, const float *weight, float eps, int n, float *out) {
  float scale = 1.0f / sqrtf(DMS_KERNEL(dms_dot)(in, in, n) / (float)n + eps);
  for (int i = 0; i < n; i++) out[i] = in[i] * scale * weight[i];
}

void DMS_KERNEL(dms_rotate)(float *x, const float *angles, int dim) {
  int half = dim / 2;
  const float *cosines = angles, *sines = angles + half;
  for (int i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = dms_fma1(a, cosines[i], -(b * sines[i]));
    x[i + half] = dms_fma1(b, cosines[i], a * sines[i]);
  }
}

void DMS_KERNEL(dms_store_item)(const DmsHeadShape *shape, char *page, int item, const float *key, const float *value) {
  float *keys = (float *)page + item;
  for (int d = 0; d < shape->dim; d++) keys[d * DMS_PAGE_ITEMS] = key[d];
  float *values = (float *)page + DMS_PAGE_ITEMS * shape->dim + item * DMS_VALUE_BLOCK;
  for (int d = 0; d < shape->dim; d += DMS_VALUE_BLOCK, values += DMS_PAGE_ITEMS * DMS_VALUE_BLOCK)
    memcpy(values, value + d, MIN(DMS_VALUE_BLOCK, shape->dim - d) * sizeof *values);
}
