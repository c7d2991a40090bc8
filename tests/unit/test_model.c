/* Opening models: the weights that a configuration calls for, their conversion, random weights. */
#include "engine/model/convert.h"
#include "engine/model/model.h"

#include <glib/gstdio.h>
#include <math.h>

#define POCKET "datasets/pocket/models/"
#define PARITY "tests/goldens/parity/"

static DmsModel *open_or_die(const char *dir) {
  g_autoptr(GError) error = NULL;
  DmsModel *model = dms_model_open(dir, &error);
  g_assert_no_error(error);
  return model;
}

static void test_pocket(void) {
  DmsModel *model = open_or_die(POCKET "pocket-reasoner-dms-4x");
  g_assert_cmpint(model->config.layers, ==, 4);
  g_assert_true(model->head == model->embed);
  g_assert_cmpint(model->embed->shape[0], ==, 640);
  g_assert_cmpint(model->embed->shape[1], ==, 192);
  g_assert_cmpint(model->layer[3].k->shape[0], ==, 2 * 32);
  g_assert_nonnull(model->layer[0].q_norm);
  g_assert_null(model->layer[0].q_bias);
  g_assert_null(model->layer[0].alpha);
  dms_model_free(model);
}

static void test_parity_models(void) {
  DmsModel *qwen2 = open_or_die(PARITY "qwen2-bias");
  g_assert_nonnull(qwen2->layer[2].v_bias);
  g_assert_null(qwen2->layer[2].o_bias);
  g_assert_null(qwen2->layer[2].q_norm);
  g_assert_true(qwen2->head != qwen2->embed);
  dms_model_free(qwen2);
  DmsModel *adapter = open_or_die(PARITY "qwen3-dms-adapter");
  g_assert_cmpint(adapter->layer[1].alpha->shape[0], ==, 4);
  g_assert_cmpint(adapter->layer[1].alpha_norm->shape[0], ==, 64);
  g_assert_null(adapter->layer[1].alpha_bias);
  dms_model_free(adapter);
  dms_model_free(open_or_die(PARITY "llama3-rope-scaled"));
  dms_model_free(open_or_die(PARITY "qwen3-dms-borrowed"));
}

/* Rows read one by one, in two formats, are the matrix read at once. */
static void test_read_rows(void) {
  DmsModel *model = open_or_die(POCKET "pocket-reasoner");
  const DmsTensor *tensor = model->layer[2].down;
  gsize rows = (gsize)tensor->shape[0], columns = (gsize)tensor->shape[1];
  g_autofree float *whole = g_new(float, rows *columns), *row = g_new(float, columns);
  g_autofree uint16_t *half = g_new(uint16_t, columns);
  g_autoptr(GError) error = NULL;
  g_assert_true(dms_model_read_f32(model, tensor, 0, tensor->shape[0], whole, &error));
  double sum = 0;
  for (gsize i = 0; i < rows; i++) {
    g_assert_true(dms_model_read_f32(model, tensor, (int64_t)i, 1, row, &error));
    g_assert_true(dms_model_read_bf16(model, tensor, (int64_t)i, 1, half, &error));
    g_assert_cmpmem(row, columns * sizeof(float), whole + i * columns, columns * sizeof(float));
    for (gsize j = 0; j < columns; j++) {
      g_assert_cmpfloat(dms_f32_from_bf16(half[j]), ==, row[j]);
      sum += (double)row[j] * row[j];
    }
  }
  g_assert_cmpfloat(sum, >, 1);
  dms_model_free(model);
}

static double f16_by_definition(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                : ldexp(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

static void test_convert(void) {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    double want = f16_by_definition((uint16_t)bits);
    float got = dms_f32_from_f16((uint16_t)bits);
    if (isnan(want)) {
      g_assert_true(isnan(got));
    } else {
      g_assert_cmpfloat(got, ==, want);
      g_assert_cmpint(signbit(got) != 0, ==, signbit(want) != 0);
    }
    float back = dms_f32_from_bf16((uint16_t)bits);
    if (!isnan(back)) g_assert_cmpuint(dms_bf16_from_f32(back), ==, bits);
  }
  g_assert_cmphex(dms_bf16_from_f32(dms_f32_from_bits(0x3f808000)), ==, 0x3f80); /* ties to even: down */
  g_assert_cmphex(dms_bf16_from_f32(dms_f32_from_bits(0x3f818000)), ==, 0x3f82); /* and up */
  g_assert_cmphex(dms_bf16_from_f32(dms_f32_from_bits(0x3f808001)), ==, 0x3f81);
  g_assert_cmphex(dms_bf16_from_f32(dms_f32_from_bits(0x7f7fffff)), ==, 0x7f80); /* beyond the largest: infinity */
  g_assert_true(isnan(dms_f32_from_bf16(dms_bf16_from_f32(dms_f32_from_bits(0x7f800001)))));
}

static void test_random(void) {
  g_autoptr(GError) error = NULL;
  DmsModel *a = dms_model_open_random(PARITY "qwen3-dms-adapter/config.json", 0.75, &error);
  g_assert_no_error(error);
  DmsModel *b = dms_model_open_random(PARITY "qwen3-dms-adapter/config.json", 0.75, &error);
  g_assert_cmpfloat(a->evict_rate, ==, 0.75);
  const DmsTensor *tensor = a->layer[1].gate;
  gsize n = (gsize)(tensor->shape[0] * tensor->shape[1]);
  g_autofree float *x = g_new(float, n), *y = g_new(float, n);
  g_assert_true(dms_model_read_f32(a, tensor, 0, tensor->shape[0], x, &error));
  for (int64_t row = tensor->shape[0] - 1; row >= 0; row--)
    g_assert_true(dms_model_read_f32(b, b->layer[1].gate, row, 1, y + row * tensor->shape[1], &error));
  g_assert_cmpmem(x, n * sizeof *x, y, n * sizeof *y);
  double sum = 0, squares = 0;
  for (gsize i = 0; i < n; i++) sum += x[i], squares += (double)x[i] * x[i];
  g_assert_cmpfloat(fabs(sum / (double)n), <, 0.01);
  g_assert_cmpfloat_with_epsilon(squares / (double)n, 1.0 / (double)tensor->shape[1], 0.1 / (double)tensor->shape[1]);
  g_assert_true(dms_model_read_f32(b, b->layer[0].gate, 0, tensor->shape[0], y, &error));
  g_assert_cmpfloat(x[0], !=, y[0]);
  float norm[64];
  g_assert_true(dms_model_read_f32(a, a->norm, 0, 1, norm, &error));
  for (int i = 0; i < 64; i++) g_assert_cmpfloat_with_epsilon(norm[i], 1.0f, 0.2f);
  dms_model_free(a);
  dms_model_free(b);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/model/pocket", test_pocket);
  g_test_add_func("/model/parity", test_parity_models);
  g_test_add_func("/model/read-rows", test_read_rows);
  g_test_add_func("/model/convert", test_convert);
  g_test_add_func("/model/random", test_random);
  return g_test_run();
}
