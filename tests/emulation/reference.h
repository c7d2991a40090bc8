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
/* Of deviation 1, and never far from 0. */
inline double number() {
  return 2 * (uniform() + uniform() + uniform() - 1.5);
}
inline void fill(bf16 *to, size_t n, double deviation) {
  for (size_t i = 0; i < n; i++) to[i] = __float2bfloat16((float)(number() * deviation));
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
inline void normalise(double *x, int n, const float *weight, double eps) {
  double factor = inverse_rms(x, n, eps);
  for (int i = 0; i < n; i++) x[i] *= weight[i] * factor;
}
/* Norm, where there is one, and rotation of a head vector. Returns its last channel before the rotation; `lends` it. */
inline double turn_head(double *x, int dim, const float *norm, double eps, const float2 *turns, bool lends,
                        bool rezero) {
  int half = dim / 2;
  if (norm) normalise(x, dim, norm, eps);
  double last = x[dim - 1];
  if (lends) x[dim - 1] = 0;
  for (int i = 0; i < half; i++) {
    double low = x[i], high = x[i + half];
    x[i] = low * turns[i].x - high * turns[i].y, x[i + half] = high * turns[i].x + low * turns[i].y;
  }
  if (lends && rezero) x[dim - 1] = 0;
  return last;
}
/* One query head over `n` items: element(item, is_value, channel). */
template <typename Element>
Vector attend_to(int n, const double *query, int dim, double scale, const Element &element) {
  Vector weight(n), to(dim);
  double top = -INFINITY, sum = 0;
  for (int item = 0; item < n; item++) {
    for (int i = 0; i < dim; i++) weight[item] += query[i] * element(item, 0, i) * scale;
    top = std::max(top, weight[item]);
  }
  for (double &w : weight) sum += w = std::exp(w - top);
  for (int i = 0; i < dim; i++)
    for (int item = 0; item < n; item++) to[i] += weight[item] / sum * element(item, 1, i);
  return to;
}
inline double swiglu_of(double gate, double up) {
  return gate / (1 + std::exp(-gate)) * up;
}

/* How far values are from what they should be, as relative L2. */
struct Distance {
  double apart = 0, all = 0;

  void add(double got, double want) { apart += (got - want) * (got - want), all += want * want; }
  double relative() const { return std::sqrt(apart / all); }
};

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
