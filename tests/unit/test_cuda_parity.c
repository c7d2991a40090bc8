/* The CUDA backend's forward pass against transformers' logits and the reference's flags and live counts, for every
 * case of tests/goldens/parity and, where tests/bench/parity_cases.sh has made them, of build/parity. */
#include "tests/unit/cuda_device.h"

#include <math.h>

static double relative_error(const float *got, const float *want, gsize n) {
  double difference = 0, norm = 0;
  for (gsize i = 0; i < n; i++) difference += pow((double)got[i] - want[i], 2), norm += pow(want[i], 2);
  return sqrt(difference / norm);
}

static gsize count_different(const void *a, const void *b, gsize n, gsize width) {
  gsize different = 0;
  for (gsize i = 0; i < n; i++)
    different += memcmp((const char *)a + i * width, (const char *)b + i * width, width) != 0;
  return different;
}

typedef struct {
  char *dir;
  DmsPrecision precision;
} Case;

static void check_case(gconstpointer data) {
  const Case *test = data;
  g_autoptr(GError) error = NULL;
  DmsModel *model = dms_model_open(test->dir, &error);
  g_assert_no_error(error);
  DmsBackendOptions options = options_for(model, test->precision, 8, 64 << 20);
  DmsBackend *backend = open_or_skip(&options);
  if (!backend) {
    dms_model_free(model);
    return;
  }
  g_autofree char *path = g_build_filename(test->dir, "expected.safetensors", NULL);
  Golden golden = golden_open(path);
  int n = 0;
  const int32_t *ids = golden_tensor(&golden, "input_ids", &n);
  const uint8_t *want_flags = golden_tensor(&golden, "dms_flags", NULL);
  const char *wanted = want_flags ? "dms_logits" : "logits";
  const float *want = golden_tensor(&golden, wanted, NULL);
  gsize values = (gsize)n * model->config.vocab, items = (gsize)n * model->config.layers * model->config.kv_heads;
  g_autofree float *logits = g_new(float, values);
  g_autofree uint8_t *flags = g_new(uint8_t, items);
  g_autofree int32_t *live = g_new(int32_t, items);
  const DmsBackendOps *ops = dms_backend_cuda();
  g_assert_true(ops->forward(backend, ids, n, logits, flags, live, &error));
  g_assert_no_error(error);
  gboolean exact = test->precision == DMS_PRECISION_F32;
  double off = relative_error(logits, want, values);
  gsize flips = want_flags ? count_different(flags, want_flags, items, 1) : 0;
  g_test_message("%s: logits off by %.2e, %zu of %zu flags differ", test->dir, off, flips, items);
  if (exact) {
    g_assert_cmpfloat(off, <, 1e-3);
    g_assert_cmpuint(flips, ==, 0);
    if (want_flags)
      g_assert_cmpmem(live, items * sizeof *live, golden_tensor(&golden, "dms_live", NULL), items * sizeof *live);
  } else {
    /* A decision within rounding of its threshold may fall the other way, and then the rest follows another mask. */
    g_assert_cmpuint(flips, <=, items / 50);
    if (!flips) g_assert_cmpfloat(off, <, 2e-2);
  }
  golden_close(&golden);
  ops->close(backend);
  dms_model_free(model);
}

static void add_cases(const char *folder) {
  GDir *dir = g_dir_open(folder, 0, NULL);
  if (!dir) return;
  for (const char *name; (name = g_dir_read_name(dir));)
    for (int exact = 0; exact < 2; exact++) {
      Case *test = g_new(Case, 1);
      *test = (Case){g_build_filename(folder, name, NULL), exact ? DMS_PRECISION_F32 : DMS_PRECISION_BF16};
      g_autofree char *path = g_strdup_printf("/cuda/parity/%s/%s", name, exact ? "f32" : "bf16");
      g_test_add_data_func(path, test, check_case);
    }
  g_dir_close(dir);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  add_cases("tests/goldens/parity");
  add_cases("build/parity");
  return g_test_run();
}
