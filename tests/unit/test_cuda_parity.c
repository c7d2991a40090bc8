/* The CUDA backend's forward pass against transformers' logits and the reference's flags and live counts, for every
 * case of tests/goldens/parity; and against random_model.h's double precision for head_dim 64 and 128 with every group
 * from 1 to 8, and shapes that take the plain kernels, under each kind of decision. */
#include "tests/unit/cuda_device.h"
#include "tests/unit/random_model.h"

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

/* What the forward pass is to give. */
typedef struct {
  const float *logits;
  const uint8_t *flags; /* NULL: nothing is ever evicted */
  const int32_t *live;
} Wanted;

/* NULL after g_test_skip(). */
static DmsBackend *open_backend(const DmsModel *model, DmsPrecision precision) {
  DmsBackendOptions options = options_for(model, precision, 8, 64 << 20);
  return open_or_skip(&options);
}

static void check_forward(DmsBackend *backend, const DmsModel *model, DmsPrecision precision, const char *name,
                          const int32_t *ids, int n, const Wanted *want) {
  g_autoptr(GError) error = NULL;
  gsize values = (gsize)n * model->config.vocab, items = (gsize)n * model->config.layers * model->config.kv_heads;
  g_autofree float *logits = g_new(float, values);
  g_autofree uint8_t *flags = g_new(uint8_t, items);
  g_autofree int32_t *live = g_new(int32_t, items);
  g_assert_true(dms_backend_cuda()->forward(backend, ids, n, logits, flags, live, &error));
  g_assert_no_error(error);
  double off = relative_error(logits, want->logits, values);
  gsize flips = want->flags ? count_different(flags, want->flags, items, 1) : 0;
  g_test_message("%s: logits off by %.2e, %zu of %zu flags differ", name, off, flips, items);
  if (precision == DMS_PRECISION_F32) {
    g_assert_cmpfloat(off, <, 1e-3);
    g_assert_cmpuint(flips, ==, 0);
    if (want->flags) g_assert_cmpmem(live, items * sizeof *live, want->live, items * sizeof *live);
  } else {
    /* A decision within rounding of its threshold may fall the other way, and then the rest follows another mask. */
    g_assert_cmpuint(flips, <=, items / 20);
    if (!flips) g_assert_cmpfloat(off, <, 2e-2);
  }
}

static void check_case(gconstpointer data) {
  const Case *test = data;
  g_autoptr(GError) error = NULL;
  DmsModel *model = dms_model_open(test->dir, &error);
  g_assert_no_error(error);
  g_autofree char *path = g_build_filename(test->dir, "expected.safetensors", NULL);
  Golden golden = golden_open(path);
  int n = 0;
  const int32_t *ids = golden_tensor(&golden, "input_ids", &n);
  Wanted want = {.flags = golden_tensor(&golden, "dms_flags", NULL), .live = golden_tensor(&golden, "dms_live", NULL)};
  want.logits = golden_tensor(&golden, want.flags ? "dms_logits" : "logits", NULL);
  DmsBackend *backend = open_backend(model, test->precision);
  if (backend) {
    check_forward(backend, model, test->precision, test->dir, ids, n, &want);
    dms_backend_cuda()->close(backend);
  }
  golden_close(&golden);
  dms_model_free(model);
}

/* ---- Shapes ---- */

static const DmsPrecision precisions[] = {DMS_PRECISION_F32, DMS_PRECISION_BF16};
static const char *const precision_names[] = {"f32", "bf16"};

static void check_shape(gconstpointer data) {
  enum { TOKENS = 80 };      /* more than a tile */
  static gboolean no_device; /* told by the first shape, so that the others need not be written */
  const RandomModel *shape = data;
  if (no_device) {
    g_test_skip("no device");
    return;
  }
  g_autoptr(GError) error = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  RandomFolder *folder = random_folder_new(shape, (guint32)(shape->head_dim + shape->heads));
  const DmsPolicy policy = {shape->source == DMS_SOURCE_NONE ? DMS_POLICY_VANILLA : DMS_POLICY_DMS, 0, 0};
  DmsModel *model = dms_model_open(folder->dir, &error);
  g_assert_no_error(error);
  RandomResult want = {0};
  int32_t ids[TOKENS];
  for (int i = 0; i < TOKENS; i++) ids[i] = g_rand_int_range(random, 0, shape->vocab);
  g_autofree float *logits = g_new(float, (gsize)TOKENS * shape->vocab);
  for (gsize p = 0; p < G_N_ELEMENTS(precisions); p++) {
    DmsBackend *backend = open_backend(model, precisions[p]);
    no_device = !backend;
    if (no_device) break;
    if (!want.logits) { /* what takes long is left out where it is for nothing */
      want = random_folder_forward(folder, &policy, ids, TOKENS);
      for (int i = 0; i < TOKENS * shape->vocab; i++) logits[i] = (float)want.logits[i];
    }
    g_autofree char *name = g_strdup_printf("%s, %s", shape->name, precision_names[p]);
    check_forward(backend, model, precisions[p], name, ids, TOKENS,
                  &(Wanted){logits, shape->source == DMS_SOURCE_NONE ? NULL : want.flags, want.live});
    dms_backend_cuda()->close(backend);
  }
  dms_model_free(model);
  random_result_clear(&want);
  random_folder_free(folder);
}

static void add_shape(int head_dim, int group) {
  static const RandomModel kinds[] = {
      {"borrowed", "qwen3", .source = DMS_SOURCE_BORROWED_Q, .window = 12},
      {"per layer", "qwen3", .source = DMS_SOURCE_BORROWED_Q, .per_layer = TRUE, .window = 5},
      {"adapter", "qwen3", .source = DMS_SOURCE_ADAPTER, .window = 16},
      {"unshifted", "llama", .source = DMS_SOURCE_BORROWED_Q, .unshifted = TRUE, .keep_after_rope = TRUE, .window = 7},
      {"vanilla", "qwen2", .source = DMS_SOURCE_NONE},
  };
  for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++) {
    RandomModel *shape = g_new(RandomModel, 1);
    *shape = kinds[k];
    shape->name = g_strdup_printf("head_dim %d, group %d, %s", head_dim, group, kinds[k].name);
    shape->head_dim = head_dim, shape->dtype = DMS_DTYPE_BF16;
    shape->hidden = 96, shape->intermediate = 136, shape->layers = 2, shape->vocab = 131;
    shape->kv_heads = group > 4 ? 1 : 2, shape->heads = group * shape->kv_heads;
    g_autofree char *path = g_strconcat("/cuda/parity/", shape->name, NULL);
    g_test_add_data_func(path, shape, check_shape);
  }
}

static void add_cases(const char *folder) {
  GDir *dir = g_dir_open(folder, 0, NULL);
  if (!dir) return;
  for (const char *name; (name = g_dir_read_name(dir));)
    for (gsize p = 0; p < G_N_ELEMENTS(precisions); p++) {
      Case *test = g_new(Case, 1);
      *test = (Case){g_build_filename(folder, name, NULL), precisions[p]};
      g_autofree char *path = g_strdup_printf("/cuda/parity/%s/%s", name, precision_names[p]);
      g_test_add_data_func(path, test, check_case);
    }
  g_dir_close(dir);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  add_cases("tests/goldens/parity");
  static const int head_dims[] = {64, 128}, others[][2] = {{16, 2}, {48, 3}, {80, 6}, {256, 4}, {64, 12}, {128, 16}};
  for (gsize i = 0; i < G_N_ELEMENTS(head_dims); i++)
    for (int group = 1; group <= 8; group++) add_shape(head_dims[i], group);
  for (gsize i = 0; i < G_N_ELEMENTS(others); i++) add_shape(others[i][0], others[i][1]);
  return g_test_run();
}
