/* What tests of kernels share: numbers to begin with, what is to come of them in double precision, tables of shapes.
 * Included after the kernel. */
#pragma once

#include <glib.h>
#include <vector>

typedef std::vector<double> Vector;

inline double uniform() {
  return (emulated_random() >> 8) / 16777216.0;
}
inline double normal() {
  return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(2 * G_PI * uniform());
}
inline void fill(bf16 *to, size_t n, double deviation) {
  for (size_t i = 0; i < n; i++)
    to[i] = __float2bfloat16((float)((uniform() + uniform() + uniform() - 1.5) * 2 * deviation));
}
inline void fill(float *to, size_t n, double mean, double deviation) {
  for (size_t i = 0; i < n; i++) to[i] = (float)(mean + deviation * normal());
}

/* weight [n][size of from] */
inline Vector multiply_by(const void *weight, int n, const Vector &from) {
  Vector to(n);
  const bf16 *row = (const bf16 *)weight;
  for (int i = 0; i < n; i++, row += from.size())
    for (size_t j = 0; j < from.size(); j++) to[i] += (double)to_float(row[j]) * from[j];
  return to;
}
inline double inverse_rms(const double *x, int n, double eps) {
  double squares = 0;
  for (int i = 0; i < n; i++) squares += x[i] * x[i];
  return 1 / std::sqrt(squares / n + eps);
}
inline double swiglu_of(double gate, double up) {
  return gate / (1 + std::exp(-gate)) * up;
}

/* Memory that lies as on the device. */
struct Arena {
  std::vector<char> bytes;
  size_t used = 0;

  size_t place(size_t n) {
    used += (n + 255) / 256 * 256;
    return used - (n + 255) / 256 * 256;
  }
  char *base() { return bytes.data() + (256 - (uintptr_t)bytes.data() % 256); }
  void allocate() { bytes.assign(used + 256, 0); }
};

template <typename Shape> struct NamedShape {
  const char *path;
  Shape shape;
};
template <typename Shape, size_t n>
void add_tests(const char *suite, const NamedShape<Shape> (&tests)[n], GTestDataFunc test) {
  for (const NamedShape<Shape> &named : tests) {
    g_autofree char *path = g_strconcat("/emulation/", suite, "/", named.path, NULL);
    g_test_add_data_func(path, &named.shape, test);
  }
}
