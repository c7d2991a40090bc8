/* Vectors of the instruction set that a file of this folder is being compiled for, and the few operations that C has
 * no operator for.
 *
 * A reduction runs over 16 lanes whatever the vector width is (DMS_PARTS vectors), and the lanes are added in one
 * fixed order. */
#ifndef DMS_CPU_LANES_H
#define DMS_CPU_LANES_H

#include "engine/cpu/kernels.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#define DMS_WIDTH 16
#define DMS_KERNEL(name) name##_v4
#elif defined(__AVX2__)
#define DMS_WIDTH 8
#define DMS_KERNEL(name) name##_v3
#else
#define DMS_WIDTH 4
#define DMS_KERNEL(name) name##_base
#endif
#if defined(__FMA__)
#include <immintrin.h>
#endif

enum { DMS_LANES = 16, DMS_PARTS = DMS_LANES / DMS_WIDTH };

typedef float DmsVector __attribute__((vector_size(4 * DMS_WIDTH)));
typedef int32_t DmsInts __attribute__((vector_size(4 * DMS_WIDTH)));
typedef uint32_t DmsWords __attribute__((vector_size(4 * DMS_WIDTH)));

#define DMS_UNROLLED                                                                                                   \
  static inline __attribute__((always_inline)) /* its int arguments are constants: loops over them unroll */

DMS_UNROLLED DmsVector dms_load(const float *p) {
  DmsVector v;
  memcpy(&v, p, sizeof v);
  return v;
}
DMS_UNROLLED void dms_store(float *p, DmsVector v) {
  memcpy(p, &v, sizeof v);
}
DMS_UNROLLED DmsVector dms_splat(float x) {
  return x - (DmsVector){0};
}

/* a * b + c, rounded once where the machine can. */
DMS_UNROLLED DmsVector dms_fma(DmsVector a, DmsVector b, DmsVector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
DMS_UNROLLED float dms_fma1(float a, float b, float c) {
#if defined(__FMA__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/* a > b ? a : b and a < b ? a : b, so b where either is NaN. */
DMS_UNROLLED DmsVector dms_max(DmsVector a, DmsVector b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#else
  for (int i = 0; i < DMS_WIDTH; i++) b[i] = a[i] > b[i] ? a[i] : b[i];
  return b;
#endif
}
DMS_UNROLLED DmsVector dms_min(DmsVector a, DmsVector b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#else
  for (int i = 0; i < DMS_WIDTH; i++) b[i] = a[i] < b[i] ? a[i] : b[i];
  return b;
#endif
}

/* The sum of 16 lanes, always in this order. */
DMS_UNROLLED float dms_sum_lanes(const DmsVector lanes[DMS_PARTS]) {
  float x[DMS_LANES];
  memcpy(x, lanes, sizeof x);
  for (int n = DMS_LANES / 2; n > 0; n /= 2)
    for (int i = 0; i < n; i++) x[i] += x[i + n];
  return x[0];
}
DMS_UNROLLED float dms_max_lanes(const DmsVector lanes[DMS_PARTS]) {
  float x[DMS_LANES];
  memcpy(x, lanes, sizeof x);
  for (int n = DMS_LANES / 2; n > 0; n /= 2)
    for (int i = 0; i < n; i++) x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
  return x[0];
}

/* 2^x for x <= 127, relative error below 2e-7; 2^-126 below x = -126; NaN stays NaN. The polynomial is that of
 * dms_weight(). */
DMS_UNROLLED DmsVector dms_exp2(DmsVector x) {
  x = dms_max(dms_splat(-126.0f), x);
  DmsVector shifted = x + 12582912.0f; /* 1.5 * 2^23: the nearest integer is in the low bits */
  DmsVector f = x - (shifted - 12582912.0f);
  DmsVector power = (DmsVector)(((DmsInts)shifted - 0x4B400000 + 127) << 23);
  DmsVector p = dms_splat(1.535336188319500e-4f);
  p = dms_fma(p, f, dms_splat(1.339887440266574e-3f));
  p = dms_fma(p, f, dms_splat(9.618437357674640e-3f));
  p = dms_fma(p, f, dms_splat(5.550332471162809e-2f));
  p = dms_fma(p, f, dms_splat(2.402264791363012e-1f));
  p = dms_fma(p, f, dms_splat(6.931472028550421e-1f));
  return dms_fma(p, f, dms_splat(1.0f)) * power;
}

void DMS_KERNEL(dms_product)(const DmsProduct *product, int rows, int first_panel, int end_panel);
void DMS_KERNEL(dms_rms_norm)(const float *in, const float *weight, float eps, int n, float *out);
float DMS_KERNEL(dms_dot)(const float *a, const float *b, int n);
void DMS_KERNEL(dms_rotate)(float *x, const float *angles, int dim);
void DMS_KERNEL(dms_store_item)(const DmsHeadShape *shape, char *page, int item, const float *key, const float *value);
void DMS_KERNEL(dms_attend)(const DmsHeadShape *shape, const DmsItems *items, const float *queries, float *scratch,
                            float *out);
float DMS_KERNEL(dms_probe_multiply)(int rounds);
float DMS_KERNEL(dms_probe_read)(const float *array, gsize n);
int32_t DMS_KERNEL(dms_sample)(const DmsSampler *sampler, uint32_t step, const float *logits, int vocab,
                               uint64_t *scratch);

#endif
