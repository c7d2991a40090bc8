/* The CPU kernels of every instruction set that this machine has: against double precision, AVX2 and AVX-512 bit for
 * bit alike, and each row of a product independent of the others. */
#include "engine/cpu/kernels.h"

#include <math.h>
#include <string.h>

static float *random_floats(GRand *random, gsize n) {
  float *values = g_aligned_alloc(n, sizeof *values, 64);
  for (gsize i = 0; i < n; i++) values[i] = (float)g_rand_double_range(random, -1, 1);
  return values;
}

/* All sets with a fused multiply-add must give what the first gives. */
static void assert_same_bits(const DmsKernels *set, const float *got, const float *first, gsize n) {
  if (strcmp(set->name, "baseline") != 0) g_assert_cmpmem(got, n * sizeof *got, first, n * sizeof *first);
}

/* ---- Products ---- */

typedef struct {
  DmsMatrix matrix;
  float *plain; /* [outputs, inputs] */
  float *bias;  /* [panels * DMS_PANEL] */
  void *weights;
} TestMatrix;

static TestMatrix matrix_new(GRand *random, int outputs, int inputs, gboolean bf16, gboolean bias) {
  TestMatrix test = {.plain = random_floats(random, (gsize)outputs * inputs)};
  int panels = (outputs + DMS_PANEL - 1) / DMS_PANEL;
  test.weights = g_aligned_alloc0((gsize)panels * DMS_PANEL * inputs, 4, 64);
  test.bias = random_floats(random, (gsize)panels * DMS_PANEL);
  for (int o = 0; o < outputs; o++)
    for (int i = 0; i < inputs; i++) {
      gsize row = (gsize)(o / DMS_PANEL) * inputs + i;
      float *value = &test.plain[(gsize)o * inputs + i];
      if (bf16) {
        uint32_t bits;
        memcpy(&bits, value, sizeof bits);
        bits &= 0xffff0000;
        memcpy(value, &bits, sizeof bits);
        int lane = o % DMS_PANEL;
        ((uint16_t *)test.weights)[row * DMS_PANEL + lane % 16 * 2 + lane / 16] = (uint16_t)(bits >> 16);
      } else {
        ((float *)test.weights)[row * DMS_PANEL + o % DMS_PANEL] = *value;
      }
    }
  test.matrix = (DmsMatrix){outputs, inputs, panels, bf16, test.weights, bias ? test.bias : NULL};
  return test;
}

static void matrix_free(TestMatrix *test) {
  g_aligned_free(test->plain);
  g_aligned_free(test->weights);
  g_aligned_free(test->bias);
}

static double exact_product(const TestMatrix *test, const float *in, int o) {
  double sum = test->matrix.bias ? test->bias[o] : 0;
  for (int i = 0; i < test->matrix.inputs; i++) sum += (double)test->plain[(gsize)o * test->matrix.inputs + i] * in[i];
  return sum;
}

/* The double-precision result of one output in its mode. Panels of SwiGLU hold 16 gates and then 16 ups. */
static double exact_output(const TestMatrix *test, DmsProductMode mode, const float *in, int o, float before) {
  if (mode == DMS_PRODUCT_STORE) return exact_product(test, in, o);
  if (mode == DMS_PRODUCT_ADD) return before + exact_product(test, in, o);
  int gate = o / 16 * DMS_PANEL + o % 16;
  double g = exact_product(test, in, gate);
  return g / (1 + exp(-g)) * exact_product(test, in, gate + 16);
}

static void check_product(GRand *random, int outputs, int inputs, gboolean bf16, gboolean bias, DmsProductMode mode) {
  enum { ROWS = 27 };
  TestMatrix test = matrix_new(random, outputs, inputs, bf16, bias);
  int columns = mode == DMS_PRODUCT_SWIGLU ? outputs / 2 : outputs, stride = columns + 3;
  g_autofree float *first = g_new(float, ROWS *stride);
  float *in = random_floats(random, (gsize)ROWS * inputs), *before = random_floats(random, (gsize)ROWS * stride);
  const DmsKernels *const *sets = dms_cpu_kernels_all();
  for (int s = 0; sets[s]; s++) {
    g_autofree float *out = g_memdup2(before, ROWS * (gsize)stride * sizeof *out);
    DmsProduct product = {&test.matrix, in, out, inputs, stride, NULL, mode};
    sets[s]->product(&product, ROWS, 0, test.matrix.panels);
    for (int row = 0; row < ROWS; row++)
      for (int o = 0; o < stride; o++) {
        float got = out[row * stride + o], was = before[row * stride + o];
        if (o >= columns) { /* the padding between rows is not touched */
          g_assert_cmpfloat(got, ==, was);
          continue;
        }
        double want = exact_output(&test, mode, in + (gsize)row * inputs, o, was);
        g_assert_cmpfloat_with_epsilon(got, want, 1e-5 * sqrt(inputs) * (1 + fabs(want)));
      }
    if (s == 0) memcpy(first, out, ROWS * (gsize)stride * sizeof *out);
    assert_same_bits(sets[s], out, first, ROWS * (gsize)stride);

    /* Fewer rows together, panels by ones and twos, outputs to scattered rows. */
    for (int rows = 1; rows < ROWS; rows++) {
      g_autofree float *part = g_memdup2(before, ROWS * (gsize)stride * sizeof *part);
      float *to[ROWS];
      for (int row = 0; row < rows; row++) to[row] = part + (gsize)row * stride;
      DmsProduct scattered = {&test.matrix, in, NULL, inputs, 0, to, mode};
      for (int panel = 0, n; panel < test.matrix.panels; panel += n) {
        n = MIN(1 + panel % 2, test.matrix.panels - panel);
        sets[s]->product(&scattered, rows, panel, panel + n);
      }
      g_assert_cmpmem(part, rows * (gsize)stride * sizeof *part, out, rows * (gsize)stride * sizeof *out);
    }
  }
  g_aligned_free(in);
  g_aligned_free(before);
  matrix_free(&test);
}

static void test_product(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  static const int shapes[][2] = {{32, 64}, {1, 7}, {33, 1}, {160, 96}, {97, 33}};
  for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++)
    for (int bf16 = 0; bf16 < 2; bf16++) {
      check_product(random, shapes[i][0], shapes[i][1], bf16, FALSE, DMS_PRODUCT_STORE);
      check_product(random, shapes[i][0], shapes[i][1], bf16, TRUE, DMS_PRODUCT_ADD);
      check_product(random, (shapes[i][0] + 31) / 32 * 32, shapes[i][1], bf16, i % 2, DMS_PRODUCT_SWIGLU);
    }
}

/* ---- Attention ---- */

static void check_attention(GRand *random, int dim, int group, int length) {
  DmsHeadShape shape = dms_head_shape(dim, group);
  int n_pages = (length + DMS_PAGE_ITEMS - 1) / DMS_PAGE_ITEMS;
  char *base = g_aligned_alloc0(n_pages, shape.page_bytes, 64);
  g_autofree uint32_t *pages = g_new(uint32_t, n_pages);
  for (int i = 0; i < n_pages; i++) pages[i] = (uint32_t)(n_pages - 1 - i);
  for (gsize i = 0; i < n_pages * shape.page_bytes / 4; i++)
    ((float *)base)[i] = NAN; /* nothing of an empty place may be used */
  float *keys = random_floats(random, (gsize)length * dim), *values = random_floats(random, (gsize)length * dim);
  float *queries = random_floats(random, (gsize)group * dim);
  const DmsKernels *const *sets = dms_cpu_kernels_all();
  for (int i = 0; i < length; i++)
    sets[0]->store_item(&shape, base + pages[i / DMS_PAGE_ITEMS] * shape.page_bytes, i % DMS_PAGE_ITEMS, keys + i * dim,
                        values + i * dim);

  g_autofree double *want = g_new0(double, group *dim), *score = g_new(double, length);
  for (int g = 0; g < group; g++) {
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < length; i++) {
      score[i] = 0;
      for (int d = 0; d < dim; d++) score[i] += (double)queries[g * dim + d] * keys[i * dim + d];
      max = fmax(max, score[i]);
    }
    for (int i = 0; i < length; i++) sum += score[i] = exp2(score[i] - max);
    for (int i = 0; i < length; i++)
      for (int d = 0; d < dim; d++) want[g * dim + d] += score[i] / sum * values[i * dim + d];
  }

  DmsItems items = {base, pages, length};
  float *scratch = g_aligned_alloc(DMS_SHARED_HEADS * n_pages * DMS_PAGE_ITEMS, sizeof *scratch, 64);
  g_autofree float *first = g_new(float, group *dim), *out = g_new(float, group *dim);
  for (int s = 0; sets[s]; s++) {
    sets[s]->attend(&shape, &items, queries, scratch, out);
    for (int i = 0; i < group * dim; i++) g_assert_cmpfloat_with_epsilon(out[i], want[i], 2e-5);
    if (s == 0) memcpy(first, out, group * (gsize)dim * sizeof *out);
    assert_same_bits(sets[s], out, first, (gsize)group * dim);
  }
  g_aligned_free(base);
  g_aligned_free(keys);
  g_aligned_free(values);
  g_aligned_free(queries);
  g_aligned_free(scratch);
}

static void test_attention(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(2);
  static const int dims[] = {2, 16, 24, 32, 64, 80, 128}, lengths[] = {1, 2, 15, 16, 17, 40, 63, 64, 65, 130, 300};
  for (gsize d = 0; d < G_N_ELEMENTS(dims); d++)
    for (gsize l = 0; l < G_N_ELEMENTS(lengths); l++)
      for (int group = 1; group <= 9; group++) check_attention(random, dims[d], group, lengths[l]);
}

/* ---- Rows ---- */

static void test_rows(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(3);
  const DmsKernels *const *sets = dms_cpu_kernels_all();
  for (int n = 2; n < 200; n += 2) {
    float *x = random_floats(random, (gsize)n), *w = random_floats(random, (gsize)n),
          *angles = random_floats(random, (gsize)n);
    g_autofree float *first = g_new(float, 2 * n), *out = g_new(float, 2 * n);
    double dot = 0, square = 0;
    for (int i = 0; i < n; i++) dot += (double)x[i] * w[i], square += (double)x[i] * x[i];
    for (int s = 0; sets[s]; s++) {
      g_assert_cmpfloat_with_epsilon(sets[s]->dot(x, w, n), dot, 1e-5);
      sets[s]->rms_norm(x, w, 1e-6f, n, out);
      memcpy(out + n, x, (gsize)n * sizeof *x);
      sets[s]->rotate(out + n, angles, n);
      for (int i = 0; i < n; i++) {
        g_assert_cmpfloat_with_epsilon(out[i], x[i] * w[i] / sqrt(square / n + 1e-6), 1e-5);
        int half = n / 2, pair = i % half;
        double want = i < half ? (double)x[i] * angles[pair] - (double)x[i + half] * angles[half + pair]
                               : (double)x[i] * angles[pair] + (double)x[pair] * angles[half + pair];
        g_assert_cmpfloat_with_epsilon(out[n + i], want, 1e-6);
      }
      if (s == 0) memcpy(first, out, 2 * (gsize)n * sizeof *out);
      assert_same_bits(sets[s], out, first, 2 * (gsize)n);
    }
    g_aligned_free(x);
    g_aligned_free(w);
    g_aligned_free(angles);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_message("the best of this machine: %s", dms_cpu_kernels()->name);
  g_test_add_func("/cpu-kernels/product", test_product);
  g_test_add_func("/cpu-kernels/attention", test_attention);
  g_test_add_func("/cpu-kernels/rows", test_rows);
  return g_test_run();
}
